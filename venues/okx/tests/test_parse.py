"""OKX frames: digit for digit what the venue wrote."""

from decimal import Decimal

import pytest

from kit.base.numbers import to_decimal
from kit.marketdata.frames import FrameError, Frames
from kit.marketdata.model.columns import NumberColumn
from venues.okx import parse

TRADE = (
    b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",'
    b'"tradeId":"338476307","px":"30236","sz":"0.0002","side":"sell","ts":"1652459224818",'
    b'"count":"3","source":"0","seqId":1234}]}'
)
QUOTE = (
    b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["31774.7","0.14368878",'
    b'"0","3"]],"bids":[["31774.6","0.3392211","0","3"]],"ts":"1654032991947","seqId":363996337}]}'
)
BOOK = (
    b'{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["30243.5",'
    b'"1.2112","0","4"],["30247.5","0","0","0"]],"bids":[["30241","0.07","0","1"]],'
    b'"ts":"1652459225500","checksum":-855196043,"prevSeqId":123456,"seqId":123460}]}'
)
TICKER = (
    b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT",'
    b'"instId":"BTC-USDT","last":"29934","lastSz":"0.00001468","askPx":"29934.1",'
    b'"askSz":"0.30918743","bidPx":"29934","bidSz":"0.05181315","open24h":"31588.3",'
    b'"high24h":"31899.8","low24h":"29318.7","sodUtc0":"29806.5","sodUtc8":"30747",'
    b'"volCcy24h":"302140058.01215828","vol24h":"9935.14546361","ts":"1654166073135"}]}'
)
MARK = (
    b'{"arg":{"channel":"mark-price","instId":"BTC-USDT-SWAP"},"data":[{"instType":"SWAP",'
    b'"instId":"BTC-USDT-SWAP","markPx":"42310.6","ts":"1630049139746"}]}'
)
INDEX = (
    b'{"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",'
    b'"idxPx":"42310.1","high24h":"42820","ts":"1630049139747"}]}'
)
FUNDING = (
    b'{"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{'
    b'"fundingRate":"-0.0001534702159002","fundingTime":"1646323200000",'
    b'"instId":"BTC-USDT-SWAP","instType":"SWAP","nextFundingRate":"0.0001542145319804"}]}'
)
CANDLE = (
    b'{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1654154580000","29930.7",'
    b'"29936.3","29930.5","29936.2","0.0111536","333.86246417","333.86246417","1"]]}'
)


def decimals(column: NumberColumn) -> list[Decimal]:
    places = column.decimals
    each = [places] * len(column) if isinstance(places, int) else places.tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), each, strict=True)]


def test_a_trade() -> None:
    rows = parse.trades(Frames([TRADE], [7]))
    assert rows.symbols.per_row() == ["BTC-USDT"]
    assert decimals(rows.price) == [Decimal(30236)]
    assert decimals(rows.size) == [Decimal("0.0002")]
    assert rows.side.tolist() == [2]
    assert rows.venue_time_ns.tolist() == [1652459224818_000_000]
    assert rows.received_time_ns.tolist() == [7]
    assert rows.trade_id.tolist() == [338476307]


@pytest.mark.parametrize(
    ("count", "before"), [(b'"count":"3",', 304), (b'"count":"1",', 306), (b"", 306)]
)
def test_a_trade_may_combine_several_matches(count: bytes, before: int) -> None:
    rows = parse.trades(Frames([TRADE.replace(b'"count":"3",', count)], [7]))
    assert rows.previous_id is not None
    assert rows.previous_id.tolist() == [338476000 + before]


def test_all_rows_of_a_frame_have_its_time() -> None:
    two = TRADE.replace(b'"data":[', b'"data":[' + TRADE[TRADE.index(b'[{"') + 1 : -2] + b",")
    rows = parse.trades(Frames([TRADE, two], [7, 8]))
    assert rows.received_time_ns.tolist() == [7, 8, 8]


def test_a_quote() -> None:
    rows = parse.quotes(Frames([QUOTE], [7]))
    assert rows.symbols.per_row() == ["BTC-USDT"]
    assert decimals(rows.bid_price) == [Decimal("31774.6")]
    assert decimals(rows.bid_size) == [Decimal("0.3392211")]
    assert decimals(rows.ask_price) == [Decimal("31774.7")]
    assert decimals(rows.ask_size) == [Decimal("0.14368878")]
    assert rows.venue_time_ns.tolist() == [1654032991947_000_000]


def test_ids_that_may_restart_do_not_order_quotes() -> None:
    assert parse.quotes(Frames([QUOTE], [7])).sequence.tolist() == [0]


def test_a_side_without_orders_is_empty() -> None:
    no_bids = QUOTE.replace(b'[["31774.6","0.3392211","0","3"]]', b"[]")
    rows = parse.quotes(Frames([no_bids, QUOTE, no_bids], [7, 8, 9]))
    assert decimals(rows.bid_price) == [Decimal(0), Decimal("31774.6"), Decimal(0)]
    assert decimals(rows.bid_size) == [Decimal(0), Decimal("0.3392211"), Decimal(0)]
    assert decimals(rows.ask_price) == [Decimal("31774.7")] * 3
    assert decimals(parse.quotes(Frames([no_bids], [7])).bid_size) == [Decimal(0)]


def test_a_book_update() -> None:
    rows = parse.book(Frames([BOOK, BOOK], [7, 8]))
    assert rows.symbols.per_row() == ["BTC-USDT"] * 2
    assert rows.first_sequence.tolist() == [123457] * 2
    assert rows.last_sequence.tolist() == [123460] * 2
    assert rows.previous_sequence.tolist() == [123456] * 2
    assert rows.snapshot.tolist() == [0, 0]
    assert rows.checksum is not None
    assert rows.checksum.tolist() == [-855196043] * 2
    assert rows.bids.count.tolist() == [1, 1]
    assert rows.asks.count.tolist() == [2, 2]
    assert decimals(rows.bids.price) == [Decimal(30241)] * 2
    assert decimals(rows.asks.price) == [Decimal("30243.5"), Decimal("30247.5")] * 2
    assert decimals(rows.asks.size) == [Decimal("1.2112"), Decimal(0)] * 2


def test_a_snapshot_has_no_predecessor() -> None:
    whole = BOOK.replace(b'"update"', b'"snapshot"').replace(b"123456", b"-1")
    rows = parse.book(Frames([whole], [7]))
    assert rows.snapshot.tolist() == [1]
    assert (rows.first_sequence.tolist(), rows.last_sequence.tolist()) == ([123460], [123460])


@pytest.mark.parametrize(
    ("sequence", "first"), [(b"123456", 123456), (b"3", 3)], ids=["empty", "restarted"]
)
def test_an_update_never_ends_before_it_begins(sequence: bytes, first: int) -> None:
    rows = parse.book(Frames([BOOK.replace(b"123460", sequence)], [7]))
    assert rows.first_sequence.tolist() == rows.last_sequence.tolist() == [first]


def test_a_ticker() -> None:
    rows = parse.tickers(Frames([TICKER], [7]))
    assert rows.symbols.per_row() == ["BTC-USDT"]
    assert decimals(rows.last_price) == [Decimal(29934)]
    assert decimals(rows.open_price) == [Decimal("31588.3")]
    assert decimals(rows.high_price) == [Decimal("31899.8")]
    assert decimals(rows.low_price) == [Decimal("29318.7")]
    assert decimals(rows.volume) == [Decimal("9935.14546361")]
    assert rows.venue_time_ns.tolist() == [1654166073135_000_000]


def test_marks_have_separate_rows() -> None:
    mark, index, funding = (
        parse.marks(Frames([MARK], [7])),
        parse.indexes(Frames([INDEX], [7])),
        parse.fundings(Frames([FUNDING], [7])),
    )
    for rows in (mark, index, funding):
        assert rows.symbols.per_row() == ["BTC-USDT-SWAP"]
        assert rows.received_time_ns.tolist() == [7]
    nothing = [Decimal(0)]
    assert [decimals(one.mark_price) for one in (mark, index, funding)] == [
        [Decimal("42310.6")],
        nothing,
        nothing,
    ]
    assert [decimals(one.index_price) for one in (mark, index, funding)] == [
        nothing,
        [Decimal("42310.1")],
        nothing,
    ]
    assert decimals(funding.funding_rate) == [Decimal("-0.0001534702159002")]
    assert funding.next_funding_time_ns.tolist() == [1646323200000_000_000]
    assert mark.next_funding_time_ns.tolist() == index.next_funding_time_ns.tolist() == [0]
    assert mark.venue_time_ns.tolist() == [1630049139746_000_000]
    assert funding.venue_time_ns.tolist() == [0]


def test_a_candle() -> None:
    open_one = CANDLE.replace(b'"1"]', b'"0"]')
    rows = parse.candles(Frames([CANDLE, open_one], [7, 8]))
    assert rows.symbols.per_row() == ["BTC-USDT"] * 2
    assert rows.interval_s.tolist() == [60, 60]
    assert rows.open_time_ns.tolist() == [1654154580000_000_000] * 2
    assert decimals(rows.open) == [Decimal("29930.7")] * 2
    assert decimals(rows.high) == [Decimal("29936.3")] * 2
    assert decimals(rows.low) == [Decimal("29930.5")] * 2
    assert decimals(rows.close) == [Decimal("29936.2")] * 2
    assert decimals(rows.volume) == [Decimal("0.0111536")] * 2
    assert rows.closed.tolist() == [1, 0]
    assert rows.received_time_ns.tolist() == [7, 8]


@pytest.mark.parametrize(
    ("parser", "frame"),
    [
        (parse.trades, TRADE[:-1]),
        (parse.trades, TRADE.replace(b'"30236"', b'"NaN"')),
        (parse.trades, TRADE.replace(b'"30236"', b"null")),
        (parse.trades, TRADE.replace(b'"sell"', b'"neither"')),
        (parse.trades, TRADE.replace(b'"tradeId":"338476307",', b"")),
        (parse.trades, TRADE.replace(b"338476307", b"99999999999999999999")),
        (parse.trades, b"\xff\xfe"),
        (parse.quotes, QUOTE.replace(b'"0.3392211"', b'""')),
        (parse.quotes, QUOTE.replace(b'"31774.6",', b"")[:-9]),
        (parse.book, BOOK.replace(b'"update"', b'"else"')),
        (parse.book, BOOK.replace(b'"30243.5"', b'"3.02.43"')),
        (parse.book, BOOK.replace(b'[["30241","0.07","0","1"]]', b"{}")),
        (parse.book, b"[]"),
        (parse.tickers, TICKER.replace(b'"29318.7"', b'"-"')),
        (parse.marks, MARK.replace(b'"42310.6"', b'""')),
        (parse.indexes, INDEX.replace(b"idxPx", b"idx")),
        (parse.fundings, FUNDING.replace(b'"1646323200000"', b'"soon"')),
        (parse.candles, CANDLE.replace(b'"29936.2"', b'"high"')),
        (parse.candles, CANDLE.replace(b'"1654154580000"', b'"-1"')),
        (parse.candles, CANDLE.replace(b'"29936.2"', b"29936.2")),
        (parse.candles, CANDLE.replace(b',"0.0111536","333.86246417","333.86246417","1"', b"")),
        (parse.candles, CANDLE[:-1]),
        (parse.candles, b"\xff\xfe"),
    ],
)
def test_malformed_frames_are_rejected(parser, frame: bytes) -> None:
    with pytest.raises(FrameError):
        parser(Frames([frame], [7]))


def test_unusual_numbers_are_exact() -> None:
    rows = parse.trades(Frames([TRADE.replace(b'"0.0002"', b'"1e-7"')], [7]))
    assert decimals(rows.size) == [Decimal("1e-7")]
