"""Whatever is lost, doubled or late: every trade once and in order, or inside a gap."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.batches import Batch
from kit.clock import SystemClock
from kit.columns import Numbers, Symbols, TradeRows, zeros
from kit.cursor import CHANNELS
from kit.encode import Draft
from kit.errors import VenueUnavailable
from kit.telemetry import Meter
from kit.venue import tradekeeper
from kit.venue.hub import Hub
from kit.venue.refill import Refill
from kit.venue.subscriptions import Subscriptions
from kit.venue.tradekeeper import LOST_AGAIN, NOT_THERE, TOO_MANY, Tradekeeper
from tests.support.waiting import until

TRADES = types_pb2.CHANNEL_TRADES
RECONNECT, SEQUENCE = types_pb2.GAP_REASON_RECONNECT, types_pb2.GAP_REASON_SEQUENCE
SYMBOL, OTHER = "BTCUSDT", "ETHUSDT"
PATIENCE_S = 3.0


def trades(
    ids: Iterable[int], symbol: str = SYMBOL, texts: bool = False, price: str = ""
) -> TradeRows:
    """As the feed brings them; a price is the id, a time is too."""
    numbers = np.array(list(ids), dtype=np.int64)
    prices = Numbers.parse([price or f"{number}.0" for number in numbers])
    rows = TradeRows(
        Symbols.of([symbol] * len(numbers)),
        prices,
        Numbers.parse(["1"] * len(numbers)),
        zeros(len(numbers)) + 1,
        numbers,
        numbers,
        numbers,
        numbers - 1,
    )
    if not texts:
        return rows
    named = [f"t{number}" for number in numbers]
    none = zeros(len(numbers))
    return dataclasses.replace(rows, trade_id=none, previous_id=None, trade_id_text=named)


class FakeHistory:
    """A venue that keeps some of its trades, and answers when it may."""

    def __init__(self) -> None:
        self.kept: set[int] = set()
        self.coming: set[int] = set()
        """Kept after the first answer."""
        self.texts = False
        self.newest = 60
        self.page = 1_000
        self.asked: list[tuple[str, int, int]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None
        self.price = ""

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        self.asked.append((symbol, first_trade_id, count))
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        found = sorted(number for number in self.kept if number >= first_trade_id)
        self.kept = self.kept | self.coming
        wanted = found[: min(count, self.page)] if first_trade_id else found[-self.newest :]
        return [self._trade(number) for number in wanted]

    def _trade(self, number: int) -> market_data_pb2.Trade:
        return market_data_pb2.Trade(
            trade_id=f"t{number}" if self.texts else str(number),
            price=self.price or f"{number}.00",
            size="1",
            side=types_pb2.SIDE_SELL,
            venue_time_ns=number,
        )


class Impatient(SystemClock):
    """Who sleeps wakes at once."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Stage:
    """A tradekeeper, what fills its holes, and what came out."""

    def __init__(self) -> None:
        clock = Impatient()
        self.history = FakeHistory()
        self.meter = Meter("somewhere")
        self.subscriptions = Subscriptions(CHANNELS)
        self.subscriptions.add([SYMBOL, OTHER])
        self._hub = Hub("somewhere", 1, clock, self.meter)
        self._reader = self._hub.reader({}, earliest=[TRADES], latest=(), symbols=frozenset())
        self.keeper = Tradekeeper(self._publish, self.subscriptions, clock)
        self._clock = clock
        self._batches: list[Batch] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self, patience_s: float = PATIENCE_S) -> None:
        history = self.history
        refill = Refill(self.keeper, history, patience_s, self.meter, self._clock)  # type: ignore[arg-type]  # asked for trades alone
        self._task = asyncio.create_task(refill.run())
        await asyncio.sleep(0)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def filled(self) -> None:
        """Wait until nothing waits."""
        await until(lambda: not self.keeper.holds)

    def _publish(self, draft: Draft) -> None:
        self._hub.publish(TRADES, draft)

    def events(self, symbol: str = SYMBOL) -> list[int | types_pb2.Gap]:
        """Trades and gaps in the order in which a reader has them."""
        response = market_data_pb2.SubscribeResponse.FromString(self._reader.take())
        self._batches += response.batches
        found: list[int | types_pb2.Gap] = []
        for batch in self._batches:
            found += [gap for gap in batch.gaps if gap.symbol == symbol]
            columns = batch.trades
            for row, place in enumerate(columns.instrument):
                entry = batch.instruments[place]
                if entry.symbol == symbol:
                    scale = 10**entry.price_scale
                    assert columns.price[row] % scale == 0
                    found.append(columns.price[row] // scale)
        return found

    def ids(self, symbol: str = SYMBOL) -> list[int]:
        return [one for one in self.events(symbol) if isinstance(one, int)]

    def gaps(self, symbol: str = SYMBOL) -> list[types_pb2.Gap]:
        return [one for one in self.events(symbol) if not isinstance(one, int)]

    def counted(self) -> tuple[float, float]:
        """Refilled trades, failures."""
        counters = self.meter.counters
        return counters["refilled_trades_total"], counters["refill_failures_total"]


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
    *_, batch = stage._batches
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
    monkeypatch.setattr(tradekeeper, "HELD_ROWS_MAX", 5)
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
    told: set[int] = set()
    newest = 0
    late = False
    for event in stage.events():
        if isinstance(event, int):
            assert event > newest or (late and event in told), (event, newest)
            newest, late = max(newest, event), False
        elif event.reason == types_pb2.GAP_REASON_OUT_OF_ORDER:
            late = True
        else:
            told.update(range(event.last_id_before + 1, event.first_id_after))
    assert set(range(1, LAST + 2)) - set(ids) <= told
    assert told.isdisjoint(kept)
