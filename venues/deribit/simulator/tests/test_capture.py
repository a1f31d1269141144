"""Classifying and reading captured lines."""

import pytest

from kit.simulator.dialect import RESPONSE, SNAPSHOT, UNKNOWN, Channel
from kit.simulator.exchange.capture_reader import CaptureReader
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import Listing
from venues.deribit.simulator.capture import capture_reader
from venues.deribit.simulator.encode import framed
from venues.deribit.simulator.streams import make_stream

TRADE_DATA = (
    b'[{"trade_seq":5,"trade_id":"9","timestamp":9,"price":56168.5,"direction":"sell",'
    b'"instrument_name":"BTC-PERPETUAL","amount":60.0}]'
)
BOOK_DATA = (
    b'{"type":"snapshot","timestamp":1,"instrument_name":"BTC-24SEP21-8000-P","change_id":9,'
    b'"bids":[["new",0.0005,153.1]],"asks":[["new",0.0015,94.75]]}'
)
TRADE = framed("trades.BTC-PERPETUAL.100ms", TRADE_DATA)
BOOK = framed("book.BTC-24SEP21-8000-P.100ms", BOOK_DATA)
QUOTE = framed(
    "quote.BTC_USDC-PERPETUAL",
    b'{"timestamp":1,"instrument_name":"BTC_USDC-PERPETUAL","best_bid_price":1.5,'
    b'"best_bid_amount":2,"best_ask_price":1.625,"best_ask_amount":3.0}',
)
CANDLE = framed("chart.trades.BTC-PERPETUAL.1", b'{"tick":0}')
TICKER = framed("ticker.BTC-PERPETUAL.100ms", b'{"timestamp":0}')
GROUPED = framed("book.BTC-PERPETUAL.none.20.100ms", b'{"bids":[]}')
REST_BOOK = (
    b'{"jsonrpc":"2.0","result":{"instrument_name":"BTC-PERPETUAL","change_id":7,'
    b'"bids":[[30434.5,600.0]],"asks":[]},"usIn":1}'
)


@pytest.fixture
def capture() -> CaptureReader:
    return capture_reader(StreamRegistry(make_stream))


@pytest.mark.parametrize(
    ("line", "name", "channel", "symbol"),
    [
        (TRADE, "trades.BTC-PERPETUAL.100ms", Channel.TRADES, "BTC-PERPETUAL"),
        (BOOK, "book.BTC-24SEP21-8000-P.100ms", Channel.BOOK, "BTC-24SEP21-8000-P"),
        (QUOTE, "quote.BTC_USDC-PERPETUAL", Channel.QUOTES, "BTC_USDC-PERPETUAL"),
        (CANDLE, "chart.trades.BTC-PERPETUAL.1", Channel.CANDLES, "BTC-PERPETUAL"),
        (TICKER, "ticker.BTC-PERPETUAL.100ms", Channel.TICKERS, "BTC-PERPETUAL"),
        (GROUPED, "book.BTC-PERPETUAL.none.20.100ms", Channel.OTHER, ""),
    ],
)
def test_a_line_belongs_to_its_channel(capture, line, name, channel, symbol):
    spaced = line.replace(b'"method":', b'"method": ')
    for one in (line, line, spaced):
        stream, text = capture.frame_of(one)
        assert (stream.name, stream.channel, stream.symbol) == (name, channel, symbol)
        assert text == one
        assert stream is capture.frame_of(line)[0]


def test_raw_channels_have_the_names_of_bundled_ones(capture: CaptureReader):
    raw = BOOK.replace(b"P.100ms", b"P.raw")
    assert capture.frame_of(raw) == capture.frame_of(BOOK)


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        (REST_BOOK, SNAPSHOT),
        (b'{"jsonrpc":"2.0","id":0,"result":["book.BTC-PERPETUAL.raw"]}', RESPONSE),
        (b'{"jsonrpc":"2.0","error":{"code":10028}}', RESPONSE),
        (b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}', RESPONSE),
        (b"", RESPONSE),
        (b"not json", UNKNOWN),
        (b'{"method":"neverHeardOf"}', UNKNOWN),
        (b"[1,2]", UNKNOWN),
        (b"\xff\xfe\x00", UNKNOWN),
    ],
)
def test_lines_without_a_stream_are_passed_unchanged(capture: CaptureReader, line: bytes, stream):
    assert capture.frame_of(line) == (stream, line)


def test_a_truncated_line_still_belongs_to_its_stream(capture: CaptureReader):
    line = TRADE[:120]
    stream, text = capture.frame_of(line)
    assert (stream.name, text) == ("trades.BTC-PERPETUAL.100ms", line)
    assert not capture.trades_in([line])


def test_trades_are_read_exactly(capture: CaptureReader):
    (trade,) = capture.trades_in([TRADE])
    assert (trade.trade_id, trade.price, trade.size) == (5, "56168.5", "60.0")
    assert (trade.time_ns, trade.taker_buys) == (9_000_000, False)
    two = framed("trades.BTC-PERPETUAL.100ms", TRADE_DATA[:-1] + b"," + TRADE_DATA[1:])
    assert len(capture.trades_in([two])) == 2


@pytest.mark.parametrize("price", ["null", '"NaN"', '""', "-1", "[]"])
def test_a_trade_with_a_strange_price_is_ignored(capture: CaptureReader, price: str):
    assert not capture.trades_in([TRADE.replace(b"56168.5", price.encode())])


def test_a_snapshot_has_its_symbol(capture: CaptureReader):
    symbol, book = capture.snapshot_of(REST_BOOK) or ("", None)
    assert symbol == "BTC-PERPETUAL"
    assert book is not None
    assert (book.sequence, list(book.bids), list(book.asks)) == (7, [("30434.5", "600.0")], [])
    assert capture.snapshot_of(b'{"result":[]}') is None


def test_instruments_have_the_digits_that_were_seen(capture: CaptureReader):
    lines = [TRADE, BOOK, QUOTE, b"garbage", REST_BOOK]
    assert capture.listings_of(lines) == [
        Listing("BTC-PERPETUAL", "BTC", "USD", "0.1", "1", "0", derived=True),
        Listing("BTC-24SEP21-8000-P", "BTC", "USD", "0.0001", "0.01", "0", derived=True),
        Listing("BTC_USDC-PERPETUAL", "BTC", "USDC", "0.001", "1", "0", derived=True),
    ]


def test_the_sequence_of_a_book_frame(capture: CaptureReader):
    assert capture.sequence_of(BOOK) == 9
    assert capture.sequence_of(b"garbage") == 0


@pytest.mark.parametrize(
    "line", [b'{"method":"\xff"}', TRADE.replace(b"buy", b"\xff"), b"\x00\xff"]
)
def test_bytes_that_are_no_text_are_passed_on_as_they_are(line: bytes, capture: CaptureReader):
    assert capture.frame_of(line)[1] == line
    assert capture.snapshot_of(line) is None
    assert capture.sequence_of(line) == 0
