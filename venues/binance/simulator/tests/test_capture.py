"""Classifying and reading captured lines."""

import pytest

from kit.simulator.dialect import RESPONSE, SNAPSHOT, UNKNOWN, Channel
from kit.simulator.exchange.capture_reader import CaptureReader
from kit.simulator.listing import DerivativeMark, Listing
from venues.binance.simulator.capture import (
    FUTURES_PARSERS,
    SPOT_PARSERS,
    capture_reader,
    data_of,
)
from venues.binance.simulator.streams import BinanceStreamRegistry

TRADE = b'{"e":"trade","E":1,"s":"BTCUSDT","t":5,"p":"61837.63000000","q":"0.02","T":9,"m":true}'
ETH_TRADE = TRADE.replace(b"BTCUSDT", b"ETHBTC").replace(b"61837.63000000", b"0.04100000")
ETH_TRADE = ETH_TRADE.replace(b"0.02", b"3.00000000")
BOOK = b'{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":7,"u":9,"b":[["1.50","2.250"]],"a":[]}'
QUOTE = b'{"u":50,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.625","A":"3"}'
MARK = (
    b'{"e":"markPriceUpdate","E":1,"s":"BTCUSDT","p":"61800.12345678","P":"61799.1",'
    b'"i":"61799.5","r":"0.00010000","T":9}'
)
KLINE = b'{"e":"kline","E":1,"s":"BTCUSDT","k":{"t":0,"T":59999,"s":"BTCUSDT","i":"1m"}}'


@pytest.fixture
def capture() -> CaptureReader:
    return capture_reader(BinanceStreamRegistry(), SPOT_PARSERS)


def combined(name: str, data: bytes) -> bytes:
    return b'{"stream":"%b","data":%b}' % (name.encode(), data)


@pytest.mark.parametrize(
    ("data", "name", "channel"),
    [
        (TRADE, "btcusdt@trade", Channel.TRADES),
        (BOOK, "btcusdt@depth@100ms", Channel.BOOK),
        (QUOTE, "btcusdt@bookTicker", Channel.QUOTES),
        (KLINE, "btcusdt@kline_1m", Channel.CANDLES),
        (b'{"e":"bookTicker",' + QUOTE[1:], "btcusdt@bookTicker", Channel.QUOTES),
        (MARK, "btcusdt@markPrice@1s", Channel.MARKS),
    ],
)
def test_combined_and_bare_lines_become_the_same_frame(
    capture: CaptureReader, data: bytes, name: str, channel: Channel
):
    whole = combined(name, data)
    spaced = b'{"stream": "%b", "data": %b}' % (name.encode(), data)
    for line in (whole, whole, data, spaced):
        stream, text = capture.frame_of(line)
        assert (stream.name, stream.channel, stream.symbol) == (name, channel, "BTCUSDT")
        assert text == whole
        assert stream is capture.frame_of(whole)[0]
    assert data_of(whole) == data


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        (b'{"lastUpdateId":7,"bids":[],"asks":[]}', SNAPSHOT),
        (b'{"result":null,"id":1}', RESPONSE),
        (b"", RESPONSE),
        (b"not json", UNKNOWN),
        (b'{"stream":"', UNKNOWN),
        (b'{"e":"kline","s":5}', UNKNOWN),
        (b'{"e":"neverHeardOf","s":"BTCUSDT"}', UNKNOWN),
        (b"[1,2]", UNKNOWN),
        (b"\xff\xfe\x00", UNKNOWN),
    ],
)
def test_lines_of_no_stream_are_as_they_are(capture: CaptureReader, line: bytes, stream):
    assert capture.frame_of(line) == (stream, line)


def test_a_line_that_was_cut_off_still_belongs_to_its_stream(capture: CaptureReader):
    line = combined("btcusdt@trade", TRADE)[:60]
    stream, text = capture.frame_of(line)
    assert (stream.name, text) == ("btcusdt@trade", line)
    assert capture.trades_in([line]) == []


def test_a_trade_is_read_digit_for_digit(capture: CaptureReader):
    trade = capture.trades_in([combined("btcusdt@trade", TRADE)])[0]
    assert trade is not None
    assert (trade.trade_id, trade.price, trade.size) == (5, "61837.63000000", "0.02")
    assert (trade.time_ns, trade.taker_buys) == (9_000_000, False)


@pytest.mark.parametrize("kind", ["NA", "INSURANCE_FUND", "ADL"])
def test_trades_outside_the_order_book_are_not_in_the_history(kind: str):
    capture = capture_reader(BinanceStreamRegistry(), FUTURES_PARSERS)
    market = TRADE.replace(b'"m":true', b'"X":"MARKET","m":true')
    assert capture.trades_in([combined("btcusdt@trade", market)]) != []
    other = market.replace(b"MARKET", kind.encode())
    assert capture.trades_in([combined("btcusdt@trade", other)]) == []


def test_a_mark_is_read_digit_for_digit(capture: CaptureReader):
    mark = DerivativeMark("61800.12345678", "61799.5", "0.00010000", 9_000_000)
    assert capture.mark_of(combined("btcusdt@markPrice", MARK)) == ("BTCUSDT", mark)
    assert capture.mark_of(combined("btcusdt@bookTicker", QUOTE)) is None
    assert capture.mark_of(b"garbage") is None


def test_a_subscription_with_another_speed_gets_the_captured_speed():
    streams = BinanceStreamRegistry()
    asked_before = streams.subscribed("btcusdt@depth@500ms")
    recorded, _ = capture_reader(streams, SPOT_PARSERS).frame_of(
        combined("btcusdt@depth@0ms", BOOK)
    )
    assert recorded.name == "btcusdt@depth@0ms"
    assert streams.subscribed("btcusdt@depth@100ms") is recorded
    assert streams.subscribed("btcusdt@depth") is recorded
    assert streams.subscribed("btcusdt@depth@500ms") is asked_before
    assert streams.subscribed("btcusdt@depth20@100ms") is not recorded
    assert streams.subscribed("ethusdt@depth@100ms") is not recorded


@pytest.mark.parametrize("price", ["NaN", "", "1e-7", "-1", "1.2.3"])
def test_a_trade_with_a_strange_price_is_no_history(capture: CaptureReader, price: str):
    line = combined("btcusdt@trade", TRADE.replace(b"61837.63000000", price.encode()))
    assert capture.trades_in([line]) == []


def test_a_snapshot_belongs_to_the_symbol_of_its_address(capture: CaptureReader):
    body = b'{"lastUpdateId":7,"bids":[["1.5","2"]],"asks":[]}'
    for url in (
        "/api/v3/depth?symbol=BTCUSDT&limit=1000",
        "/api/v3/depth?limit=5&symbol=BTCUSDT",
        "api_v3_depth_symbol_BTCUSDT_limit_1000",
    ):
        symbol, book = capture.snapshot_of(body, url) or ("", None)
        assert symbol == "BTCUSDT"
        assert book is not None
        assert (book.sequence, list(book.bids), list(book.asks)) == (7, [("1.5", "2")], [])
    assert (capture.snapshot_of(body) or ("?",))[0] == ""
    assert capture.snapshot_of(b'{"symbols":[]}') is None


def test_instruments_have_the_digits_that_were_seen(capture: CaptureReader):
    lines = [
        combined("btcusdt@trade", TRADE),
        combined("btcusdt@depth@100ms", BOOK),
        combined("btcusdt@bookTicker", QUOTE),
        combined("ethbtc@trade", ETH_TRADE),
        combined("btcusdt@markPrice", MARK),
        combined("!ticker@arr", b"[]"),
        b"garbage",
    ]
    assert capture.listings_of(lines) == [
        Listing("BTCUSDT", "BTC", "USDT", "0.001", "0.01", "0", derived=True),
        Listing("ETHBTC", "ETH", "BTC", "0.001", "1", "0", derived=True),
    ]


def test_bare_lines_show_the_same_steps(capture: CaptureReader):
    expected = Listing("BTCUSDT", "BTC", "USDT", "0.001", "0.01", "0", derived=True)
    assert capture.listings_of([TRADE, BOOK, QUOTE]) == [expected]


def test_the_sequence_of_a_book_frame(capture: CaptureReader):
    assert capture.sequence_of(combined("btcusdt@depth@100ms", BOOK)) == 9
    assert capture.sequence_of(b"garbage") == 0


@pytest.mark.parametrize(
    "line",
    [b'{"e":"\xff"}', combined("btcusdt@trade", b'{"s":"\xff","p":"\xfe"}'), b"\x00\xff\x9d"],
)
def test_bytes_that_are_no_text_are_passed_on_as_they_are(line: bytes, capture: CaptureReader):
    assert capture.frame_of(line)[1] == line
    assert capture.trades_in([line]) == []
    assert capture.snapshot_of(line) is None
    assert capture.sequence_of(line) == 0
    assert all(listing.tick_size == "1" for listing in capture.listings_of([line]))
