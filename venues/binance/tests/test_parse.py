"""Binance frames: digit for digit what the venue wrote."""

import gzip
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from kit.base.numbers import to_decimal
from kit.connector.contract.venue import FrameKind
from kit.marketdata.frames import FrameError, FramePatterns, Frames
from kit.marketdata.model.columns import SIDE_BUY, SIDE_SELL, NumberColumn, PriceLevels, Rows
from venues.binance import parse
from venues.binance.feed import (
    AGGREGATE_TRADES,
    FUTURES_MARKET_STREAMS,
    FUTURES_PUBLIC_STREAMS,
    FUTURES_TRADES,
    SPOT_STREAMS,
    TRADES,
)

TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
AGGREGATE = (
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1616202009196,"a":389551486,'
    b'"s":"BTCUSDT","p":"58665.00","q":"0.043","f":621622993,"l":621622995,"T":1616202009188,'
    b'"m":false}}'
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
TICKER = (
    b'{"stream":"ethusdt@ticker","data":{"e":"24hrTicker","E":1653812650349,"s":"ETHUSDT",'
    b'"p":"28.23000000","P":"1.600","w":"1781.16275609","x":"1764.61000000","c":"1792.84000000",'
    b'"Q":"0.55720000","b":"1792.83000000","B":"1.62740000","a":"1792.84000000","A":"20.29140000",'
    b'"o":"1764.61000000","h":"1808.98000000","l":"1748.94000000","v":"471703.53110000",'
    b'"q":"840180761.51358100","O":1653726250344,"C":1653812650344,"F":1,"L":2,"n":552479}}'
)
CANDLE = (
    b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1653818762502,"s":"BTCUSDT","k":{'
    b'"t":1653818760000,"T":1653818819999,"s":"BTCUSDT","i":"1m","f":1384844002,"L":1384844032,'
    b'"o":"29038.46000000","c":"29038.47000000","h":"29038.48000000","l":"29038.45000000",'
    b'"v":"0.20926000","n":31,"x":false,"q":"6076.58918320","V":"0.10436000","Q":"1","B":"0"}}}'
)
FUTURES_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256321,'
    b'"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
)
FUTURES_QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT",'
    b'"b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256312,"E":1723161256313}}'
)
FUTURES_DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1622371244693,'
    b'"T":1622371244687,"s":"BTCUSDT","U":475776377463,"u":475776380184,"pu":475776377452,'
    b'"b":[["35729.77","1.600"],["35750.00","5.106"]],"a":[["35819.20","0.211"]]}}'
)
MARK = (
    b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1617308820003,'
    b'"s":"BTCUSDT","p":"58940.14924532","P":"58905.14663658","i":"58857.26693664",'
    b'"r":"0.00058455","T":1617321600000}}'
)


def decimals(column: NumberColumn) -> list[Decimal]:
    places = column.decimals
    each = [places] * len(column) if isinstance(places, int) else places.tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), each, strict=True)]


def texts(column: NumberColumn) -> list[str]:
    """With the decimal places of the wire."""
    return [f"{number:f}" for number in decimals(column)]


def captured(folder: Path) -> list[bytes]:
    """The frames of a capture."""
    packed, plain = folder / "frames.jsonl.gz", folder / "frames.jsonl"
    if packed.is_file():
        return gzip.decompress(packed.read_bytes()).splitlines()
    return (plain if plain.is_file() else folder / "binance.jsonl").read_bytes().splitlines()


def test_a_trade() -> None:
    rows = parse.trades(Frames([TRADE], [7]))
    assert rows.symbols.per_row() == ["BTCUSDT"]
    assert decimals(rows.price) == [Decimal("61837.63")]
    assert decimals(rows.size) == [Decimal("0.02")]
    assert rows.side.tolist() == [2]  # the buyer was the maker: the taker sold
    assert rows.venue_time_ns.tolist() == [1723161255342_000_000]
    assert rows.received_time_ns.tolist() == [7]
    assert rows.trade_id.tolist() == [3735683259]
    assert rows.previous_id is not None
    assert rows.previous_id.tolist() == [3735683258]


def test_an_aggregate_trade_has_an_id_of_its_own() -> None:
    rows = parse.aggregates(Frames([AGGREGATE], [7]))
    assert (texts(rows.price), texts(rows.size)) == (["58665.00"], ["0.043"])
    assert rows.side.tolist() == [SIDE_BUY]
    assert rows.trade_id.tolist() == [389551486]
    assert rows.venue_time_ns.tolist() == [1616202009188_000_000]


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


def test_a_ticker() -> None:
    rows = parse.tickers(Frames([TICKER], [7]))
    columns = (rows.last_price, rows.open_price, rows.high_price, rows.low_price, rows.volume)
    assert [texts(column) for column in columns] == [
        ["1792.84000000"],
        ["1764.61000000"],
        ["1808.98000000"],
        ["1748.94000000"],
        ["471703.53110000"],
    ]
    assert rows.venue_time_ns.tolist() == [1653812650344_000_000]


def test_a_candle() -> None:
    rows = parse.candles(Frames([CANDLE, CANDLE.replace(b'"x":false', b'"x":true')], [7, 8]))
    columns = (rows.open, rows.high, rows.low, rows.close, rows.volume)
    assert [texts(column)[0] for column in columns] == [
        "29038.46000000",
        "29038.48000000",
        "29038.45000000",
        "29038.47000000",
        "0.20926000",
    ]
    assert rows.interval_s.tolist() == [60, 60]
    assert rows.open_time_ns.tolist() == [1653818760000_000_000] * 2
    assert rows.closed.tolist() == [0, 1]


def test_a_futures_trade() -> None:
    rows = parse.futures_trades(Frames([FUTURES_TRADE], [7]))
    assert (texts(rows.price), texts(rows.size)) == (["61800.30"], ["0.006"])
    assert rows.side.tolist() == [SIDE_BUY]
    assert rows.venue_time_ns.tolist() == [1723161256321_000_000]
    assert rows.spent is None


@pytest.mark.parametrize("kind", [b"NA", b"INSURANCE_FUND", b"ADL"])
def test_an_id_that_was_not_used_for_a_trade_of_the_market_is_spent(kind: bytes) -> None:
    other = FUTURES_TRADE.replace(b"MARKET", kind)
    rows = parse.futures_trades(Frames([FUTURES_TRADE, other], [7, 8]))
    assert rows.spent is not None
    assert rows.spent.tolist() == [0, 1]


def test_a_futures_quote_has_the_time_of_the_book() -> None:
    rows = parse.futures_quotes(Frames([FUTURES_QUOTE], [7]))
    assert (texts(rows.bid_price), texts(rows.ask_size)) == (["61800.20"], ["2.510"])
    assert rows.venue_time_ns.tolist() == [1723161256312_000_000]


def test_a_futures_book_update_names_the_one_before() -> None:
    rows = parse.futures_book(Frames([FUTURES_DEPTH], [7]))
    numbers = (rows.previous_sequence, rows.first_sequence, rows.last_sequence)
    assert [column.tolist() for column in numbers] == [
        [475776377452],
        [475776377463],
        [475776380184],
    ]
    assert (texts(rows.bids.price), texts(rows.asks.size)) == (["35729.77", "35750.00"], ["0.211"])
    assert rows.venue_time_ns.tolist() == [1622371244687_000_000]


def test_a_mark() -> None:
    rows = parse.marks(Frames([MARK], [7]))
    columns = (rows.mark_price, rows.index_price, rows.funding_rate)
    assert [texts(column) for column in columns] == [
        ["58940.14924532"],
        ["58857.26693664"],
        ["0.00058455"],
    ]
    assert rows.next_funding_time_ns.tolist() == [1617321600000_000_000]


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
        (parse.tickers, TICKER.replace(b'"v":', b'"w":')),
        (parse.candles, CANDLE.replace(b'"1m"', b'"1M"')),
        (parse.candles, CANDLE.replace(b'"k":{', b'"j":{')),
        (parse.futures_trades, FUTURES_TRADE.replace(b'"X":"MARKET",', b"")),
        (parse.futures_quotes, QUOTE),
        (parse.futures_book, DEPTH),
        (parse.marks, MARK.replace(b'"i":"58857.26693664",', b"")),
    ],
)
def test_malformed_frames_are_rejected(parser, frame: bytes) -> None:
    with pytest.raises(FrameError):
        parser(Frames([frame], [7]))


def test_unusual_numbers_are_exact() -> None:
    rows = parse.trades(Frames([TRADE.replace(b'"0.02000000"', b'"1e-7"')], [7]))
    assert decimals(rows.size) == [Decimal("1e-7")]


SPOT_KINDS = [stream.kind for stream in (TRADES, AGGREGATE_TRADES, *SPOT_STREAMS)]
FUTURES_STREAMS = (*FUTURES_PUBLIC_STREAMS, *FUTURES_MARKET_STREAMS)
FUTURES_KINDS = [stream.kind for stream in (FUTURES_TRADES, AGGREGATE_TRADES, *FUTURES_STREAMS)]
CAPTURES = [
    ("binance", "btcusdt_first30s", SPOT_KINDS),
    ("binance", "btcusdt_20240808", SPOT_KINDS),
    ("binance", "btcusdt_20240809", SPOT_KINDS),
    ("binance", "binance_us_2021", SPOT_KINDS),
    ("binance", "binance_tr_2023", SPOT_KINDS),
    ("binance_futures", "btcusdt_first30s", FUTURES_KINDS),
    ("binance_futures", "btcusdt_20240808", FUTURES_KINDS),
    ("binance_futures", "sushi_akro_2021", FUTURES_KINDS),
]
MEMBERS = {
    "trades": {"price": "p", "size": "q"},
    "quotes": {"bid_price": "b", "bid_size": "B", "ask_price": "a", "ask_size": "A"},
    "tickers": {"last_price": "c", "open_price": "o", "high_price": "h", "volume": "v"},
    "candles": {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"},
    "marks": {"mark_price": "p", "index_price": "i", "funding_rate": "r"},
}
"""Columns, and the members of the frame that they come from."""


def read_all(
    lines: Sequence[bytes], kinds: Sequence[FrameKind]
) -> Iterator[tuple[str, Rows, list[dict]]]:
    """What the parsers make of a capture, and what json makes of the same frames."""
    frames = Frames(lines, range(len(lines)))
    found = FramePatterns([kind.pattern for kind in kinds], 64).classify(frames)
    for number, kind in enumerate(kinds):
        chosen = np.flatnonzero(found == number)
        if len(chosen):
            (parser,) = kind.parsers
            wanted = [json.loads(lines[row], parse_float=str)["data"] for row in chosen]
            yield kind.name, parser(frames.take(chosen)), wanted


@pytest.mark.parametrize(("venue", "name", "kinds"), CAPTURES)
def test_every_frame_is_read_digit_for_digit(captures: Path, venue: str, name: str, kinds) -> None:
    """What is left are snapshots."""
    lines = captured(captures / venue / name)
    left = [line for line in lines if line.startswith(b'{"lastUpdateId"')]
    read = 0
    for kind, rows, wanted in read_all(lines, kinds):
        read += len(rows)
        assert rows.symbols.per_row() == [row["s"] for row in wanted]
        if kind == "book":
            same_levels(rows.bids, [row["b"] for row in wanted])
            same_levels(rows.asks, [row["a"] for row in wanted])
            assert rows.last_sequence.tolist() == [row["u"] for row in wanted]
            continue
        for column, member in MEMBERS[kind].items():
            inside = [row["k"] if kind == "candles" else row for row in wanted]
            assert texts(getattr(rows, column)) == [row[member] for row in inside]
    assert read + len(left) == len(lines)


def same_levels(levels: PriceLevels, wanted: list[list[list[str]]]) -> None:
    assert levels.count.tolist() == [len(side) for side in wanted]
    flat = [level for side in wanted for level in side]
    assert texts(levels.price) == [price for price, _ in flat]
    assert texts(levels.size) == [size for _, size in flat]


@pytest.mark.parametrize(
    ("venue", "name", "kinds"),
    [
        ("binance", "btcusdt_20240808", SPOT_KINDS),
        ("binance", "binance_us_2021", SPOT_KINDS),
        ("binance_futures", "btcusdt_20240808", FUTURES_KINDS),
        ("binance_futures", "sushi_akro_2021", FUTURES_KINDS),
    ],
)
def test_trade_ids_are_consecutive_and_quotes_in_order(
    captures: Path, venue: str, name: str, kinds
) -> None:
    for kind, rows, wanted in read_all(captured(captures / venue / name), kinds):
        if kind == "trades":
            for _, part in rows.symbols.rows_of():
                assert set(np.diff(rows.trade_id[part])) == {1}
            assert rows.previous_id.tolist() == (rows.trade_id - 1).tolist()
            sides = [SIDE_SELL if row["m"] else SIDE_BUY for row in wanted]
            assert rows.side.tolist() == sides
            assert rows.venue_time_ns.tolist() == [row["T"] * 1_000_000 for row in wanted]
        elif kind == "quotes":
            for _, part in rows.symbols.rows_of():
                assert (np.diff(rows.sequence[part]) > 0).all()
