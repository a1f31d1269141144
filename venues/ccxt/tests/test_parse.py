"""What ccxt returns, as columns."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.base.numbers import NumberError, format_scaled, parse_number
from kit.marketdata.model.columns import SIDE_BUY, SIDE_SELL
from venues.ccxt import parse

RECEIVED_NS = 1_790_000_000_000_000_000
TRADE = {
    "id": "7",
    "timestamp": 1_790_000_000_123,
    "side": "sell",
    "price": 61837.63,
    "amount": 0.001,
    "info": {"t": 7, "p": "61837.63000000", "q": "0.00100000"},
}


def text_of(numbers, row: int = 0) -> str:
    decimals = numbers.decimals if isinstance(numbers.decimals, int) else numbers.decimals[row]
    return format_scaled(int(numbers.unscaled[row]), int(decimals))


def test_a_trade_has_the_exchanges_own_text() -> None:
    rows = parse.trades("BTC/USDT", [TRADE], RECEIVED_NS, consecutive=False)
    assert (rows.price.unscaled.tolist(), rows.price.decimals) == ([6_183_763_000_000], 8)
    assert rows.side.tolist() == [SIDE_SELL]
    assert rows.venue_time_ns.tolist() == [1_790_000_000_123_000_000]
    assert (rows.trade_id_text, rows.trade_id.tolist()) == (["7"], [0])


def test_digits_beyond_a_float_come_from_the_raw_answer() -> None:
    size = "123456789012.12345"
    trade = TRADE | {"amount": float(size), "info": {"q": [{"deep": size}]}}
    rows = parse.trades("A", [trade], RECEIVED_NS, consecutive=False)
    assert text_of(rows.size) == size
    without = parse.trades("A", [trade | {"info": {}}], RECEIVED_NS, consecutive=False)
    assert text_of(without.size) != size


@given(
    st.decimals(min_value=0, max_value=10**9, places=6).filter(
        lambda number: len(str(number).replace(".", "").lstrip("0")) <= 15
    )
)
def test_up_to_15_digits_survive_a_float(number: Decimal) -> None:
    text = parse.plain(json.loads(f"{number:f}"))
    assert Decimal(format_scaled(*parse_number(text))) == number


def test_ids_that_count_by_one_can_show_a_hole() -> None:
    rows = parse.trades("A", [TRADE, TRADE | {"id": "9"}], RECEIVED_NS, consecutive=True)
    assert rows.previous_id is not None
    assert (rows.trade_id.tolist(), rows.previous_id.tolist()) == ([7, 9], [6, 8])
    assert rows.trade_id_text is None


def test_trades_without_an_id_get_one_that_a_repetition_shares() -> None:
    bare = {**TRADE, "id": None}
    first, second = parse.trade_ids([bare, bare])
    assert first != second
    assert parse.trade_ids([bare]) == [first]


def test_a_missing_side_is_not_guessed() -> None:
    sides = [{"side": "buy"}, {"side": None}, {}]
    assert [parse.side(one) for one in sides] == [SIDE_BUY, 0, 0]


def test_a_quote_needs_all_four_numbers() -> None:
    ticker = {"bid": 1.5, "bidVolume": 2.0, "ask": 1.6, "askVolume": 3.0, "timestamp": None}
    rows = parse.quotes("A", ticker, RECEIVED_NS)
    assert rows is not None
    assert (text_of(rows.bid_price), text_of(rows.ask_size)) == ("1.5", "3")
    assert rows.venue_time_ns.tolist() == [0]
    assert parse.quotes("A", ticker | {"bidVolume": None}, RECEIVED_NS) is None


def test_a_ticker_needs_a_last_price_only() -> None:
    rows = parse.tickers("A", {"last": 1e-07}, RECEIVED_NS)
    assert rows is not None
    assert (text_of(rows.last_price), text_of(rows.volume)) == ("0.0000001", "0")
    assert parse.tickers("A", {"last": None}, RECEIVED_NS) is None


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 1e30])
def test_unsupported_numbers_are_rejected(price: float) -> None:
    with pytest.raises(NumberError):
        parse.trades("A", [TRADE | {"price": price, "info": {}}], RECEIVED_NS, consecutive=False)
