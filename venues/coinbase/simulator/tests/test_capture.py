"""Classifying and reading captured lines."""

import pytest

from kit.simulator.dialect import RESPONSE, UNKNOWN, Channel
from kit.simulator.exchange.capture_reader import CaptureReader
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.listing import Listing
from venues.coinbase.simulator.capture import capture_reader
from venues.coinbase.simulator.streams import make_stream, numbered
from venues.coinbase.tests import test_parse as real


@pytest.fixture
def capture() -> CaptureReader:
    return capture_reader(StreamRegistry(make_stream))


@pytest.mark.parametrize(
    ("line", "name", "channel"),
    [
        (real.MATCH, "exchange.matches.SKL-BTC", Channel.TRADES),
        (real.SNAPSHOT, "exchange.level2.BTC-USD", Channel.BOOK),
        (real.UPDATE, "exchange.level2.BTC-USD", Channel.BOOK),
        (real.TICKER, "exchange.ticker.BTC-USD", Channel.TICKERS),
    ],
)
def test_lines_of_exchange_are_passed_on_as_they_are(capture, line, name, channel) -> None:
    spaced = line.replace(b'{"type":', b'{ "type": ')
    for one in (line, line, spaced):
        stream, text = capture.frame_of(one)
        assert (stream.name, stream.channel) == (name, channel)
        assert text == one
        assert stream is capture.frame_of(line)[0]


@pytest.mark.parametrize(
    ("line", "name", "channel"),
    [
        (real.ADVANCED_TRADES, "advanced.market_trades.ETH-USD", Channel.TRADES),
        (real.ADVANCED_BOOK, "advanced.level2.BTC-USD", Channel.BOOK),
        (real.ADVANCED_TICKER, "advanced.ticker.BTC-USD", Channel.TICKERS),
        (real.ADVANCED_CANDLES, "advanced.candles.BTC-USD", Channel.CANDLES),
    ],
)
def test_lines_of_advanced_get_the_numbers_of_their_connection(
    capture, line, name, channel
) -> None:
    stream, text = capture.frame_of(line)
    assert (stream.name, stream.channel) == (name, channel)
    number = int(line.partition(b'"sequence_num":')[2].partition(b",")[0])
    assert numbered(text, number) == line
    assert numbered(text, 77) != line


@pytest.mark.parametrize(
    ("line", "stream"),
    [
        (b'{"type":"subscriptions","channels":[]}', RESPONSE),
        (b'{"channel":"subscriptions","sequence_num":1,"events":[]}', RESPONSE),
        (b'{"channel":"heartbeats","sequence_num":3,"events":[]}', RESPONSE),
        (b'{"type":"error","message":"no"}', RESPONSE),
        (b"", RESPONSE),
        (b"not json", UNKNOWN),
        (b'{"type":"', UNKNOWN),
        (b'{"type":"match","product_id":5}', UNKNOWN),
        (b'{"type":"neverHeardOf","product_id":"BTC-USD"}', UNKNOWN),
        (b"[1,2]", UNKNOWN),
        (b"\xff\xfe\x00", UNKNOWN),
    ],
)
def test_lines_of_no_stream_are_as_they_are(capture, line: bytes, stream) -> None:
    assert capture.frame_of(line) == (stream, line)


def test_a_frame_of_two_products_is_for_all(capture: CaptureReader) -> None:
    line = real.ADVANCED_TRADES.replace(b"ETH-USD", b"BTC-USD", 1)
    assert capture.frame_of(line)[0] is UNKNOWN


def test_a_trade_is_read_digit_for_digit(capture: CaptureReader) -> None:
    trade = capture.trades_in([real.MATCH])[0]
    assert trade is not None
    assert (trade.trade_id, trade.price, trade.size) == (280232, "0.00001305", "985")
    assert (trade.time_ns, trade.taker_buys) == (1618677817089723000, True)


def test_a_frame_of_advanced_has_many_trades(capture: CaptureReader) -> None:
    _, line = capture.frame_of(real.ADVANCED_TRADES)
    older, newer = capture.trades_in([line])
    assert (newer.trade_id, newer.size, newer.taker_buys) == (846149799, "1", False)
    assert (older.trade_id, older.price, older.taker_buys) == (846149798, "2668.35", True)
    assert capture.trades_in([line])[0] == older
    assert capture.trades_in([line[:-3]]) == []


@pytest.mark.parametrize("price", [b"NaN", b"", b"1e-7", b"-1", b"1.2.3", b"\xff"])
def test_a_trade_with_a_strange_price_is_no_history(capture, price: bytes) -> None:
    assert capture.trades_in([real.MATCH.replace(b"0.00001305", price)]) == []
    assert capture.trades_in([real.MATCH.replace(b"2021-04-17T", b"soon")]) == []


def test_a_snapshot_belongs_to_the_product_of_its_address(capture: CaptureReader) -> None:
    body = b'{"bids":[["0.1135","35",1]],"asks":[["0.1137","10113.4",4]],"sequence":406959136}'
    for url in ("/products/DOGE-USD/book?level=2", "products_DOGE-USD_book_level_2"):
        product, book = capture.snapshot_of(body, url) or ("", None)
        assert product == "DOGE-USD"
        assert book is not None
        assert (book.sequence, list(book.bids)) == (406959136, [("0.1135", "35")])
    assert (capture.snapshot_of(body) or ("?",))[0] == ""
    assert capture.snapshot_of(b'{"message":"NotFound"}') is None
    assert capture.snapshot_of(b"\xff") is None


def test_instruments_have_the_digits_that_were_seen(capture: CaptureReader) -> None:
    lines = [real.MATCH, real.SNAPSHOT, real.UPDATE, real.TICKER, b"garbage"]
    assert capture.listings_of(lines) == [
        Listing("SKL-BTC", "SKL", "BTC", "0.00000001", "1", "0", derived=True),
        Listing("BTC-USD", "BTC", "USD", "0.01", "0.00000001", "0", derived=True),
    ]


def test_updates_of_books_have_no_number(capture: CaptureReader) -> None:
    assert capture.sequence_of(real.UPDATE) == 0


def test_trades_of_both_feeds_are_read_together(capture: CaptureReader) -> None:
    _, line = capture.frame_of(real.ADVANCED_TRADES)
    found = capture.trades_in([real.MATCH, line])
    assert [trade.trade_id for trade in found] == [280232, 846149798, 846149799]
