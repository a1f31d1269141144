"""Classifying and reading captured lines."""

import pytest

from kit.simulator.dialect import RESPONSE, UNKNOWN, Channel
from kit.simulator.exchange.capture_reader import CaptureReader
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import Listing
from kit.simulator.text_conversion import instant_ns
from venues.kraken.simulator.capture import capture_reader
from venues.kraken.simulator.streams import make_stream

TRADE = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy",'
    b'"price":81205.1,"qty":0.00003630,"ord_type":"limit","trade_id":106799953,'
    b'"timestamp":"2026-09-04T00:21:20.564568Z"},{"symbol":"BTC/USD","side":"sell",'
    b'"price":81205.0,"qty":0.00200000,"ord_type":"limit","trade_id":106799954,'
    b'"timestamp":"2026-09-04T00:21:20.564568Z"}]}'
)
BOOK = (
    b'{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":64746.1,'
    b'"qty":4.15747761}],"asks":[],"checksum":681655668,"timestamp":"2026-07-20T03:39:38.23Z"}]}'
)
TICKER = (
    b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":81205.0,'
    b'"bid_qty":0.58905885,"ask":81205.1,"ask_qty":0.69697106,"last":81205.1}]}'
)
CANDLE = (
    b'{"channel":"ohlc","type":"update","timestamp":"2026-09-10T17:35:52.114514810Z","data":[{'
    b'"symbol":"BTC/USD","open":77499.9,"volume":0.58051276,"interval":5}]}'
)
BOOK_REPLY = (
    b'{"method":"subscribe","result":{"channel":"book","depth":25,"snapshot":true,'
    b'"symbol":"BTC/USD"},"success":true,"time_in":"x","time_out":"x"}'
)
TICKER_REPLY = BOOK_REPLY.replace(b'"book","depth":25', b'"ticker","event_trigger":"bbo"')


@pytest.fixture
def capture() -> CaptureReader:
    return capture_reader(StreamRegistry(make_stream))


@pytest.mark.parametrize(
    ("line", "name", "channel"),
    [
        (TRADE, "trade BTC/USD", Channel.TRADES),
        (BOOK, "book-10 BTC/USD", Channel.BOOK),
        (TICKER, "ticker-trades BTC/USD", Channel.TICKERS),
        (CANDLE, "ohlc-5 BTC/USD", Channel.CANDLES),
    ],
)
def test_a_line_belongs_to_a_stream(
    capture: CaptureReader, line: bytes, name: str, channel: Channel
):
    for written in (line, line.replace(b":", b": ").replace(b",", b", ")):
        stream, text = capture.frame_of(written)
        assert (stream.name, stream.channel, stream.symbol) == (name, channel, "BTC/USD")
        assert text == written
        assert stream is capture.frame_of(line)[0]


def test_subscriptions_of_a_capture_are_learned_from_its_answers(capture: CaptureReader):
    assert capture.frame_of(BOOK_REPLY) == (RESPONSE, BOOK_REPLY)
    assert capture.frame_of(TICKER_REPLY) == (RESPONSE, TICKER_REPLY)
    assert capture.frame_of(BOOK)[0].name == "book-25 BTC/USD"
    assert capture.frame_of(TICKER)[0].name == "ticker-bbo BTC/USD"


def test_without_answers_the_depth_fits_the_first_book(capture: CaptureReader):
    levels = b",".join(b'{"price":%d.0,"qty":1.00000000}' % price for price in range(11, 31))
    snapshot = BOOK.replace(b'"asks":[]', b'"asks":[%b]' % levels)
    assert capture.frame_of(snapshot)[0].name == "book-25 BTC/USD"
    assert capture.frame_of(BOOK)[0].name == "book-25 BTC/USD"


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        (b'{"channel":"heartbeat"}', RESPONSE),
        (b'{"channel":"status","type":"update","data":[{"system":"online"}]}', RESPONSE),
        (b'{"error":"Currency pair not supported X","method":"subscribe"}', RESPONSE),
        (b'{"method":"pong","time_in":"x","time_out":"x"}', RESPONSE),
        (b'{"method":5', RESPONSE),
        (b"", RESPONSE),
        (b"not json", UNKNOWN),
        (b'{"channel":"book"', UNKNOWN),
        (b'[320,{"as":[],"bs":[]},"book-25","XBT/USD"]', UNKNOWN),
        (b"\xff\xfe\x00", UNKNOWN),
    ],
)
def test_lines_without_a_stream_are_passed_unchanged(capture: CaptureReader, line: bytes, stream):
    assert capture.frame_of(line) == (stream, line)


def test_a_truncated_line_still_belongs_to_its_stream(capture: CaptureReader):
    line = TRADE[:80]
    stream, text = capture.frame_of(line)
    assert (stream.name, text) == ("trade BTC/USD", line)
    assert capture.trades_in([line]) == []


def test_trades_are_read_exactly(capture: CaptureReader):
    first, second = capture.trades_in([TRADE])
    assert (first.trade_id, first.price, first.size) == (106799953, "81205.1", "0.00003630")
    assert (first.time_ns, first.taker_buys) == (1_788_481_280_564_568_000, True)
    assert (second.trade_id, second.taker_buys) == (106799954, False)


@pytest.mark.parametrize("price", ["NaN", "", "1e-7", "-1", "1.2.3", "null"])
def test_a_trade_with_a_strange_price_is_ignored(capture: CaptureReader, price: str):
    assert capture.trades_in([TRADE.replace(b"81205.1", price.encode())]) == []


def test_times_have_up_to_nine_digits():
    assert instant_ns("2026-09-10T17:35:52.114514810Z") == 1_789_061_752_114_514_810
    assert instant_ns("2026-09-10T17:35:52Z") == 1_789_061_752_000_000_000


def test_instruments_have_the_digits_that_were_seen(capture: CaptureReader):
    lines = [
        TRADE,
        BOOK,
        TICKER.replace(b"BTC/USD", b"ETH/BTC").replace(b"81205.0", b"0.03140"),
        b'{"channel":"heartbeat"}',
        b"garbage",
    ]
    assert capture.listings_of(lines) == [
        Listing("BTC/USD", "BTC", "USD", "0.1", "0.00000001", "0", derived=True),
        Listing("ETH/BTC", "ETH", "BTC", "0.00001", "0.00000001", "0", derived=True),
    ]


def test_a_frame_of_the_feed_is_no_snapshot(capture: CaptureReader):
    assert capture.snapshot_of(BOOK) is None
    assert capture.sequence_of(BOOK) == 0


@pytest.mark.parametrize(
    "line", [b'{"e":"\xff"}', BOOK.replace(b"BTC/USD", b"\xff"), b"\x00\xff\x9d"]
)
def test_bytes_that_are_no_text_are_passed_on_as_they_are(line: bytes, capture: CaptureReader):
    assert capture.frame_of(line)[1] == line
    assert capture.trades_in([line]) == []
    assert all(listing.tick_size == "1" for listing in capture.listings_of([line]))
