"""Missing trades are asked for, and come before those that waited for them."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import numpy as np
import pytest
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from kit.base.errors import VenueUnavailable
from kit.connector.tests.refilling import OTHER, SYMBOL, Stage, trades
from kit.connector.trades import trade_sequencer
from kit.connector.trades.trade_sequencer import LOST_AGAIN, NOT_THERE, TOO_MANY
from kit.marketdata.model.columns import TradeRows
from tests.support.waiting import until

RECONNECT, SEQUENCE = types_pb2.GAP_REASON_RECONNECT, types_pb2.GAP_REASON_SEQUENCE


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    await made.start()
    yield made
    await made.stop()


async def test_missing_trades_come_before_those_that_waited(stage: Stage) -> None:
    stage.history.kept = set(range(1, 11))
    stage.history.may_answer.clear()
    stage.keeper.on_rows(trades([1, 2]))
    stage.keeper.on_rows(trades([6]))
    stage.keeper.on_rows(trades([7, 8]))
    stage.keeper.on_rows(trades([1, 2], OTHER))
    await until(lambda: stage.history.asked)
    assert stage.ids() == [1, 2]
    assert stage.ids(OTHER) == [1, 2]
    stage.history.may_answer.set()
    await stage.filled()
    stage.keeper.on_rows(trades([9]))
    assert stage.events() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert stage.history.asked == [(SYMBOL, 3, 4)]
    assert stage.counted() == (3, 0)


async def test_a_hole_within_the_first_trades_is_filled(stage: Stage) -> None:
    stage.history.kept = {1, 2, 3, 4, 5}
    stage.keeper.on_rows(trades([1, 2, 4]))
    assert stage.ids() == [1, 2]
    await stage.filled()
    stage.keeper.on_rows(trades([5, 6, 9]))
    stage.history.kept = set(range(7, 10))
    assert stage.ids() == [1, 2, 3, 4, 5, 6]
    await stage.filled()
    assert stage.events() == list(range(1, 10))
    assert [first for _, first, _ in stage.history.asked] == [3, 7]


async def test_refilled_trades_have_the_time_at_which_they_came(stage: Stage) -> None:
    stage.history.kept = {1, 2, 3}
    before_ns = SystemClock().time_ns()
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades([3]))
    await stage.filled()
    stage.events()
    *_, batch = stage.batches
    assert list(batch.trades.trade_id) == [2, 3]
    assert batch.trades.received_time_ns[0] >= before_ns
    assert list(batch.trades.side) == [types_pb2.SIDE_SELL, types_pb2.SIDE_BUY]


async def test_what_the_venue_does_not_have_is_a_gap(stage: Stage) -> None:
    stage.history.kept = {1, 2, 3, 6, 8, 9}
    stage.keeper.on_rows(trades([1, 2]))
    stage.keeper.on_rows(trades([8, 9]))
    await stage.filled()
    first, second = stage.gaps()
    assert (first.last_id_before, first.first_id_after, first.detail) == (3, 6, NOT_THERE)
    assert (second.last_id_before, second.first_id_after, second.reason) == (6, 8, SEQUENCE)
    assert stage.events() == [1, 2, 3, first, 6, second, 8, 9]
    assert len(stage.history.asked) == 1
    assert stage.counted() == (2, 1)


async def test_a_venue_that_gives_no_answer_is_asked_once(stage: Stage) -> None:
    stage.history.error = VenueUnavailable("no answer", venue="somewhere", detail="")
    stage.keeper.on_rows(trades([1]))
    stage.keeper.reconnected([SYMBOL])
    stage.keeper.on_rows(trades([4, 5]))
    await stage.filled()
    (gap,) = stage.gaps()
    assert (gap.reason, gap.detail) == (RECONNECT, "no answer")
    assert stage.events() == [1, gap, 4, 5]
    assert len(stage.history.asked) == 1
    assert stage.counted() == (0, 1)


@pytest.mark.parametrize("price", ["NaN", "1" * 40])
async def test_an_answer_that_cannot_be_read_is_a_gap(stage: Stage, price: str) -> None:
    stage.history.kept, stage.history.price = {1, 2, 3}, price
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades([3]))
    await stage.filled()
    (gap,) = stage.gaps()
    assert gap.detail.startswith("an answer that cannot be read")
    assert stage.events() == [1, gap, 3]


async def test_numbers_without_a_common_scale_are_written_apart(stage: Stage) -> None:
    stage.history.kept, stage.history.price = {1, 2, 3}, "2.0000000000000"
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades([3], price="123456789012345678"))
    await stage.filled()
    assert stage.events() == [1, 2, 123456789012345678]


async def test_the_reason_stays_when_only_some_are_there(stage: Stage) -> None:
    stage.history.kept = {1, 2, 5, 6}
    stage.keeper.on_rows(trades([1]))
    stage.keeper.reconnected([SYMBOL])
    stage.keeper.on_rows(trades([5, 8]))
    await stage.filled()
    assert [gap.reason for gap in stage.gaps()] == [RECONNECT, SEQUENCE]
    assert stage.ids() == [1, 2, 5, 6, 8]


async def test_a_history_that_is_late_is_asked_again(stage: Stage) -> None:
    stage.history.kept, stage.history.coming = {1}, {2, 3}
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades([3]))
    await stage.filled()
    assert stage.events() == [1, 2, 3]
    assert len(stage.history.asked) == 2


async def test_trades_wait_for_a_bounded_time() -> None:
    stage = Stage()
    await stage.start(patience_s=0.05)
    stage.history.may_answer.clear()
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades([3, 4]))
    await stage.filled()
    (gap,) = stage.gaps()
    assert gap.detail == "they did not come within 0.05 s"
    assert stage.events() == [1, gap, 3, 4]
    assert stage.counted() == (0, 1)
    await stage.stop()


async def test_only_so_many_trades_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_sequencer, "HELD_ROWS_MAX", 5)
    stage.history.may_answer.clear()
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades(range(3, 8)))
    await until(lambda: stage.history.asked)
    assert stage.ids() == [1]
    stage.keeper.on_rows(trades([8]))
    (gap,) = stage.gaps()
    assert gap.detail == TOO_MANY
    assert stage.events() == [1, gap, 3, 4, 5, 6, 7, 8]
    stage.history.may_answer.set()
    await until(lambda: stage.counted() == (0, 1))
    assert stage.ids() == [1, 3, 4, 5, 6, 7, 8]


async def test_late_trades_end_the_wait(stage: Stage) -> None:
    stage.history.may_answer.clear()
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades([4, 5]))
    stage.keeper.on_rows(trades([3]))
    stage.keeper.on_rows(trades([2]))
    assert stage.events() == [1, 2, 3, 4, 5]
    stage.history.may_answer.set()
    await asyncio.sleep(0)
    assert stage.counted() == (0, 0)


async def test_large_holes_are_filled_page_by_page(stage: Stage) -> None:
    stage.history.kept, stage.history.page = set(range(1, 2_000)), 300
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades([1_500]))
    await stage.filled()
    assert stage.events() == list(range(1, 1_501))


async def test_single_trades_fill_a_hole_of_summed_ones(stage: Stage) -> None:
    def summed(number: int, before: int) -> TradeRows:
        previous = np.array([before], dtype=np.int64)
        return dataclasses.replace(trades([number]), previous_id=previous)

    stage.history.kept = set(range(1, 12))
    stage.keeper.on_rows(summed(1, 0))
    stage.keeper.on_rows(summed(10, 7))
    await until(lambda: stage.counted() == (6, 0))
    stage.keeper.on_rows(summed(7, 4))
    stage.keeper.on_rows(summed(12, 10))
    assert stage.events() == [1, 2, 3, 4, 5, 6, 7, 10, 12]
    assert stage.keeper.dropped_total == 1


async def test_what_is_not_subscribed_any_more_is_left_out(stage: Stage) -> None:
    stage.history.may_answer.clear()
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades([3]))
    stage.subscriptions.remove([SYMBOL])
    stage.history.may_answer.set()
    await stage.filled()
    assert stage.events() == [1]


async def test_nothing_waits_where_nobody_asks() -> None:
    stage = Stage()
    stage.keeper.on_rows(trades([1]))
    stage.keeper.on_rows(trades([3]))
    (gap,) = stage.gaps()
    assert stage.events() == [1, gap, 3]


@pytest.fixture
async def texts(stage: Stage) -> Stage:
    """One whose ids have no order, with a new connection after the trade 100."""
    stage.history.texts = True
    stage.keeper.on_rows(trades(range(80, 101), texts=True))
    stage.keeper.reconnected([SYMBOL])
    return stage


async def test_the_newest_trades_show_what_a_new_connection_missed(texts: Stage) -> None:
    texts.history.kept = set(range(60, 112))
    texts.history.may_answer.clear()
    texts.keeper.on_rows(trades([100, 110], texts=True))
    texts.keeper.on_rows(trades([110, 111, 112], texts=True))
    await until(lambda: texts.history.asked)
    texts.history.may_answer.set()
    await texts.filled()
    texts.keeper.on_rows(trades([105, 113], texts=True))
    assert texts.events() == list(range(80, 114))
    assert texts.counted() == (9, 0)


async def test_nothing_missed_is_no_gap(texts: Stage) -> None:
    texts.history.kept = set(range(60, 103))
    texts.keeper.on_rows(trades([101, 102], texts=True))
    await texts.filled()
    assert texts.events() == list(range(80, 103))
    assert texts.counted() == (0, 0)


async def test_the_newest_trades_that_do_not_reach_back_are_a_gap(texts: Stage) -> None:
    texts.history.kept = set(range(60, 201))
    texts.keeper.on_rows(trades([200], texts=True))
    await texts.filled()
    (gap,) = texts.gaps()
    assert (gap.reason, gap.detail) == (RECONNECT, NOT_THERE)
    assert texts.events() == [*range(80, 101), gap, 200]
    texts.keeper.on_rows(trades([201], texts=True))
    assert texts.ids()[-1] == 201
    assert texts.counted() == (0, 1)


async def test_newest_trades_without_the_one_that_waits_prove_nothing(texts: Stage) -> None:
    texts.history.kept = set(range(60, 101))
    texts.keeper.on_rows(trades([110], texts=True))
    await texts.filled()
    assert len(texts.gaps()) == 1
    assert len(texts.history.asked) == 3


async def test_a_connection_that_is_lost_again_leaves_a_gap(texts: Stage) -> None:
    texts.history.may_answer.clear()
    texts.history.kept = set(range(60, 116))
    texts.keeper.on_rows(trades([110], texts=True))
    await until(lambda: texts.history.asked)
    texts.keeper.reconnected([SYMBOL])
    (gap,) = texts.gaps()
    assert gap.detail == LOST_AGAIN
    texts.history.may_answer.set()
    texts.keeper.on_rows(trades([115], texts=True))
    await texts.filled()
    assert texts.events() == [*range(80, 101), gap, *range(110, 116)]
