import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2

from core.bars.coverage import HOLES_MAX, CoverageHole, TradeCoverage
from core.bars.tests.market import MONDAY_NS, SECOND_NS, Trade, batch
from core.bars.tests.memory import MemoryVenue
from kit.base.cursor import Cursor
from kit.base.intervals import BY_NAME

T = MONDAY_NS
S = SECOND_NS
MINUTE = 60


def gap(
    reason: str, last: Trade | None = None, first: Trade | None = None, symbol: str = "BTCUSDT"
) -> types_pb2.Gap:
    return types_pb2.Gap(
        symbol=symbol,
        reason=types_pb2.GapReason.Value(f"GAP_REASON_{reason}"),
        last_id_before=last.id if last else 0,
        last_time_ns=last.time_ns if last else 0,
        first_id_after=first.id if first else 0,
        first_time_ns=first.time_ns if first else 0,
    )


def trade(number: int, second: float, symbol: str = "BTCUSDT") -> Trade:
    return Trade(number, T + round(second * S), symbol=symbol)


def seconds(memory: MemoryVenue, interval: str, second: int = 0, symbol: str = "BTCUSDT") -> float:
    memory.roll_up(kept_ns=0)
    return memory.covered_ns(interval, T + second * S, symbol) / S


def end() -> "batch":
    """A trade long after, which makes everything before it final."""
    return batch([trade(10**6, 3600, symbol="ETHUSDT")])


def test_coverage_begins_with_the_first_trade() -> None:
    memory = MemoryVenue().take(batch([trade(1, 12)]), end())
    assert seconds(memory, "1m") == 48
    assert seconds(memory, "1s", 12) == 1


def test_late_earlier_trade_moves_the_beginning() -> None:
    memory = MemoryVenue().take(batch([trade(2, 12)]), end())
    assert seconds(memory, "1m") == 48
    memory.take(batch([trade(1, 10.5)]))
    assert seconds(memory, "1m") == 49.5
    assert memory.revision("1m", T) == 1


def test_an_open_bar_is_covered_up_to_the_watermark() -> None:
    memory = MemoryVenue(2 * S).take(batch([trade(1, 10), trade(2, 30)]))
    assert seconds(memory, "1m") == 18


def test_a_known_hole_takes_its_time_from_every_bar_that_it_touches() -> None:
    before, after = trade(1, 50), trade(9, 70)
    memory = MemoryVenue().take(batch([trade(0, 0), before]))
    memory.take(batch([after], [gap("SEQUENCE", before, after)]), end())
    assert seconds(memory, "1m") == 50
    assert seconds(memory, "1m", MINUTE) == 50
    assert seconds(memory, "5m") == 280
    assert seconds(memory, "1s", 50) == 0
    assert seconds(memory, "1s", 70) == 1


def test_a_hole_lowers_bars_that_are_final_and_no_longer_in_memory() -> None:
    before, after = trade(1, 50), trade(9, 900)
    memory = MemoryVenue().take(batch([before, trade(1, 800, symbol="ETHUSDT")]))
    assert seconds(memory, "1m") == 10
    memory.take(batch([after], [gap("SEQUENCE", before, after)]))
    assert seconds(memory, "1m") == 0
    assert memory.is_final("1m", T)
    assert memory.revision("1m", T) == 0


def test_late_trades_that_fill_a_hole_entirely_give_its_time_back() -> None:
    before, after = trade(1, 10), trade(4, 20)
    memory = MemoryVenue().take(
        batch([before]), batch([after], [gap("SEQUENCE", before, after)]), end()
    )
    assert seconds(memory, "1m") == 40
    memory.take(batch([trade(3, 15)], [gap("OUT_OF_ORDER", after, trade(3, 15))]))
    assert seconds(memory, "1m") == 40
    memory.take(batch([trade(2, 12)], [gap("OUT_OF_ORDER", after, trade(2, 12))]))
    assert seconds(memory, "1m") == 50


def test_trades_out_of_order_take_nothing() -> None:
    memory = MemoryVenue().take(batch([trade(2, 0)]))
    memory.take(batch([trade(1, 0)], [gap("OUT_OF_ORDER", trade(2, 0), trade(1, 0))]), end())
    assert seconds(memory, "1m") == 60


def test_a_restart_between_consecutive_trades_lost_nothing() -> None:
    memory = MemoryVenue().take(batch([trade(1, 0), trade(2, 10)]))
    memory.take(batch(gaps=[gap("RESTART", symbol="")]), batch([trade(3, 40)]), end())
    assert seconds(memory, "1m") == 60


def test_a_restart_that_lost_trades_takes_the_time_until_the_next_trade() -> None:
    memory = MemoryVenue().take(batch([trade(1, 0), trade(2, 10)]))
    memory.take(batch([trade(5, 40)], [gap("RESTART", symbol="")]), end())
    assert seconds(memory, "1m") == 30


def test_the_first_trade_of_any_instrument_ends_a_hole_of_the_channel() -> None:
    memory = MemoryVenue().take(batch([trade(1, 0), trade(1, 10, symbol="ETHUSDT")]))
    memory.take(batch(gaps=[gap("RECONNECT", symbol="")]))
    memory.take(batch([trade(2, 25, symbol="ETHUSDT")]))
    memory.take(batch([trade(9, 50)]), end())
    assert seconds(memory, "1m") == 45
    assert seconds(memory, "1m", symbol="ETHUSDT") == 50


def test_an_open_hole_takes_everything_until_the_next_trade_comes() -> None:
    memory = MemoryVenue().take(batch([trade(1, 0), trade(1, 0, symbol="ETHUSDT")]))
    memory.take(batch(gaps=[gap("OVERFLOW", trade(1, 5))]))
    memory.take(batch([trade(2, 100, symbol="ETHUSDT")]))
    assert seconds(memory, "1m") == 5
    memory.take(batch([trade(9, 30)]), end())
    assert seconds(memory, "1m") == 35


def test_a_duplicate_does_not_end_a_hole() -> None:
    memory = MemoryVenue().take(batch([trade(1, 10), trade(2, 20)]))
    memory.take(batch(gaps=[gap("RECONNECT", symbol="")]))
    memory.take(batch([trade(2, 20)]), batch([trade(7, 35)]), end())
    assert seconds(memory, "1m") == 35


def test_reset_of_the_venue_clears_ids() -> None:
    memory = MemoryVenue().take(batch([trade(1, 10), trade(2, 20)]))
    memory.take(batch([trade(1, 30)], [gap("VENUE_RESET")]), end())
    assert seconds(memory, "1m") == 40
    assert memory.bar("1m", T).trade_count == 3


def test_batches_missing_from_the_stream_are_a_hole() -> None:
    memory = MemoryVenue().take(batch([trade(1, 10)]))
    memory.give(batch([trade(5, 30)]), Cursor(1, 3))
    memory.give(batch([trade(6, 31)]), Cursor(2, 1))
    memory.give(batch([trade(7, 32)]), Cursor(3, 2))
    memory.give(end(), Cursor(3, 3))
    assert seconds(memory, "1m") == 30


def test_a_batch_that_cannot_be_read_is_a_hole() -> None:
    memory = MemoryVenue().take(batch([trade(1, 10)]))
    memory.venue.skip(memory.venue.trades_key, Cursor(1, 2), "broken")
    memory.take(batch([trade(5, 30)]), end())
    assert seconds(memory, "1m") == 30


def test_too_many_holes_become_wider_ones() -> None:
    coverage = TradeCoverage(since_ns=0)
    for number in range(HOLES_MAX + 1):
        coverage.add(CoverageHole(number * 10, number * 10 + 1))
    assert len(coverage.holes) == HOLES_MAX
    assert coverage.covered_ns(0, 20) == 20 - 11 - 0
    assert coverage.covered_ns(20, 40) == 18


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 10), (10, 20), (12, 13), (13, 40), (30, 35), (38, 39), (0, 99)]
)
def test_overlapping_holes_count_once(start, stop) -> None:
    coverage = TradeCoverage(
        10, [CoverageHole(11, 14), CoverageHole(12, 13), CoverageHole(18, 30), CoverageHole(0, 5)]
    )
    watched = [
        time
        for time in range(start, stop)
        if time >= 10 and not 11 <= time < 14 and not 18 <= time < 30
    ]
    assert coverage.covered_ns(start, stop) == len(watched)


@given(st.randoms(use_true_random=False), st.integers(2, 40), st.sampled_from([0.1, 0.5]))
@settings(max_examples=50, deadline=None)
def test_coverage_excludes_remaining_holes(source, count, lost_share) -> None:
    """Against an instant-by-instant computation, for a venue that reports every jump."""
    times = sorted(source.randint(0, 400) for _ in range(count))
    every = [trade(number, quarter / 4) for number, quarter in enumerate(times, start=1)]
    lost = {t.id for t in every[1:] if source.random() < lost_share}
    late = {number for number in lost if source.random() < 0.5}
    memory, newest, holes = MemoryVenue(), None, []
    waiting: list[Trade] = []
    for current in every:
        if current.id in lost:
            waiting += [current] if current.id in late else []
            continue
        gaps = []
        if newest and current.id > newest.id + 1:
            gaps.append(gap("SEQUENCE", newest, current))
            holes.append((newest, current))
        newest = current
        memory.take(batch([current], gaps))
        if waiting and source.random() < 0.3:
            memory.take(batch([waiting.pop(source.randrange(len(waiting)))]))
        if source.random() < 0.3:
            memory.roll_up(kept_ns=0)
    for rest in waiting:
        memory.take(batch([rest]))
    memory.take(end())
    memory.roll_up(kept_ns=0)
    never = lost - late
    gone = [
        (before.time_ns, after.time_ns)
        for before, after in holes
        if never & set(range(before.id + 1, after.id))
    ]
    step = S // 4
    for (symbol, name, opened), stored in memory.stored.items():
        length = BY_NAME[name].length_ns
        if symbol == "BTCUSDT" and length <= MINUTE * S:
            watched = [
                instant
                for instant in range(opened, opened + length, step)
                if instant >= every[0].time_ns
                and not any(start <= instant < stop for start, stop in gone)
            ]
            assert stored[4] == len(watched) * step
