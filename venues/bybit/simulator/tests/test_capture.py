"""Classifying and reading captured lines."""

import pytest

from kit.simulator.dialect import RESPONSE, UNKNOWN, Channel
from kit.simulator.exchange.capture_reader import CaptureReader
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import Listing
from venues.bybit.simulator.capture import capture_reader
from venues.bybit.simulator.streams import make_stream

TRADE = (
    b'{"topic":"publicTrade.BTCUSDT","ts":10,"type":"snapshot","data":[{"i":"2290000001162605275",'
    b'"T":9,"p":"63311.4","v":"0.000001","S":"Sell","seq":7,"s":"BTCUSDT","BT":false,"RPI":false}]}'
)
BOOK = (
    b'{"topic":"orderbook.50.BTCUSDT","ts":10,"type":"delta","data":{"s":"BTCUSDT",'
    b'"b":[["1.50","2.250"]],"a":[],"u":9,"seq":7},"cts":8}'
)
QUOTE = BOOK.replace(b"orderbook.50", b"orderbook.1").replace(b"delta", b"snapshot")
KLINE = b'{"topic":"kline.1.BTCUSDT","data":[],"ts":10,"type":"snapshot"}'
TICKER = b'{"topic":"tickers.BTCUSDT","ts":10,"type":"snapshot","cs":1,"data":{}}'


@pytest.fixture
def capture() -> CaptureReader:
    return capture_reader(StreamRegistry(make_stream))


@pytest.mark.parametrize(
    ("line", "name", "channel"),
    [
        (TRADE, "publicTrade.BTCUSDT", Channel.TRADES),
        (BOOK, "orderbook.50.BTCUSDT", Channel.BOOK),
        (QUOTE, "orderbook.1.BTCUSDT", Channel.QUOTES),
        (KLINE, "kline.1.BTCUSDT", Channel.CANDLES),
        (TICKER, "tickers.BTCUSDT", Channel.TICKERS),
        (b'{"topic":"liquidation.BTCUSDT"}', "liquidation.BTCUSDT", Channel.OTHER),
        (b'{"ts": 10, "topic": "tickers.BTCUSDT"}', "tickers.BTCUSDT", Channel.TICKERS),
    ],
)
def test_a_line_belongs_to_its_topic(capture: CaptureReader, line: bytes, name: str, channel):
    stream, text = capture.frame_of(line)
    assert (stream.name, stream.channel, stream.symbol) == (name, channel, "BTCUSDT")
    assert text == line
    assert capture.frame_of(line)[0] is stream


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        (b'{"success":true,"ret_msg":"subscribe","conn_id":"x","op":"subscribe"}', RESPONSE),
        (b"", RESPONSE),
        (b"not json", UNKNOWN),
        (b'{"topic":"', UNKNOWN),
        (b'{"topic":5}', UNKNOWN),
        (b"[1,2]", UNKNOWN),
        (b"\xff\xfe\x00", UNKNOWN),
    ],
)
def test_lines_without_a_topic_are_passed_unchanged(capture: CaptureReader, line: bytes, stream):
    assert capture.frame_of(line) == (stream, line)


def test_trades_are_read_exactly(capture: CaptureReader):
    two = TRADE.replace(b"}]}", b'},{"i":"6","T":10,"p":"1","v":"2","S":"Buy","s":"BTCUSDT"}]}')
    trade, other = capture.trades_in([two])
    assert capture.trades_in([two])[0] == trade
    assert (other.trade_id, other.taker_buys) == (6, True)
    assert (trade.trade_id, trade.price, trade.size) == (2290000001162605275, "63311.4", "0.000001")
    assert (trade.time_ns, trade.taker_buys) == (9_000_000, False)


@pytest.mark.parametrize("price", ["NaN", "", "1e-7", "-1", "1.2.3"])
def test_a_trade_with_a_strange_price_is_ignored(capture: CaptureReader, price: str):
    assert capture.trades_in([TRADE.replace(b"63311.4", price.encode())]) == []


def test_a_rest_book_has_its_symbol(capture: CaptureReader):
    body = b'{"retCode":0,"result":{"s":"BTCUSDT","a":[],"b":[["1.5","2"]],"ts":1,"u":7,"seq":3}}'
    symbol, book = capture.snapshot_of(body) or ("", None)
    assert symbol == "BTCUSDT"
    assert book is not None
    assert (book.sequence, list(book.bids), list(book.asks)) == (7, [("1.5", "2")], [])
    assert capture.snapshot_of(b'{"retCode":0,"result":{"list":[]}}') is None


def test_instruments_have_the_digits_that_were_seen(capture: CaptureReader):
    lines = [
        TRADE,
        BOOK,
        KLINE,
        (
            b'{"topic":"publicTrade.ETHBTC","data":[{"i":"1","T":1,"p":"0.041","v":"3","S":"Buy",'
            b'"s":"ETHBTC"}]}'
        ),
        b'{"topic":"liquidation.XRPUSDT"}',
        b"garbage",
    ]
    assert capture.listings_of(lines) == [
        Listing("BTCUSDT", "BTC", "USDT", "0.1", "0.000001", "0", derived=True),
        Listing("ETHBTC", "ETH", "BTC", "0.001", "1", "0", derived=True),
    ]


def test_the_sequence_of_a_book_frame(capture: CaptureReader):
    assert capture.sequence_of(BOOK) == 9
    assert capture.sequence_of(b"garbage") == 0


@pytest.mark.parametrize("line", [TRADE[:-30], TRADE.replace(b"63311.4", b"\xff"), b"\x00\xff\x9d"])
def test_damaged_lines_are_passed_on_without_data(line: bytes, capture: CaptureReader):
    assert capture.frame_of(line)[1] == line
    assert capture.trades_in([line]) == []
    assert capture.snapshot_of(line) is None
    assert capture.sequence_of(line) == 0
    assert all(listing.tick_size == "1" for listing in capture.listings_of([line]))
