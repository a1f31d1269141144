"""Market data that had arrived by the end of a bar."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.features.evaluator import Evaluator
from kit.features.market import Market, own, spread_bps
from kit.features.market_fields import InputKind
from kit.features.market_inputs import AGE_NS_MAX, ROWS_MAX, InputRow, InputSeries, MarketInputs

OWN, OTHER = "binance/BTCUSDT", "okx/BTC-USDT"
SECOND_NS = 1_000_000_000
QUOTES = InputSeries(OWN, InputKind.QUOTES)
OTHER_BARS = InputSeries(OTHER, InputKind.BARS)
WANTED = [own.bid_price, own.ask_price, Market(OTHER).close]


def inputs(*wanted):
    return MarketInputs(wanted or WANTED, OWN, SECOND_NS)


def quote(time_ns, price):
    return InputRow(time_ns, (price, 1.0, price + 1, 2.0))


def other_bar(time_ns, price):
    return InputRow(time_ns, (price, price, price, price, 1.0, 1.0, price, 1.0))


def test_series_are_named_once_and_the_own_instrument_by_its_name():
    evaluator = Evaluator([spread_bps, Market(OTHER).flow(3), own.book_imbalance(5)])
    assert MarketInputs(evaluator.inputs, OWN, SECOND_NS).series == (
        InputSeries(OWN, InputKind.QUOTES),
        InputSeries(OTHER, InputKind.BARS),
        InputSeries(OWN, InputKind.BOOK, 5),
    )


@given(st.integers(0, 10_000))
def test_a_bar_sees_only_what_had_arrived_at_its_end(seed):
    """Whatever comes later, and in whichever parts, changes nothing that was seen."""
    source = random.Random(seed)
    times = sorted(source.randrange(20 * SECOND_NS) for _ in range(60))
    rows = [(source.choice([QUOTES, OTHER_BARS]), time_ns) for time_ns in times]
    ends = [number * SECOND_NS for number in range(1, 20)]
    # All rows are there before the first bar.
    whole, expected = inputs(), []
    for number, (series, time_ns) in enumerate(rows):
        whole.add(series, (quote if series is QUOTES else other_bar)(time_ns, float(number)))
    for end_ns in ends:
        had_arrived = [number for number, (_, time_ns) in enumerate(rows) if time_ns <= end_ns]
        newest = {rows[number][0]: float(number) for number in had_arrived}
        bid, last = newest.get(QUOTES), newest.get(OTHER_BARS)
        expected.append((bid, None if bid is None else bid + 1, last))
    assert [whole.at(end_ns) for end_ns in ends] == expected
    # Each row comes as late as it may, and some come early.
    parts, waiting, found = inputs(), list(enumerate(rows)), []
    for end_ns in ends:
        ahead = end_ns + source.randrange(3 * SECOND_NS)
        while waiting and waiting[0][1][1] <= ahead:
            number, (series, time_ns) = waiting.pop(0)
            parts.add(series, (quote if series is QUOTES else other_bar)(time_ns, float(number)))
        found.append(parts.at(end_ns))
    assert found == expected


def test_old_values_are_not_known():
    of = inputs()
    of.add(QUOTES, quote(SECOND_NS, 5.0))
    of.add(OTHER_BARS, other_bar(SECOND_NS, 7.0))
    assert of.at(SECOND_NS + AGE_NS_MAX) == (5.0, 6.0, 7.0)
    assert of.at(SECOND_NS + AGE_NS_MAX + 1) == (None, None, None)


def test_trades_of_an_earlier_bar_are_not_those_of_this_one():
    series = InputSeries(OWN, InputKind.TRADES)
    of = inputs(own.largest_trade, own.swept_prices)
    trades = [(0, 9.0, 1, 0), (1, 2.0, 7, 1), (2, -3.0, 7, 2), (2, -1.0, 6, 2), (2, -1.0, 5, 2)]
    trades += [(SECOND_NS, 2.5, 7, 3), (SECOND_NS, 1.0, 8, 4)]
    for time_ns, size, price, venue_time_ns in trades:
        of.add(series, InputRow(time_ns, (size, float(price), venue_time_ns)))
    # The trade at the beginning of the bar belongs to the one before.
    assert of.at(SECOND_NS, 0) == (-3.0, -3.0)
    assert of.at(2 * SECOND_NS, SECOND_NS) == (None, None)


def test_what_was_seen_is_kept_over_a_restart():
    of, again = inputs(), inputs()
    of.add(QUOTES, quote(SECOND_NS, 5.0))
    of.add(QUOTES, quote(3 * SECOND_NS, 9.0))
    of.at(2 * SECOND_NS)
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(of.save())))
    assert again.at(2 * SECOND_NS) == (5.0, 6.0, None)
    # What comes later is read again.
    again.add(QUOTES, quote(3 * SECOND_NS, 9.0))
    assert again.at(3 * SECOND_NS) == of.at(3 * SECOND_NS) == (9.0, 10.0, None)


def test_more_rows_than_it_can_keep_make_a_series_unknown_until_it_has_caught_up():
    of = inputs()
    of.add(QUOTES, quote(SECOND_NS, 5.0))
    of.at(SECOND_NS)
    for number in range(ROWS_MAX + 1):
        of.add(QUOTES, quote(3 * SECOND_NS + number, 9.0))
    assert of.at(2 * SECOND_NS) == (None, None, None)
    assert of.at(4 * SECOND_NS) == (9.0, 10.0, None)


@pytest.mark.parametrize("wrong", ["BTCUSDT", "okx/", "/BTC", "OKX BTC"])
def test_a_market_needs_a_venue_and_a_symbol(wrong):
    with pytest.raises(ValueError, match="allowed: venue id"):
        Market(wrong)
    with pytest.raises(ValueError, match="allowed are 1 to 50"):
        own.book_imbalance(51)
