"""Looking back: trades by id and time, candles of any interval."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from kit.simulator.history import (
    HOUR_NS,
    MINUTE_NS,
    Candle,
    HistoricalTrade,
    InstrumentTradeHistory,
)

SECOND_NS = 1_000_000_000


def history_of(
    *trades: HistoricalTrade, trades_max: int = 100
) -> InstrumentTradeHistory[HistoricalTrade]:
    history = InstrumentTradeHistory[HistoricalTrade](lambda trades: trades, trades_max)
    for trade in trades:
        history.note(trade)
    return history


def trade(trade_id: int, price: str = "10", size: str = "1", time_ns: int = 0) -> HistoricalTrade:
    return HistoricalTrade(trade_id, price, size, time_ns, taker_buys=trade_id % 2 == 0)


def ids(trades) -> list[int]:
    return [one.trade_id for one in trades]


def test_trades_come_back_once_and_by_id_in_whatever_order_they_came():
    history = history_of(trade(3), trade(1), trade(3), trade(7), trade(2))
    assert ids(history.latest(10)) == [1, 2, 3, 7]
    assert ids(history.latest(2)) == [3, 7]
    assert ids(history.from_id(2, 2)) == [2, 3]
    assert ids(history.from_id(4, 2)) == [7]


def test_trades_of_a_time():
    history = history_of(*(trade(number, time_ns=number * 10) for number in range(10)))
    assert ids(history.between(20, 40, 10)) == [2, 3, 4]
    assert ids(history.between(20, 90, 2)) == [2, 3]


def test_the_oldest_are_forgotten():
    history = history_of(*(trade(number) for number in range(50_000)), trades_max=10)
    assert len(history.latest(50_000)) <= 20_010
    assert ids(history.latest(1)) == [49_999]


def test_a_candle_includes_a_price_beyond_its_range():
    candle = Candle(0, *map(Decimal, (10, 12, 9, 11)))
    wider = [candle.including(Decimal(price)) for price in (8, 10, 13)]
    assert [(one.low, one.high) for one in wider] == [(8, 12), (9, 12), (9, 13)]
    assert (candle.low, candle.high) == (9, 12)


def test_a_candle_is_right_whatever_the_order_of_its_trades():
    first, high, last = trade(1, "10", "2"), trade(2, "12", "1"), trade(3, "9", "4")
    (candle,) = history_of(high, last, first).candles(lambda at_ns: 0, 0, MINUTE_NS)
    assert (candle.open, candle.high, candle.low, candle.close) == (10, 12, 9, 9)
    assert (candle.volume, candle.quote_volume) == (7, 68)
    assert (candle.taker_buy_volume, candle.taker_buy_quote_volume) == (1, 12)
    assert (candle.trade_count, candle.first_trade_id, candle.last_trade_id) == (3, 1, 3)


@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(1, 99)), min_size=1, max_size=60),
    st.sampled_from([1, 5, 60, 300]),
)
def test_candles_of_any_interval_add_up_to_the_trades(found, interval_s):
    found.sort()
    trades = [
        trade(number, str(price), "0.5", second * SECOND_NS)
        for number, (second, price) in enumerate(found)
    ]
    length_ns = interval_s * SECOND_NS
    candles = history_of(*trades).candles(lambda at_ns: at_ns - at_ns % length_ns, 0, 10**18)
    assert sum(candle.trade_count for candle in candles) == len(trades)
    for candle in candles:
        inside = [
            Decimal(one.price)
            for one in trades
            if candle.start_ns <= one.time_ns < candle.start_ns + length_ns
        ]
        assert (candle.open, candle.close) == (inside[0], inside[-1])
        assert (candle.high, candle.low) == (max(inside), min(inside))
        assert candle.volume == Decimal("0.5") * len(inside)


@given(
    st.lists(st.tuples(st.integers(0, 5 * 60), st.integers(1, 99)), min_size=1, max_size=80),
    st.sampled_from([1, 30, 60, 240, 7 * 24 * 60]),
    st.integers(0, 200),
    st.randoms(use_true_random=False),
)
def test_hours_that_were_put_together_follow_their_minutes(found, minutes, start_minute, random):
    random.shuffle(found)
    history, length_ns = history_of(), minutes * MINUTE_NS
    for number, (minute, price) in enumerate(found):
        one = trade(minute * 1000 + number, str(price), "2", minute * MINUTE_NS)
        history.note(one)
        candles = history.candles(
            lambda at_ns: at_ns - at_ns % length_ns, start_minute * MINUTE_NS, 10**18
        )
        known = [one for one in found[: number + 1] if one[0] >= start_minute]
        inside = [
            price
            for minute, price in known
            if minute * MINUTE_NS - minute * MINUTE_NS % length_ns >= start_minute * MINUTE_NS
        ]
        assert sum(candle.volume for candle in candles) == 2 * len(inside)
        assert max((candle.high for candle in candles), default=0) == max(inside, default=0)


def test_minutes_without_trades_are_asked_for_once_and_give_way_to_trades():
    asked = []

    def tell() -> list[Candle]:
        asked.append(True)
        prices = [Decimal(7)] * 4
        return [Candle(minute * MINUTE_NS, *prices, Decimal(1)) for minute in range(3)]

    history = history_of(trade(1, "10", "5", MINUTE_NS))
    history.note_minutes(tell)
    assert ids(history.latest(5)) == [1]
    assert not asked
    for _ in range(2):
        candles = history.candles(lambda at_ns: at_ns - at_ns % MINUTE_NS, 0, HOUR_NS)
        assert [candle.volume for candle in candles] == [1, 5, 1]
    assert len(asked) == 1
