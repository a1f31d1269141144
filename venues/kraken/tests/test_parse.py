"""Kraken frames: digit for digit what the venue wrote."""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from kit.base.numbers import to_decimal
from kit.marketdata.frames import FrameError, FramePatterns, Frames
from kit.marketdata.model.columns import NumberColumn
from venues.kraken import parse

TRADE = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy",'
    b'"price":81205.1,"qty":0.00003630,"ord_type":"limit","trade_id":106799953,'
    b'"timestamp":"2026-09-04T00:21:20.564568Z"},{"symbol":"BTC/USD","side":"sell",'
    b'"price":81205.0,"qty":0.00200000,"ord_type":"limit","trade_id":106799954,'
    b'"timestamp":"2026-09-04T00:21:20.564569Z"}]}'
)
TICKER = (
    b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":81205.0,'
    b'"bid_qty":0.58905885,"ask":81205.1,"ask_qty":0.69697106,"last":81205.1,'
    b'"volume":4696.17832496,"vwap":80044.4,"low":76949.6,"high":82288.0,"change":-4166.6,'
    b'"change_pct":-5.41,"trades":145275,"timestamp":"2026-09-04T00:21:20.217476Z"}]}'
)
BOOK = (
    b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":64746.0,'
    b'"qty":4.15747760}],"asks":[{"price":64771.6,"qty":0.00000000},{"price":64773.5,'
    b'"qty":0.58111729}],"checksum":4020102634,"timestamp":"2026-07-20T03:39:38.235508Z"}]}'
)
CANDLE = (
    b'{"symbol":"BTC/USDT","open":77499.9,"high":77509.2,"low":77467.5,"close":77509.0,'
    b'"trades":15,"volume":0.58051270,"vwap":77482.2,'
    b'"interval_begin":"2026-09-10T17:35:00.000000000Z","interval":1,'
    b'"timestamp":"2026-09-10T17:36:00.000000Z"}'
)
CANDLES = (
    b'{"channel":"ohlc","type":"update","timestamp":"2026-09-10T17:35:52.114514810Z","data":[%b]}'
)
REPLY = b'{"method":"subscribe","result":{"channel":"book","depth":10},"success":true}'
PATTERNS = FramePatterns([kind.pattern for kind in parse.KINDS], parse.WINDOW_BYTES)


def decimals(column: NumberColumn) -> list[Decimal]:
    places = column.decimals
    each = [places] * len(column) if isinstance(places, int) else places.tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), each, strict=True)]


def texts(column: NumberColumn) -> list[str]:
    """With all decimal places, as they were written."""
    return [format(number, "f") for number in decimals(column)]


def kind_of(frame: bytes) -> str:
    (number,) = PATTERNS.classify(Frames([frame], [1])).tolist()
    return parse.KINDS[number].name if number < len(parse.KINDS) else ""


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (TRADE, "trade"),
        (TICKER, "ticker"),
        (BOOK, "book"),
        (CANDLES, "ohlc"),
        (b'{"channel":"heartbeat"}', "heartbeat"),
        (b'{"channel":"status","type":"update","data":[]}', "status"),
        (REPLY, ""),
        (b'{"error":"Currency pair not supported"}', ""),
        (b"", ""),
    ],
)
def test_frames_are_classified_by_channel(frame: bytes, name: str) -> None:
    assert kind_of(frame) == name


def test_trades() -> None:
    rows = parse.trades(Frames([TRADE, TRADE], [7, 8]))
    assert rows.symbols.per_row() == ["BTC/USD"] * 4
    assert texts(rows.price) == ["81205.1", "81205.0"] * 2
    assert texts(rows.size) == ["0.00003630", "0.00200000"] * 2
    assert rows.side.tolist() == [1, 2] * 2
    assert rows.venue_time_ns.tolist()[:2] == [1788481280564568000, 1788481280564569000]
    assert rows.received_time_ns.tolist() == [7, 7, 8, 8]
    assert rows.trade_id.tolist()[:2] == [106799953, 106799954]
    assert rows.previous_id is not None
    assert rows.previous_id.tolist()[:2] == [106799952, 106799953]


def test_a_market_without_trades_begins_with_none() -> None:
    empty = b'{"channel":"trade","type":"snapshot","data":[]}'
    assert len(parse.trades(Frames([empty], [7]))) == 0


def test_a_quote_and_a_ticker_are_in_one_frame() -> None:
    quotes = parse.quotes(Frames([TICKER], [7]))
    assert texts(quotes.bid_price) == ["81205.0"]
    assert texts(quotes.bid_size) == ["0.58905885"]
    assert texts(quotes.ask_price) == ["81205.1"]
    assert texts(quotes.ask_size) == ["0.69697106"]
    assert quotes.sequence.tolist() == [0]
    tickers = parse.tickers(Frames([TICKER], [7]))
    assert texts(tickers.last_price) == ["81205.1"]
    assert texts(tickers.open_price) == ["85371.7"]
    assert texts(tickers.high_price) == ["82288.0"]
    assert texts(tickers.low_price) == ["76949.6"]
    assert texts(tickers.volume) == ["4696.17832496"]
    for rows in (quotes, tickers):
        assert rows.venue_time_ns.tolist() == [1788481280217476000]
        assert rows.received_time_ns.tolist() == [7]


def test_a_ticker_of_uneven_decimal_places() -> None:
    uneven = TICKER.replace(b'"change":-4166.6', b'"change":-0.05')
    assert texts(parse.tickers(Frames([uneven], [7])).open_price) == ["81205.15"]
    rows = parse.tickers(Frames([uneven, TICKER], [7, 8]))
    assert decimals(rows.open_price) == [Decimal("81205.15"), Decimal("85371.7")]


def test_a_ticker_without_a_time() -> None:
    timeless = TICKER.replace(b',"timestamp":"2026-09-04T00:21:20.217476Z"', b"")
    assert parse.quotes(Frames([timeless], [7])).venue_time_ns.tolist() == [0]


def test_a_book_update() -> None:
    rows = parse.book(Frames([BOOK, BOOK.replace(b'"update"', b'"snapshot"')], [7, 8]))
    assert rows.symbols.per_row() == ["BTC/USD"] * 2
    assert rows.snapshot.tolist() == [0, 1]
    assert rows.checksum is not None
    assert rows.checksum.tolist() == [4020102634] * 2
    assert rows.last_sequence.tolist() == [0, 0]
    assert rows.venue_time_ns.tolist() == [1784518778235508000] * 2
    assert (rows.bids.count.tolist(), rows.asks.count.tolist()) == ([1, 1], [2, 2])
    assert texts(rows.bids.price) == ["64746.0"] * 2
    assert texts(rows.bids.size) == ["4.15747760"] * 2
    assert texts(rows.asks.price) == ["64771.6", "64773.5"] * 2
    assert texts(rows.asks.size) == ["0.00000000", "0.58111729"] * 2


def test_empty_sides_are_no_levels() -> None:
    empty = BOOK.replace(b'[{"price":64746.0,"qty":4.15747760}]', b"[]")
    rows = parse.book(Frames([empty], [7]))
    assert (rows.bids.count.tolist(), rows.asks.count.tolist()) == ([0], [2])


def test_a_candle() -> None:
    rows = parse.candles(Frames([CANDLES % CANDLE], [7]))
    assert rows.symbols.per_row() == ["BTC/USDT"]
    assert rows.interval_s.tolist() == [60]
    assert rows.open_time_ns.tolist() == [1789061700_000_000_000]
    columns = (rows.open, rows.high, rows.low, rows.close, rows.volume)
    assert [texts(one)[0] for one in columns] == [
        "77499.9", "77509.2", "77467.5", "77509.0", "0.58051270",
    ]  # fmt: skip
    assert rows.closed.tolist() == [0]
    assert rows.venue_time_ns.tolist() == [1789061752_114514810]
    assert rows.received_time_ns.tolist() == [7]


def test_a_candle_is_closed_when_the_next_is_in_the_same_frame() -> None:
    later = CANDLE.replace(b"17:35:00", b"17:36:00")
    latest = CANDLE.replace(b"17:35:00", b"17:37:00")
    other = latest.replace(b"BTC/USDT", b"ETH/USDT").replace(b"17:37:00", b"17:38:00")
    snapshot = CANDLES % b",".join([CANDLE, later])
    rows = parse.candles(Frames([snapshot, CANDLES % b",".join([latest, other])], [7, 8]))
    assert rows.closed.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("parser", "frame"),
    [
        (parse.trades, TRADE[:-1]),
        (parse.trades, TRADE.replace(b"81205.1", b'"NaN"')),
        (parse.trades, TRADE.replace(b"81205.1", b"null")),
        (parse.trades, TRADE.replace(b'"trade_id":106799953,', b"")),
        (parse.trades, TRADE.replace(b"106799953", b"99999999999999999999")),
        (parse.trades, TRADE.replace(b'"buy"', b'"both"')),
        (parse.trades, TRADE.replace(b"2026-09-04T00:21:20.564568Z", b"yesterday")),
        (parse.trades, b'{"channel":"trade","type":"update","data":{}}'),
        (parse.quotes, TICKER.replace(b"0.58905885", b'""')),
        (parse.tickers, TICKER.replace(b'"change":-4166.6,', b"")),
        (parse.book, BOOK.replace(b',"qty":0.58111729', b"")),
        (parse.book, BOOK.replace(b"64773.5", b"6.47.73")),
        (parse.book, BOOK.replace(b'"update"', b'"hint"')),
        (parse.book, BOOK.replace(b'"checksum":4020102634,', b"")),
        (parse.book, BOOK.replace(b'[{"price":64746.0,"qty":4.15747760}]', b"null")),
        (parse.candles, (CANDLES % CANDLE).replace(b'"interval":1', b'"interval":"one"')),
        (parse.book, b"[]"),
        (parse.trades, b"\xff\xfe"),
    ],
)
def test_malformed_frames_are_rejected(parser, frame: bytes) -> None:
    with pytest.raises(FrameError):
        parser(Frames([frame], [7]))


def test_unusual_numbers_are_exact() -> None:
    rows = parse.trades(Frames([TRADE.replace(b"0.00003630", b"1e-8")], [7]))
    assert decimals(rows.size) == [Decimal("1e-8"), Decimal("0.002")]


def captured(captures: Path) -> list[tuple[Path, list[bytes]]]:
    files = sorted((captures / "kraken").glob("v2_*/frames.jsonl"))
    return [(file, file.read_bytes().splitlines()) for file in files]


def levels_of(rows: Iterable[dict], side: str, member: str) -> Sequence[str]:
    return [level[member] for row in rows for level in row[side]]


def test_real_sessions_are_read_digit_for_digit(captures: Path) -> None:
    found = captured(captures)
    assert found
    for _, lines in found:
        books = [line for line in lines if kind_of(line) == "book"]
        wanted = [json.loads(line, parse_float=str) for line in books]
        data = [frame["data"][0] for frame in wanted]
        rows = parse.book(Frames(books, range(len(books))))
        assert len(rows) == len(books) > 50
        assert rows.snapshot.tolist() == [int(one["type"] == "snapshot") for one in wanted]
        assert rows.checksum is not None
        assert rows.checksum.tolist() == [row["checksum"] for row in data]
        for side, levels in (("bids", rows.bids), ("asks", rows.asks)):
            assert levels.count.tolist() == [len(row[side]) for row in data]
            assert texts(levels.price) == levels_of(data, side, "price")
            assert texts(levels.size) == levels_of(data, side, "qty")


def test_every_line_of_a_real_session_is_known(captures: Path) -> None:
    for _, lines in captured(captures):
        names = {kind_of(line) for line in lines if not line.startswith(b'{"method"')}
        assert names <= {kind.name for kind in parse.KINDS}
        assert "" not in names
