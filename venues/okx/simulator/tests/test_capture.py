"""Classifying and reading captured lines."""

import pytest

from kit.simulator.dialect import RESPONSE, SNAPSHOT, UNKNOWN, Channel
from kit.simulator.exchange.capture_reader import CaptureReader
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import DerivativeMark, InstrumentKind, Listing
from venues.okx.simulator.capture import capture_reader
from venues.okx.simulator.streams import argument, make_stream


def frame(channel: str, name: str, row: bytes, action: bytes = b"") -> bytes:
    return b'{"arg":%b,%b"data":[%b]}' % (argument(make_stream(f"{channel}:{name}")), action, row)


TRADE = frame(
    "trades",
    "BTC-USDT",
    b'{"instId":"BTC-USDT","tradeId":"5","px":"61837.63","sz":"0.02","side":"sell","ts":"9"}',
)
BOOK = frame(
    "books",
    "BTC-USDT",
    b'{"asks":[],"bids":[["1.50","2.250","0","1"]],"ts":"1","checksum":0,"prevSeqId":7,"seqId":9}',
    b'"action":"update",',
)
QUOTE = frame("bbo-tbt", "BTC-USDT", b'{"asks":[["1.625","3","0","1"]],"bids":[],"ts":"1"}')
CANDLE = frame("candle1m", "BTC-USDT", b'["1654154580000","1","1","1","1","1","1","1","0"]')
INDEX = frame("index-tickers", "BTC-USDT", b'{"instId":"BTC-USDT","idxPx":"1.5","ts":"1"}')
MARK = frame("mark-price", "BTC-USDT-SWAP", b'{"instId":"BTC-USDT-SWAP","markPx":"1.6","ts":"1"}')
FUNDING = frame(
    "funding-rate",
    "BTC-USDT-SWAP",
    b'{"instId":"BTC-USDT-SWAP","fundingRate":"0.0001","fundingTime":"1646323200000"}',
)


@pytest.fixture
def capture() -> CaptureReader:
    return capture_reader(StreamRegistry(make_stream))


@pytest.mark.parametrize(
    ("line", "name", "channel", "symbol"),
    [
        (TRADE, "trades:BTC-USDT", Channel.TRADES, "BTC-USDT"),
        (BOOK, "books:BTC-USDT", Channel.BOOK, "BTC-USDT"),
        (QUOTE, "bbo-tbt:BTC-USDT", Channel.QUOTES, "BTC-USDT"),
        (CANDLE, "candle1m:BTC-USDT", Channel.CANDLES, "BTC-USDT"),
        (MARK, "mark-price:BTC-USDT-SWAP", Channel.MARKS, "BTC-USDT-SWAP"),
        (INDEX, "index-tickers:BTC-USDT", Channel.MARKS, "BTC-USDT-SWAP"),
        (frame("price-limit", "A-B", b"{}"), "price-limit:A-B", Channel.OTHER, "A-B"),
    ],
)
def test_a_line_belongs_to_the_channel_of_its_instrument(
    capture: CaptureReader, line: bytes, name: str, channel: Channel, symbol: str
):
    spaced = line.replace(b'":', b'": ').replace(b'"arg": ', b'"arg":')
    for _ in range(2):
        stream, text = capture.frame_of(line)
        assert (stream.name, stream.channel, stream.symbol) == (name, channel, symbol)
        assert text == line
        assert capture.frame_of(spaced) == (stream, spaced)


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        (b'{"code":"0","msg":"","data":[{"asks":[],"bids":[],"ts":"1"}]}', SNAPSHOT),
        (b'{"code":"0","data":[{"instId":"BTC-USD-SWAP","oi":"1"}],"msg":""}', UNKNOWN),
        (b'{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"}}', RESPONSE),
        (b'{"event":"error","code":"60012","msg":"x"}', RESPONSE),
        (b"pong", RESPONSE),
        (b"", RESPONSE),
        (b"not json", UNKNOWN),
        (b'{"arg":', UNKNOWN),
        (b'{"arg":{"channel":5}}', UNKNOWN),
        (b'{"table":"spot/trade","data":[]}', UNKNOWN),
        (b"[1,2]", UNKNOWN),
        (b"\xff\xfe\x00", UNKNOWN),
    ],
)
def test_lines_without_a_stream_are_passed_unchanged(capture: CaptureReader, line: bytes, stream):
    assert capture.frame_of(line) == (stream, line)


def test_a_truncated_line_still_belongs_to_its_stream(capture: CaptureReader):
    capture.frame_of(TRADE)
    line = TRADE[:60]
    stream, text = capture.frame_of(line)
    assert (stream.name, text) == ("trades:BTC-USDT", line)
    assert capture.trades_in([line]) == []


def test_a_trade_is_read_digit_for_digit(capture: CaptureReader):
    trade = capture.trades_in([TRADE])[0]
    assert trade is not None
    assert (trade.trade_id, trade.price, trade.size) == (5, "61837.63", "0.02")
    assert (trade.time_ns, trade.taker_buys) == (9_000_000, False)
    row = TRADE[TRADE.index(b'[{"') + 1 : -2]
    two = TRADE.replace(row, row + b"," + row.replace(b'"5"', b'"6"'))
    assert [one.trade_id for one in capture.trades_in([two])] == [5, 6]


@pytest.mark.parametrize("price", ["NaN", "", "1e-7", "-1", "1.2.3"])
def test_a_trade_with_an_invalid_price_is_ignored(capture: CaptureReader, price: str):
    assert capture.trades_in([TRADE.replace(b"61837.63", price.encode())]) == []


def test_a_snapshot_belongs_to_the_symbol_of_its_url(capture: CaptureReader):
    body = b'{"code":"0","data":[{"asks":[],"bids":[["1.5","2","0","1"]],"ts":"1","seqId":7}]}'
    for url in (
        "/api/v5/market/books?instId=BTC-USDT&sz=400",
        "/api/v5/market/books?sz=400&instId=BTC-USDT",
        "api_v5_market_books_instId_BTC-USDT",
    ):
        symbol, book = capture.snapshot_of(body, url) or ("", None)
        assert symbol == "BTC-USDT"
        assert book is not None
        assert (book.sequence, list(book.bids)) == (7, [["1.5", "2", "0", "1"]])
    assert (capture.snapshot_of(body) or ("?",))[0] == ""
    assert capture.snapshot_of(b'{"code":"0","data":[]}') is None


def test_instruments_have_the_digits_that_were_seen(capture: CaptureReader):
    swap = TRADE.replace(b"BTC-USDT", b"ETH-USDT-SWAP").replace(b"0.02", b"7")
    assert capture.listings_of([TRADE, BOOK, QUOTE, swap, CANDLE, INDEX, b"garbage"]) == [
        Listing("BTC-USDT", "BTC", "USDT", "0.001", "0.01", "0", derived=True),
        Listing(
            "ETH-USDT-SWAP", "ETH", "USDT", "0.01", "1", "0",
            derived=True, kind=InstrumentKind.PERPETUAL, contract_size="1", settle="USDT",
        ),
    ]  # fmt: skip


def test_each_mark_row_has_only_its_own_values(capture: CaptureReader):
    swap = "BTC-USDT-SWAP"
    assert capture.mark_of(MARK) == (swap, DerivativeMark("1.6", "", "", 0))
    assert capture.mark_of(INDEX) == (swap, DerivativeMark("", "1.5", "", 0))
    funding_ns = 1_646_323_200_000_000_000
    assert capture.mark_of(FUNDING) == (swap, DerivativeMark("", "", "0.0001", funding_ns))
    assert capture.mark_of(TRADE) is None


def test_the_sequence_of_a_book_frame(capture: CaptureReader):
    assert capture.sequence_of(BOOK) == 9
    assert capture.sequence_of(b"garbage") == 0


@pytest.mark.parametrize(
    "line", [b'{"arg":"\xff"}', TRADE.replace(b"61837.63", b"\xff"), b"\x00\xff\x9d", MARK[:-9]]
)
def test_bytes_that_are_not_text_are_passed_unchanged(line: bytes, capture: CaptureReader):
    assert capture.frame_of(line)[1] == line
    assert capture.trades_in([line]) == []
    assert capture.snapshot_of(line) is None
    assert capture.mark_of(line) is None
    assert capture.sequence_of(line) == 0
    assert all(listing.tick_size == "1" for listing in capture.listings_of([line]))
