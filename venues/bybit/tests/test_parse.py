"""Bybit frames: digit for digit what the venue wrote."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from kit.base.numbers import to_decimal
from kit.marketdata.frames import FrameError, Frames
from kit.marketdata.model.columns import NumberColumn, PriceLevels
from venues.bybit import parse

TRADES = (
    b'{"topic":"publicTrade.BTCUSDT","ts":1789875217841,"type":"snapshot","data":[{"i":"229000001",'
    b'"T":1789875217840,"p":"80413.3","v":"0.06","S":"Sell","seq":114263055846,"s":"BTCUSDT",'
    b'"BT":false,"RPI":false},{"BT":false,"RPI":false,"S":"Buy","T":1789875217841,'
    b'"i":"fe9ef57c-2571","p":"80414","s":"BTCUSDT","seq":114263055850,"v":"0.004904"}]}'
)
QUOTE = (
    b'{"topic":"orderbook.1.BTCUSDT","ts":1786613159749,"type":"snapshot","data":{"s":"BTCUSDT",'
    b'"b":[["63705.3","2.045546"]],"a":[["63706","2.334566"]],"u":72212457,"seq":112603120278},'
    b'"cts":1786613159748}'
)
BOOK = (
    b'{"topic":"orderbook.200.BTCUSDT","ts":1787612486116,"type":"delta","data":{"s":"BTCUSDT",'
    b'"b":[["78715","1.271882"]],"a":[["78716.8","0.027559"],["78748.5","0"]],"u":217107085,'
    b'"seq":113099229629},"cts":1787612486108}'
)
TICKER = (
    b'{"topic":"tickers.BTCUSDT","ts":1786538729776,"type":"snapshot","cs":112571857121,"data":{'
    b'"symbol":"BTCUSDT","lastPrice":"64057.7","highPrice24h":"64500","lowPrice24h":"63232.1",'
    b'"prevPrice24h":"64326.9","volume24h":"7217.990977","turnover24h":"460629823.77866687",'
    b'"price24hPcnt":"-0.0042","usdIndexPrice":"63989.741059"}}'
)
CANDLE = (
    b'{"topic":"kline.1.BTCUSDT","data":[{"start":1672324800000,"end":1672324859999,"interval":"1",'
    b'"open":"16649.5","close":"16677","high":"16678","low":"16608","volume":"2.081",'
    b'"turnover":"34666.4005","confirm":true,"timestamp":1672324859882}],"ts":1672324859882,'
    b'"type":"snapshot"}'
)


def decimals(column: NumberColumn) -> list[Decimal]:
    places = column.decimals
    each = [places] * len(column) if isinstance(places, int) else places.tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), each, strict=True)]


def pairs(levels: PriceLevels) -> list[tuple[Decimal, Decimal]]:
    return list(zip(decimals(levels.price), decimals(levels.size), strict=True))


def test_trades() -> None:
    rows = parse.trades(Frames([TRADES], [7]))
    assert rows.symbols.per_row() == ["BTCUSDT", "BTCUSDT"]
    assert decimals(rows.price) == [Decimal("80413.3"), Decimal(80414)]
    assert decimals(rows.size) == [Decimal("0.06"), Decimal("0.004904")]
    assert rows.side.tolist() == [2, 1]
    assert rows.venue_time_ns.tolist() == [1789875217840_000_000, 1789875217841_000_000]
    assert rows.received_time_ns.tolist() == [7, 7]
    assert rows.trade_id.tolist() == [0, 0]
    assert rows.trade_id_text == ["229000001", "fe9ef57c-2571"]
    assert rows.previous_id is None


def test_a_quote() -> None:
    rows = parse.quotes(Frames([QUOTE, QUOTE], [7, 8]))
    assert decimals(rows.bid_price) == [Decimal("63705.3")] * 2
    assert decimals(rows.bid_size) == [Decimal("2.045546")] * 2
    assert decimals(rows.ask_price) == [Decimal(63706)] * 2
    assert decimals(rows.ask_size) == [Decimal("2.334566")] * 2
    assert rows.sequence.tolist() == [112603120278] * 2
    assert rows.venue_time_ns.tolist() == [1786613159748_000_000] * 2
    assert rows.received_time_ns.tolist() == [7, 8]


def test_an_empty_side_of_a_quote_is_zero() -> None:
    without_bid = QUOTE.replace(b'[["63705.3","2.045546"]]', b"[]")
    rows = parse.quotes(Frames([without_bid, QUOTE], [7, 8]))
    assert decimals(rows.bid_price) == [Decimal(0), Decimal("63705.3")]
    assert decimals(rows.bid_size) == [Decimal(0), Decimal("2.045546")]
    assert decimals(rows.ask_price) == [Decimal(63706)] * 2


def test_a_book_update() -> None:
    rows = parse.book(Frames([BOOK, BOOK], [7, 8]))
    assert rows.first_sequence.tolist() == rows.last_sequence.tolist() == [217107085] * 2
    assert rows.snapshot.tolist() == [0, 0]
    assert rows.venue_time_ns.tolist() == [1787612486108_000_000] * 2
    assert (rows.bids.count.tolist(), rows.asks.count.tolist()) == ([1, 1], [2, 2])
    assert pairs(rows.bids) == [(Decimal(78715), Decimal("1.271882"))] * 2
    asks = [(Decimal("78716.8"), Decimal("0.027559")), (Decimal("78748.5"), Decimal(0))]
    assert pairs(rows.asks) == asks * 2


@pytest.mark.parametrize(
    ("kind", "update_id", "snapshot"),
    [(b"snapshot", b"217107085", 1), (b"delta", b"2", 0), (b"delta", b"1", 1)],
)
def test_a_snapshot_is_marked_or_has_update_id_1(kind, update_id, snapshot: int) -> None:
    frame = BOOK.replace(b"delta", kind).replace(b"217107085", update_id)
    assert parse.book(Frames([frame], [7])).snapshot.tolist() == [snapshot]


def test_empty_sides_are_no_levels() -> None:
    empty = BOOK.replace(b'[["78715","1.271882"]]', b"[]")
    rows = parse.book(Frames([empty], [7]))
    assert (rows.bids.count.tolist(), len(rows.bids.price)) == ([0], 0)
    assert rows.asks.count.tolist() == [2]


def test_a_ticker() -> None:
    rows = parse.tickers(Frames([TICKER], [7]))
    assert decimals(rows.last_price) == [Decimal("64057.7")]
    assert decimals(rows.open_price) == [Decimal("64326.9")]
    assert decimals(rows.high_price) == [Decimal(64500)]
    assert decimals(rows.low_price) == [Decimal("63232.1")]
    assert decimals(rows.volume) == [Decimal("7217.990977")]
    assert rows.venue_time_ns.tolist() == [1786538729776_000_000]


def test_a_candle() -> None:
    ether = CANDLE.replace(b"BTCUSDT", b"ETHUSDT").replace(b"true", b"false")
    rows = parse.candles(Frames([CANDLE, ether, CANDLE], [7, 8, 9]))
    assert rows.symbols.per_row() == ["BTCUSDT", "ETHUSDT", "BTCUSDT"]
    assert rows.interval_s.tolist() == [60] * 3
    assert rows.open_time_ns.tolist() == [1672324800000_000_000] * 3
    prices = [decimals(one)[0] for one in (rows.open, rows.high, rows.low, rows.close)]
    assert prices == [Decimal("16649.5"), Decimal(16678), Decimal(16608), Decimal(16677)]
    assert decimals(rows.volume)[0] == Decimal("2.081")
    assert rows.closed.tolist() == [1, 0, 1]
    assert rows.received_time_ns.tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("parser", "frame"),
    [
        (parse.trades, TRADES[:-1]),
        (parse.trades, TRADES.replace(b'"80413.3"', b'"NaN"')),
        (parse.trades, TRADES.replace(b'"v":"0.06",', b"")),
        (parse.trades, TRADES.replace(b'"Sell"', b'"sell"')),
        (parse.trades, TRADES.replace(b'"229000001"', b"229000001")),
        (parse.trades, TRADES.replace(b"1789875217840", b"99999999999999999999")),
        (parse.quotes, QUOTE.replace(b'"2.045546"', b'""')),
        (parse.quotes, QUOTE.replace(b"snapshot", b"delta")),
        (parse.quotes, QUOTE.replace(b"112603120278", b"-")),
        (parse.book, BOOK.replace(b'"78748.5","0"', b'"78748.5"')),
        (parse.book, BOOK.replace(b'"78748.5"', b'"7.87.48"')),
        (parse.book, BOOK.replace(b"delta", b"other")),
        (parse.book, BOOK.replace(b'[["78715","1.271882"]]', b"null")),
        (parse.book, BOOK.replace(b'[["78715","1.271882"]]', b"{}")),
        (parse.tickers, TICKER.replace(b'"64057.7"', b"true")),
        (parse.candles, CANDLE.replace(b'"interval":"1"', b'"interval":"7"')),
        (parse.candles, CANDLE.replace(b"true", b"1")),
        (parse.book, b"[]"),
        (parse.trades, b"\xff\xfe"),
    ],
)
def test_malformed_frames_are_rejected(parser, frame: bytes) -> None:
    with pytest.raises(FrameError):
        parser(Frames([frame], [7]))


def test_unusual_numbers_are_exact() -> None:
    rows = parse.trades(Frames([TRADES.replace(b'"0.06"', b'"1e-7"')], [7]))
    assert decimals(rows.size)[0] == Decimal("1e-7")


def captured(captures: Path, topic: str) -> list[bytes]:
    """The frames of this topic in all captures."""
    lines = [
        line
        for file in sorted((captures / "bybit").glob("*/frames.jsonl"))
        for line in file.read_bytes().splitlines()
        if b'"topic":"%b' % topic.encode() in line
    ]
    assert lines
    return lines


def frames_of(lines: list[bytes]) -> Frames:
    return Frames(lines, range(len(lines)))


def test_real_books_are_read_digit_for_digit(captures: Path) -> None:
    lines = captured(captures, "orderbook.50.")
    rows = parse.book(frames_of(lines))
    wanted = [json.loads(line) for line in lines]
    for side, found in (("b", rows.bids), ("a", rows.asks)):
        texts = [level for frame in wanted for level in frame["data"][side]]
        assert pairs(found) == [(Decimal(price), Decimal(size)) for price, size in texts]
        assert found.count.tolist() == [len(frame["data"][side]) for frame in wanted]
    assert rows.snapshot.tolist() == [frame["type"] == "snapshot" for frame in wanted]
    assert rows.last_sequence.tolist() == [frame["data"]["u"] for frame in wanted]
    assert rows.venue_time_ns.tolist() == [frame["cts"] * 1_000_000 for frame in wanted]


def test_real_quotes_and_tickers_are_read_digit_for_digit(captures: Path) -> None:
    lines = captured(captures, "orderbook.1.")
    quotes = parse.quotes(frames_of(lines))
    wanted = [json.loads(line)["data"] for line in lines]
    for side, price, size in (
        ("b", quotes.bid_price, quotes.bid_size),
        ("a", quotes.ask_price, quotes.ask_size),
    ):
        texts = [row[side][0] for row in wanted]
        found = list(zip(decimals(price), decimals(size), strict=True))
        assert found == [(Decimal(one), Decimal(other)) for one, other in texts]
    assert quotes.sequence.tolist() == [row["seq"] for row in wanted]
    lines = captured(captures, "tickers.")
    tickers = parse.tickers(frames_of(lines))
    for name, found in (
        ("lastPrice", tickers.last_price),
        ("prevPrice24h", tickers.open_price),
        ("highPrice24h", tickers.high_price),
        ("lowPrice24h", tickers.low_price),
        ("volume24h", tickers.volume),
    ):
        assert decimals(found) == [Decimal(json.loads(line)["data"][name]) for line in lines]


def test_real_updates_count_by_one_and_keep_the_depth(captures: Path) -> None:
    lines = captured(captures, "orderbook.50.")
    rows = parse.book(frames_of(lines))
    ids = rows.last_sequence.tolist()
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    sides: list[dict[str, str]] = [{}, {}]
    for frame in map(json.loads, lines):
        for side, name in zip(sides, "ba", strict=True):
            for price, size in frame["data"][name]:
                if size == "0":
                    del side[price]
                else:
                    side[price] = size
        assert [len(side) for side in sides] == [50, 50]
