"""Candles from before a market opened: from the seed, consistent between intervals."""

from functools import partial

import numpy as np
import pytest

from kit.simulator.history import (
    HOUR_NS,
    MINUTE_NS,
    Candle,
    HistoricalTrade,
    InstrumentTradeHistory,
)
from kit.simulator.market import DAY_NS, INSTRUMENTS, PAST_DAYS, SimulatedMarket
from kit.simulator.price import BEND_S, PriceNoise

OPENING_NS = 1_700_000_000_000_000_000 + 41 * MINUTE_NS
BITCOIN = INSTRUMENTS[0]


def start_of(length_ns: int):
    return lambda at_ns: at_ns - at_ns % length_ns


def history_of(market: SimulatedMarket) -> InstrumentTradeHistory[HistoricalTrade]:
    """As a market view has it: the last day is kept, what is older is computed."""
    history = InstrumentTradeHistory[HistoricalTrade](lambda trades: trades)
    history.past = partial(market.past, BITCOIN)
    history.note_minutes(partial(market.minutes, BITCOIN, 0, market.time_ns))
    return history


@pytest.fixture(scope="module")
def history() -> InstrumentTradeHistory[HistoricalTrade]:
    return history_of(SimulatedMarket("1", OPENING_NS, 200, INSTRUMENTS))


@pytest.fixture(scope="module")
def minutes(history) -> dict[int, Candle]:
    found = history.candles(start_of(MINUTE_NS), 0, OPENING_NS)
    return {candle.start_ns: candle for candle in found}


def test_minutes_of_thirty_days_follow_each_other_without_a_gap(minutes):
    starts = list(minutes)
    assert starts == list(range(starts[0], OPENING_NS - OPENING_NS % MINUTE_NS, MINUTE_NS))
    assert starts[0] <= OPENING_NS - PAST_DAYS * DAY_NS
    closes = [candle.close for candle in minutes.values()]
    assert [candle.open for candle in minutes.values()][1:] == closes[:-1]


@pytest.mark.parametrize("length_ns", [5 * MINUTE_NS, HOUR_NS, 4 * HOUR_NS, DAY_NS])
def test_a_long_candle_equals_its_minutes(history, minutes, length_ns):
    candles = history.candles(start_of(length_ns), 0, OPENING_NS)
    assert [candle.start_ns for candle in candles] == sorted(
        {start - start % length_ns for start in minutes}
    )
    for candle in candles:
        inside = range(candle.start_ns, candle.start_ns + length_ns, MINUTE_NS)
        first, *others = [minutes[start] for start in inside if start in minutes]
        expected = Candle(**{name: getattr(first, name) for name in first.__struct_fields__})
        for other in others:
            expected.join(other)
        assert candle == expected


def test_candles_are_the_same_whatever_the_bounds(history):
    hours = list(history.candles(start_of(HOUR_NS), 0, OPENING_NS))
    start_ns, end_ns = hours[5].start_ns, hours[9].start_ns
    assert list(history.candles(start_of(HOUR_NS), start_ns, end_ns)) == hours[5:10]
    assert list(history.candles(start_of(HOUR_NS), start_ns - 1, end_ns + 1)) == hours[5:10]
    assert list(history.candles(start_of(HOUR_NS), start_ns + 1, end_ns - 1)) == hours[6:9]
    assert list(history.candles(start_of(HOUR_NS), 0, OPENING_NS)[-30:]) == hours[-30:]
    assert history.candles(start_of(HOUR_NS), 0, OPENING_NS)[-1] == hours[-1]


def test_the_past_before_the_last_half_hour_is_the_same_for_a_market_that_opens_later():
    later = SimulatedMarket("1", OPENING_NS + HOUR_NS, 200, INSTRUMENTS)
    asked = start_of(MINUTE_NS), OPENING_NS - 2 * DAY_NS, OPENING_NS
    first, second = (
        list(history_of(market).candles(*asked))
        for market in (SimulatedMarket("1", OPENING_NS, 200, INSTRUMENTS), later)
    )
    bent = BEND_S // 60
    assert first[:-bent] == second[: len(first) - bent]
    assert first != second[: len(first)]
    other = history_of(SimulatedMarket("2", OPENING_NS, 200, INSTRUMENTS)).candles(*asked)
    assert list(other) != first


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda each: f"{each.base}{each.quote}")
@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_the_past_ends_where_the_market_opens(seed, instrument):
    opening_ns = OPENING_NS + 59 * 10**9
    market = SimulatedMarket(seed, opening_ns, 200, INSTRUMENTS)
    before = market.minutes(instrument, 0, opening_ns)
    ((bid, _),) = market.levels(instrument, True, 1)
    ((ask, _),) = market.levels(instrument, False, 1)
    close = before[-1].close * 10**instrument.price_scale / instrument.tick_units
    assert bid - 1 <= close <= ask + 1
    # The way there has no jump either: a minute moves by less than half a per cent.
    assert all(abs(minute.close / minute.open - 1) < 0.005 for minute in before[-60:])


def test_there_is_no_past_below_a_minute(history):
    assert not history.candles(start_of(1_000_000_000), 0, OPENING_NS)


def test_noise_of_many_times_equals_noise_of_each():
    noise = PriceNoise("seed", 64, 0.03)
    # It computes the values of all periods between the first time and the last one.
    for start in (0.0, 1_700_000_000.25):
        seconds = start + np.array([0.0, 1.5, 64.0])
        assert noise.at_all(seconds).tolist() == [noise.at(one) for one in seconds.tolist()]
