"""Examplex's frames become exact columns. Put real frames here, as they came."""

import numpy as np
import pytest

from kit.marketdata.frames import FrameError, Frames
from kit.marketdata.model.columns import SIDE_BUY
from ops.templates.examplex import parse

TRADE = (
    b'{"channel":"trades","symbol":"BTC-USD","id":17,"price":"61800.10","size":"0.02000",'
    b'"side":"buy","time":1781885870259}'
)
QUOTE = (
    b'{"channel":"quotes","symbol":"BTC-USD","sequence":105,"bid":"61800.10","bid_size":"0.02000",'
    b'"ask":"61800.20","ask_size":"0.30000","time":1781885870259}'
)
SNAPSHOT = (
    b'{"channel":"book","type":"snapshot","symbol":"BTC-USD","number":20,"sequence":100,'
    b'"bids":[["61800.10","0.02000"]],"asks":[["61800.20","0.30000"]],"time":1781885870259}'
)
UPDATE = (
    b'{"channel":"book","type":"update","symbol":"BTC-USD","number":21,"sequence":107,'
    b'"previous":100,"bids":[["61800.10","0.00000"]],"asks":[],"time":1781885870359}'
)


def of(*payloads: bytes) -> Frames:
    return Frames(payloads, np.arange(len(payloads)) + 7)


def test_a_trade_keeps_every_digit() -> None:
    rows = parse.trades(of(TRADE, TRADE.replace(b":17,", b":18,")))
    assert rows.symbols.per_row() == ["BTC-USD"] * 2
    assert (rows.price.unscaled.tolist(), rows.price.decimals) == ([6_180_010] * 2, 2)
    assert (rows.size.unscaled.tolist(), rows.size.decimals) == ([2_000] * 2, 5)
    assert rows.side.tolist() == [SIDE_BUY] * 2
    assert rows.venue_time_ns.tolist() == [1_781_885_870_259_000_000] * 2
    assert rows.received_time_ns.tolist() == [7, 8]
    assert rows.trade_id.tolist() == [17, 18]
    assert rows.previous_id is not None
    assert rows.previous_id.tolist() == [16, 17]


def test_a_quote_has_both_sides() -> None:
    rows = parse.quotes(of(QUOTE))
    assert (rows.bid_price.unscaled.tolist(), rows.bid_price.decimals) == ([6_180_010], 2)
    assert (rows.ask_size.unscaled.tolist(), rows.ask_size.decimals) == ([30_000], 5)
    assert rows.sequence.tolist() == [105]


def test_a_book_begins_whole_and_then_changes() -> None:
    rows = parse.book(of(SNAPSHOT, UPDATE))
    assert rows.snapshot.tolist() == [1, 0]
    assert rows.last_sequence.tolist() == [100, 107]
    assert rows.previous_sequence.tolist() == [0, 100]
    assert (rows.bids.count.tolist(), rows.asks.count.tolist()) == ([1, 1], [1, 0])
    assert rows.bids.size.unscaled.tolist() == [2_000, 0]


@pytest.mark.parametrize(
    "damaged", [TRADE[:-1], TRADE.replace(b"61800.10", b"NaN"), TRADE.replace(b"buy", b"both")]
)
def test_a_frame_that_is_not_as_documented_is_refused(damaged: bytes) -> None:
    with pytest.raises(FrameError):
        parse.trades(of(damaged))
