import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2

from core.bars.batch_trades import MalformedBatch
from core.bars.tests.market import MONDAY_NS, SECOND_NS, Trade, batch, naive_bars
from core.bars.tests.memory import MemoryVenue
from kit.base.cursor import Cursor
from kit.base.intervals import BY_NAME, INTERVALS

T = MONDAY_NS + 3600 * SECOND_NS
LATENESS_NS = 2 * SECOND_NS
INT64_MAX = 2**63 - 1


def at(seconds: float) -> int:
    """Venue time, seconds after one o'clock."""
    return T + round(seconds * SECOND_NS)


@st.composite
def _streams(draw) -> list[Trade]:
    """Trades as they come: some late, some twice, several at the same time."""
    count = draw(st.integers(1, 40))
    source = random.Random(draw(st.integers(0, 2**32)))
    reach_s = draw(st.sampled_from([2, 20, 400]))
    times_ns = sorted(at(source.randint(-20, 4 * reach_s) / 4) for _ in range(count))
    trades = [
        Trade(
            id=1000 + number,
            time_ns=time_ns,
            price=source.randint(-(10**15), 10**15),
            size=source.randint(0, 10**15),
            side=source.randint(0, 2),
            symbol=source.choice(["BTCUSDT", "SHIBUSDT"]),
        )
        for number, time_ns in enumerate(times_ns)
    ]
    order = draw(st.sampled_from(["as they happened", "a little late", "anyhow"]))
    if order != "as they happened":
        reach = 3 if order == "a little late" else count
        trades.sort(key=lambda trade: trade.id + source.uniform(0, reach))
    for _ in range(draw(st.integers(0, 5))):
        again = source.choice(trades)
        trades.insert(source.randint(trades.index(again), len(trades)), again)
    return trades


def _fed(trades: list[Trade], source: random.Random) -> MemoryVenue:
    """The trades in batches of random lengths, with folds and evictions at random times."""
    memory = MemoryVenue(LATENESS_NS)
    rest = list(trades)
    while rest:
        length = source.choice([1, 1, 2, 5, len(rest)])
        memory.take(batch(rest[:length]))
        del rest[:length]
        if source.random() < 0.4:
            memory.roll_up(kept_ns=source.choice([0, SECOND_NS, 3600 * SECOND_NS]))
    memory.roll_up(kept_ns=0)
    return memory


@given(_streams(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_bars_equal_the_obvious_computation(trades, source) -> None:
    assert _fed(trades, source).bars() == naive_bars(trades)


@given(_streams(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_how_the_stream_is_cut_makes_no_difference(trades, source) -> None:
    one_by_one = MemoryVenue(LATENESS_NS)
    for trade in trades:
        one_by_one.take(batch([trade]))
        one_by_one.roll_up()
    assert _fed(trades, source).settled() == one_by_one.settled()


@given(_streams())
@settings(max_examples=60, deadline=None)
def test_revision_counts_the_trades_that_came_too_late(trades) -> None:
    memory = MemoryVenue(LATENESS_NS).take(batch(trades))
    memory.roll_up()
    newest, late, seen = 0, {}, set()
    for trade in trades:
        for interval in INTERVALS:
            opened = interval.open_ns(trade.time_ns)
            key = (trade.symbol, interval.name, opened)
            is_late = opened + interval.length_ns <= newest - LATENESS_NS
            late[key] = late.get(key, 0) + (is_late and trade.id not in seen)
        seen.add(trade.id)
        newest = max(newest, trade.time_ns)
    assert {key: stored[2] for key, stored in memory.stored.items()} == late


@given(_streams(), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_arrival_order_makes_no_difference_to_what_a_bar_says(trades, source) -> None:
    shuffled = source.sample(trades, len(trades))
    assert _fed(shuffled, source).bars() == _fed(trades, source).bars()


def test_a_late_trade_that_belongs_first_and_last_changes_open_and_close() -> None:
    memory = MemoryVenue().take(batch([Trade(5, at(10.5), price=500)]))
    memory.take(batch([Trade(4, at(10.5), price=400), Trade(6, at(10.5), price=600)]))
    memory.roll_up()
    bar = memory.bar("1s", at(10))
    assert (bar.open, bar.close) == (4, 6)


def test_sums_beyond_64_bits_are_exact() -> None:
    trades = [Trade(n, at(n / 10), price=INT64_MAX, size=INT64_MAX - n) for n in range(1, 9)]
    memory = MemoryVenue().take(batch(trades, scale=(8, 8)))
    memory.roll_up()
    bar = memory.bar("1m", at(0))
    assert bar.volume * 10**8 == 8 * INT64_MAX - 36
    assert bar.quote_volume * 10**16 == INT64_MAX * (8 * INT64_MAX - 36)


def test_weeks_open_on_monday() -> None:
    sunday_night = MONDAY_NS - 1
    memory = MemoryVenue().take(batch([Trade(1, sunday_night), Trade(2, MONDAY_NS)]))
    memory.roll_up()
    weeks = [opened for _, name, opened in memory.stored if name == "1w"]
    assert weeks == [MONDAY_NS - 7 * 86400 * SECOND_NS, MONDAY_NS]


def test_a_change_of_scale_changes_no_amount() -> None:
    memory = MemoryVenue().take(batch([Trade(1, at(0), price=100, size=5)], scale=(2, 3)))
    memory.roll_up()
    memory.take(
        batch([Trade(2, at(0.1), price=20_000, size=7)], scale=(4, 1)),
        batch([Trade(3, at(0.2), price=3, size=9)], scale=(0, 0)),
    )
    memory.roll_up()
    bar = memory.bar("1s", at(0))
    assert (bar.open, bar.high, bar.close) == (1, 3, 3)
    assert bar.volume * 1000 == 5 + 700 + 9000


@pytest.mark.parametrize("ids", [[1, 2, 2, 3], [3, 1, 2, 1], [1, 1]])
def test_a_trade_counts_once(ids) -> None:
    memory = MemoryVenue()
    memory.take(batch([Trade(number, at(number)) for number in ids]))
    memory.take(batch([Trade(number, at(number)) for number in ids]))
    memory.roll_up()
    assert memory.bar("1m", at(0)).trade_count == len(set(ids))


def test_trades_without_numbers_count_each_and_keep_their_order() -> None:
    trades = [Trade(0, at(0), price=price) for price in (7, 9, 8)]
    memory = MemoryVenue().take(batch(trades[:2]))
    memory.take(batch(trades[2:]))
    memory.roll_up()
    bar = memory.bar("1s", at(0))
    assert (bar.trade_count, bar.open * 100, bar.close * 100) == (3, 7, 8)


def test_a_bar_is_final_when_the_watermark_reaches_its_end() -> None:
    memory = MemoryVenue(2 * SECOND_NS).take(batch([Trade(1, at(0.5)), Trade(2, at(2.999))]))
    memory.roll_up()
    assert not memory.is_final("1s", at(0))
    memory.take(batch([Trade(3, at(3), symbol="ETHUSDT")]))
    memory.roll_up()
    assert memory.is_final("1s", at(0))
    assert not memory.is_final("1s", at(2))


def test_a_late_trade_amends_a_bar_that_is_no_longer_in_memory() -> None:
    memory = MemoryVenue().take(batch([Trade(1, at(0.5), price=1), Trade(3, at(600), price=3)]))
    memory.roll_up(kept_ns=0)
    assert all(bar.end_ns > at(598) for bar in memory.venue.instruments["BTCUSDT"].bars.values())
    memory.take(batch([Trade(2, at(0.7), price=2)]))
    changed = memory.roll_up(kept_ns=0)
    assert memory.bar("1s", at(0)).close * 100 == 2
    assert [memory.revision(name, at(0)) for name in ("1s", "5m", "15m")] == [1, 1, 0]
    assert len(changed) == len(INTERVALS)


def test_bars_that_wait_for_the_database_are_not_evicted() -> None:
    memory = MemoryVenue().take(batch([Trade(1, at(0)), Trade(2, at(600))]))
    busy = {bar for bar in memory.roll_up() if bar.level == 0 and bar.final}
    held = memory.venue.instruments["BTCUSDT"].bars
    memory.venue.evict(0, busy)
    assert busy
    assert busy <= set(held.values())
    memory.venue.evict(0, busy=())
    assert not busy & set(held.values())


def test_checkpoints_move_time_only_where_time_is_the_wall_clock() -> None:
    for counts in (True, False):
        memory = MemoryVenue(checkpoints_count=counts).take(batch([Trade(1, at(0))]))
        memory.take(batch(published_ns=at(3)))
        memory.roll_up()
        assert memory.is_final("1s", at(0)) is counts


def test_a_batch_that_holds_only_a_gap_moves_no_time() -> None:
    memory = MemoryVenue(checkpoints_count=True).take(batch([Trade(1, at(0))]))
    gap = types_pb2.Gap(reason=types_pb2.GAP_REASON_RECONNECT)
    memory.take(batch(gaps=[gap], published_ns=at(100)))
    memory.roll_up()
    assert not memory.is_final("1s", at(0))


def test_malformed_batches_change_nothing() -> None:
    short = batch([Trade(1, at(0)), Trade(2, at(0))])
    del short.trades.size[1]
    stranger = batch([Trade(1, at(0))])
    stranger.trades.instrument[0] = 1
    ancient = batch([Trade(1, -1)])
    absurd = batch([Trade(1, at(0))], scale=(0, 1_000_000))
    sideways = batch([Trade(1, at(0), side=-1)])
    memory = MemoryVenue()
    for message in (short, stranger, ancient, absurd, sideways):
        with pytest.raises(MalformedBatch):
            memory.give(message, Cursor(1, 1))
    assert not memory.roll_up()


def test_memory_holds_only_bars_of_the_kept_time() -> None:
    memory = MemoryVenue()
    for second in range(0, 7200, 3):
        memory.take(batch([Trade(second + 1, at(second))]))
        memory.roll_up(kept_ns=10 * SECOND_NS)
    held = memory.venue.instruments["BTCUSDT"].bars
    assert len(held) < 40
    assert len(memory.stored) > 2400
    assert all(bar.end_ns > at(7197 - 12) for bar in held.values())
    assert {bar.level for bar in held.values()} == set(range(len(INTERVALS)))
    assert BY_NAME["1w"].open_ns(at(0)) == MONDAY_NS
