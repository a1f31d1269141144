"""Lines of a capture are classified and parsed. Put lines of a real capture here."""

import pytest

from kit.simulator.dialect import RESPONSE, UNKNOWN, Channel
from kit.simulator.exchange.streams import StreamRegistry
from ops.templates.examplex.simulator.capture import capture_reader
from ops.templates.examplex.simulator.streams import make_stream

TRADE = (
    b'{"channel":"trades","symbol":"BTC-USD","id":17,"price":"61800.10","size":"0.020",'
    b'"side":"buy","time":1781885870259}'
)
BOOK = (
    b'{"channel":"book","type":"snapshot","symbol":"BTC-USD","number":20,"sequence":100,'
    b'"bids":[["61800.1","0.02"]],"asks":[["61800.2","0.3"]],"time":1781885870259}'
)
capture = capture_reader(StreamRegistry(make_stream))


@pytest.mark.parametrize(
    ("line", "channel"), [(TRADE, Channel.TRADES), (BOOK, Channel.BOOK), (b"{", Channel.OTHER)]
)
def test_a_line_tells_its_stream(line: bytes, channel: Channel) -> None:
    stream, payload = capture.frame_of(line)
    assert (stream.channel, payload) == (channel, line)


def test_answers_and_the_unknown_have_streams_of_their_own() -> None:
    assert capture.frame_of(b'{"answer":"pong","id":3}')[0] is RESPONSE
    assert capture.frame_of(b'{"channel":"news"}')[0] is UNKNOWN


def test_a_trade_is_read() -> None:
    trade = capture.trades_in([TRADE])[0]
    assert trade is not None
    assert (trade.trade_id, trade.price, trade.taker_buys) == (17, "61800.10", True)
    assert capture.trades_in([TRADE[:-1]]) == []


def test_a_book_is_read() -> None:
    assert capture.sequence_of(BOOK) == 100
    assert capture.sequence_of(BOOK[:-1]) == 0
    answer = b'{"sequence":100,"bids":[],"asks":[]}'
    found = capture.snapshot_of(answer, "/book?symbol=BTC-USD&depth=5")
    assert found is not None
    assert (found[0], found[1].sequence) == ("BTC-USD", 100)


def test_ticks_and_lots_are_as_fine_as_what_was_seen() -> None:
    (found,) = capture.listings_of([TRADE, BOOK, b"{"])
    assert (found.symbol, found.base, found.quote) == ("BTC-USD", "BTC", "USD")
    assert (found.tick_size, found.lot_size, found.derived) == ("0.01", "0.001", True)
