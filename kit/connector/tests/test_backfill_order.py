"""Whatever is lost, doubled or late: every trade once and in order, or inside a gap."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2

from kit.connector.tests.refilling import SYMBOL, Stage, trades

LAST = 60


@st.composite
def feeds(draw: st.DrawFn) -> tuple[list[Sequence[int]], set[int]]:
    """Row sets of a feed that begins with 1 and ends with LAST, an empty one being a new
    connection; and the ids that the venue's history has."""
    lost = draw(st.sets(st.integers(2, LAST - 1), max_size=30))
    sent = [number for number in range(2, LAST) if number not in lost]
    for _ in range(draw(st.integers(0, 6))):
        if sent:
            place = draw(st.integers(0, len(sent) - 1))
            moved = sent[place] if draw(st.booleans()) else sent.pop(place)
            sent.insert(min(len(sent), place + draw(st.integers(1, 8))), moved)
    row_sets: list[Sequence[int]] = [[1]]
    for size in draw(st.lists(st.integers(0, 7), max_size=20)):
        row_sets.append(sent[:size])
        sent = sent[size:]
    row_sets.append(sent)
    unknown = draw(st.sets(st.integers(2, LAST - 1), max_size=10))
    return [*row_sets, [LAST, LAST + 1]], set(range(1, LAST + 2)) - unknown


async def play(row_sets: Sequence[Sequence[int]], kept: set[int], turns: Sequence[int]) -> Stage:
    stage = Stage()
    await stage.start()
    stage.history.kept = kept
    for place, ids in enumerate(row_sets):
        if ids:
            stage.keeper.on_rows(trades(ids))
        else:
            stage.keeper.reconnected([SYMBOL])
        for _ in range(turns[place % len(turns)]):
            await asyncio.sleep(0)
    await stage.filled()
    await stage.stop()
    return stage


@settings(deadline=None)
@given(feeds(), st.lists(st.integers(0, 6), min_size=1, max_size=8))
def test_every_trade_comes_once_and_in_order_or_is_in_a_gap(
    feed: tuple[list[Sequence[int]], set[int]], turns: list[int]
) -> None:
    row_sets, kept = feed
    stage = asyncio.run(play(row_sets, kept, turns))
    ids = stage.ids()
    assert len(ids) == len(set(ids))
    brought = {number for one in row_sets for number in one}
    assert brought <= set(ids) <= brought | kept
    reported: set[int] = set()
    newest = 0
    late = False
    for event in stage.events():
        if isinstance(event, int):
            assert event > newest or (late and event in reported), (event, newest)
            newest, late = max(newest, event), False
        elif event.reason == types_pb2.GAP_REASON_OUT_OF_ORDER:
            late = True
        else:
            reported.update(range(event.last_id_before + 1, event.first_id_after))
    assert set(range(1, LAST + 2)) - set(ids) <= reported
    assert reported.isdisjoint(kept)
