"""Binance frames: digit for digit what the venue wrote."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from kit.columns import Numbers
from kit.frames import FrameError, Frames
from kit.numbers import to_decimal
from venues.binance import parse

TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",'
    b'"B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}'
)
DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT",'
    b'"U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],'
    b'"a":[["61838.04000000","0.32332000"],["61844.30","0.4"]]}}'
)


def decimals(column: Numbers) -> list[Decimal]:
    places = column.decimals
    each = [places] * len(column) if isinstance(places, int) else places.tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), each, strict=True)]


def test_a_trade() -> None:
    rows = parse.trades(Frames([TRADE], [7]))
    assert rows.symbols.per_row() == ["BTCUSDT"]
    assert decimals(rows.price) == [Decimal("61837.63")]
    assert decimals(rows.size) == [Decimal("0.02")]
    assert rows.side.tolist() == [2]  # the buyer was the maker: the taker sold
    assert rows.venue_time_ns.tolist() == [1723161255342_000_000]
    assert rows.received_time_ns.tolist() == [7]
    assert rows.trade_id.tolist() == [3735683259]


def test_a_quote() -> None:
    rows = parse.quotes(Frames([QUOTE], [7]))
    assert decimals(rows.bid_price) == [Decimal("61837.63")]
    assert decimals(rows.ask_size) == [Decimal("1.54698")]
    assert rows.sequence.tolist() == [50093239212]
    assert rows.venue_time_ns.tolist() == [0]


def test_a_book_update() -> None:
    rows = parse.book(Frames([DEPTH, DEPTH], [7, 8]))
    assert rows.first_sequence.tolist() == [50093239203] * 2
    assert rows.last_sequence.tolist() == [50093239207] * 2
    assert rows.bids.count.tolist() == [1, 1]
    assert rows.asks.count.tolist() == [2, 2]
    assert decimals(rows.bids.price) == [Decimal("55653.87")] * 2
    assert decimals(rows.bids.size) == [Decimal(0)] * 2
    assert decimals(rows.asks.price) == [Decimal("61838.04"), Decimal("61844.30")] * 2
    assert decimals(rows.asks.size) == [Decimal("0.32332"), Decimal("0.4")] * 2


def test_empty_sides_are_no_levels() -> None:
    empty = DEPTH.replace(b'[["55653.87000000","0.00000000"]]', b"[]")
    rows = parse.book(Frames([empty], [7]))
    assert (rows.bids.count.tolist(), rows.asks.count.tolist()) == ([0], [2])
    assert (len(rows.bids.price), len(rows.asks.price)) == (0, 2)


@pytest.mark.parametrize(
    ("parser", "frame"),
    [
        (parse.trades, TRADE[:-1]),
        (parse.trades, TRADE.replace(b'"61837.63000000"', b'"NaN"')),
        (parse.trades, TRADE.replace(b'"t":3735683259,', b"")),
        (parse.trades, TRADE.replace(b"3735683259", b"99999999999999999999")),
        (parse.quotes, QUOTE.replace(b'"3.78826000"', b'""')),
        (parse.quotes, QUOTE.replace(b"50093239212", b"-")),
        (parse.book, DEPTH.replace(b'"61844.30","0.4"', b'"61844.30"')),
        (parse.book, DEPTH.replace(b'"61844.30"', b'"6.18.44"')),
        (parse.book, DEPTH.replace(b'"61844.30"', b"true")),
        (parse.book, DEPTH.replace(b'[["55653.87000000","0.00000000"]]', b"null")),
        (parse.book, DEPTH.replace(b'[["55653.87000000","0.00000000"]]', b"{}")),
        (parse.book, b"[]"),
        (parse.trades, b"\xff\xfe"),
    ],
)
def test_what_is_malformed_is_refused(parser, frame: bytes) -> None:
    with pytest.raises(FrameError):
        parser(Frames([frame], [7]))


def test_unusual_numbers_are_exact() -> None:
    rows = parse.trades(Frames([TRADE.replace(b'"0.02000000"', b'"1e-7"')], [7]))
    assert decimals(rows.size) == [Decimal("1e-7")]


def test_a_real_session_is_read_digit_for_digit(captures: Path) -> None:
    lines = (captures / "binance/btcusdt_first30s/frames.jsonl").read_bytes().splitlines()

    def of(stream: str) -> tuple[Frames, list[dict]]:
        chosen = [line for line in lines if f'@{stream}"'.encode() in line[:64]]
        return Frames(chosen, range(len(chosen))), [json.loads(line)["data"] for line in chosen]

    frames, wanted = of("trade")
    trades = parse.trades(frames)
    assert decimals(trades.price) == [Decimal(row["p"]) for row in wanted]
    assert decimals(trades.size) == [Decimal(row["q"]) for row in wanted]
    assert trades.trade_id.tolist() == [row["t"] for row in wanted]
    assert len(trades) > 500
    frames, wanted = of("bookTicker")
    quotes = parse.quotes(frames)
    for column, key in (("bid_price", "b"), ("bid_size", "B"), ("ask_price", "a")):
        assert decimals(getattr(quotes, column)) == [Decimal(row[key]) for row in wanted]
    frames, wanted = of("depth@100ms")
    book = parse.book(frames)
    for side, key in ((book.bids, "b"), (book.asks, "a")):
        levels = [level for row in wanted for level in row[key]]
        assert decimals(side.price) == [Decimal(price) for price, _ in levels]
        assert decimals(side.size) == [Decimal(size) for _, size in levels]
    assert len(book) > 200
