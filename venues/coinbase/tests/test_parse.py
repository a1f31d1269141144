"""Coinbase's frames: digit for digit what the venue wrote."""

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest

from kit.base.numbers import to_decimal
from kit.marketdata.frames import FrameError, Frames
from kit.marketdata.model.columns import SIDE_BUY, SIDE_SELL, NumberColumn, PriceLevels
from venues.coinbase import parse

SECOND_NS = 1_000_000_000
ADVANCED_TRADES = (
    b'{"channel":"market_trades","timestamp":"2026-09-30T01:41:27.834Z","sequence_num":5,"events":'
    b'[{"type":"update","trades":[{"product_id":"ETH-USD","trade_id":"846149799","price":"2668.36",'
    b'"size":"1","time":"2026-09-30T01:41:25.375232Z","side":"BUY"},{"product_id":"ETH-USD",'
    b'"trade_id":"846149798","price":"2668.35","size":"0.03710506",'
    b'"time":"2026-09-30T01:41:25.375231Z","side":"SELL"}]}]}'
)
ADVANCED_BOOK = (
    b'{"channel":"l2_data","client_id":"","timestamp":"2026-09-07T01:57:58.894355Z",'
    b'"sequence_num":0,"events":[{"type":"snapshot","product_id":"BTC-USD","updates":[{"side":'
    b'"offer","event_time":"2026-09-07T01:57:58.894355Z","price_level":"79944.1","new_quantity":'
    b'"1.2"},{"side":"bid","event_time":"2026-09-07T01:57:58.894355Z","price_level":"79943.9",'
    b'"new_quantity":"3.0105"},{"side":"bid","event_time":"1970-01-01T00:00:00Z","price_level":'
    b'"79943","new_quantity":"0"}]}]}'
)
ADVANCED_TICKER = (
    b'{"channel":"ticker","timestamp":"2026-06-14T05:35:45.435813533Z","sequence_num":16,"events":'
    b'[{"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"64281.7",'
    b'"volume_24_h":"3974.98800786","low_24_h":"63454","high_24_h":"64727.27","low_52_w":'
    b'"59073.01","high_52_w":"126296","price_percent_chg_24_h":"1.21471769193719","best_bid":'
    b'"64281.7","best_ask":"64281.71","best_bid_quantity":"0.21558849","best_ask_quantity":'
    b'"0.02287045"}]}]}'
)
ADVANCED_CANDLES = (
    b'{"channel":"candles","timestamp":"2026-09-22T23:19:47Z","sequence_num":3,"events":[{"type":'
    b'"snapshot","candles":[{"start":"1790119200","high":"3.5","low":"1","open":"2.25","close":"3",'
    b'"volume":"4.00000001","product_id":"BTC-USD"}]}]}'
)
MATCH = (
    b'{"type":"match","trade_id":280232,"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16",'
    b'"taker_order_id":"3c82abaa-c01e-4608-be59-6a1e69742891","side":"sell","size":"985",'
    b'"price":"0.00001305","product_id":"SKL-BTC","sequence":177100030,'
    b'"time":"2021-04-17T16:43:37.089723Z"}'
)
SNAPSHOT = (
    b'{"type":"snapshot","product_id":"BTC-USD","asks":[["37212.77","0.05724592"],["37215.39",'
    b'"0.00900000"]],"bids":[["37209.96","0.04016376"]]}'
)
UPDATE = (
    b'{"type":"l2update","product_id":"BTC-USD","changes":[["sell","37212.77","0.00000000"],'
    b'["buy","37378.26","0.02460000"]],"time":"2021-06-02T09:02:09.048568Z"}'
)
TICKER = (
    b'{"type":"ticker","sequence":38332655422,"product_id":"BTC-USD","price":"29940.91",'
    b'"open_24h":"31677.61","volume_24h":"27783.70216674","low_24h":"29308.01","high_24h":"31888",'
    b'"volume_30d":"778633.19135445","best_bid":"29940.90","best_bid_size":"0.10647825",'
    b'"best_ask":"29940.91","best_ask_size":"0.03131702","side":"buy",'
    b'"time":"2022-06-02T09:20:54.127011Z","trade_id":347875517,"last_size":"0.00061522"}'
)


def decimals(column: NumberColumn) -> list[Decimal]:
    places = column.decimals
    each = [places] * len(column) if isinstance(places, int) else places.tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), each, strict=True)]


def levels(side: PriceLevels) -> list[tuple[Decimal, Decimal]]:
    return list(zip(decimals(side.price), decimals(side.size), strict=True))


def pairs(*texts: tuple[str, str]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in texts]


def test_trades_of_advanced_are_oldest_first_with_the_takers_side() -> None:
    rows = parse.advanced_trades(Frames([ADVANCED_TRADES, ADVANCED_TRADES], [7, 8]))
    assert rows.symbols.per_row() == ["ETH-USD"] * 4
    assert rows.trade_id.tolist() == [846149798, 846149799] * 2
    assert rows.previous_id is not None
    assert rows.previous_id.tolist() == [846149797, 846149798] * 2
    assert decimals(rows.price) == [Decimal("2668.35"), Decimal("2668.36")] * 2
    assert decimals(rows.size) == [Decimal("0.03710506"), Decimal(1)] * 2
    assert rows.side.tolist() == [SIDE_BUY, SIDE_SELL] * 2  # a maker sold: the taker bought
    assert rows.venue_time_ns.tolist() == [1790732485375231000, 1790732485375232000] * 2
    assert rows.received_time_ns.tolist() == [7, 7, 8, 8]


def test_a_book_of_advanced() -> None:
    rows = parse.advanced_book(Frames([ADVANCED_BOOK], [7]))
    assert rows.symbols.per_row() == ["BTC-USD"]
    assert rows.snapshot.tolist() == [1]
    assert rows.bids.count.tolist() == [2]
    assert rows.asks.count.tolist() == [1]
    assert levels(rows.bids) == pairs(("79943.9", "3.0105"), ("79943", "0"))
    assert levels(rows.asks) == pairs(("79944.1", "1.2"))
    assert rows.venue_time_ns.tolist() == [1788746278894355000]


def test_updates_of_two_books_in_one_frame() -> None:
    update = {"side": "bid", "price_level": "5", "new_quantity": "6"}
    events = [
        {"type": "update", "product_id": product, "updates": [update] * count}
        for product, count in (("BTC-USD", 1), ("ETH-USD", 2))
    ]
    frame = {"channel": "l2_data", "timestamp": "2026-09-07T01:57:58Z", "events": events}
    rows = parse.advanced_book(Frames([json.dumps(frame).encode()], [7]))
    assert rows.symbols.per_row() == ["BTC-USD", "ETH-USD"]
    assert rows.bids.count.tolist() == [1, 2]
    assert rows.snapshot.tolist() == [0, 0]
    assert rows.received_time_ns.tolist() == [7, 7]


def test_a_ticker_of_advanced_is_a_quote_and_figures() -> None:
    frames = Frames([ADVANCED_TICKER], [7])
    quote, ticker = parse.advanced_quotes(frames), parse.advanced_tickers(frames)
    assert decimals(quote.bid_price) == [Decimal("64281.7")]
    assert decimals(quote.bid_size) == [Decimal("0.21558849")]
    assert decimals(quote.ask_price) == [Decimal("64281.71")]
    assert decimals(quote.ask_size) == [Decimal("0.02287045")]
    assert quote.sequence.tolist() == [0]
    assert quote.venue_time_ns.tolist() == [1781415345435813533]
    assert decimals(ticker.last_price) == [Decimal("64281.7")]
    assert decimals(ticker.open_price) == [Decimal(0)]  # the frame does not say
    assert decimals(ticker.high_price) == [Decimal("64727.27")]
    assert decimals(ticker.low_price) == [Decimal(63454)]
    assert decimals(ticker.volume) == [Decimal("3974.98800786")]


def test_a_candle_of_advanced_is_never_marked_closed() -> None:
    rows = parse.advanced_candles(Frames([ADVANCED_CANDLES], [7]))
    assert rows.interval_s.tolist() == [300]
    assert rows.open_time_ns.tolist() == [1790119200 * SECOND_NS]
    numbers = (rows.open, rows.high, rows.low, rows.close, rows.volume)
    assert [decimals(one)[0] for one in numbers] == [
        Decimal(text) for text in ("2.25", "3.5", "1", "3", "4.00000001")
    ]
    assert rows.closed.tolist() == [0]


def test_frames_of_advanced_are_numbered_together() -> None:
    frames = [ADVANCED_BOOK, ADVANCED_CANDLES, ADVANCED_TRADES, ADVANCED_TICKER]
    assert parse.advanced_sequence(Frames(frames, [7] * 4)).tolist() == [0, 3, 5, 16]


def test_a_match_of_exchange_has_the_takers_side() -> None:
    last = MATCH.replace(b'"match"', b'"last_match"').replace(b"sell", b"buy")
    rows = parse.exchange_trades(Frames([last, MATCH], [7, 8]))
    assert rows.symbols.per_row() == ["SKL-BTC"] * 2
    assert rows.side.tolist() == [SIDE_SELL, SIDE_BUY]
    assert decimals(rows.price) == [Decimal("0.00001305")] * 2
    assert decimals(rows.size) == [Decimal(985)] * 2
    assert rows.trade_id.tolist() == [280232] * 2
    assert rows.previous_id is not None
    assert rows.previous_id.tolist() == [280231] * 2
    assert rows.venue_time_ns.tolist() == [1618677817089723000] * 2


def test_whole_books_and_changes_of_exchange_keep_their_order() -> None:
    rows = parse.exchange_book(Frames([UPDATE, SNAPSHOT, UPDATE], [7, 8, 9]))
    assert rows.snapshot.tolist() == [0, 1, 0]
    assert rows.bids.count.tolist() == [1, 1, 1]
    assert rows.asks.count.tolist() == [1, 2, 1]
    change = pairs(("37378.26", "0.0246"))
    assert levels(rows.bids) == [*change, *pairs(("37209.96", "0.04016376")), *change]
    gone = pairs(("37212.77", "0"))
    whole = pairs(("37212.77", "0.05724592"), ("37215.39", "0.009"))
    assert levels(rows.asks) == [*gone, *whole, *gone]
    assert rows.venue_time_ns.tolist() == [1622624529048568000, 0, 1622624529048568000]


def test_a_ticker_of_exchange_is_a_quote_and_figures() -> None:
    old = TICKER.replace(b'"best_bid_size":"0.10647825",', b"").replace(b"5422", b"5423")
    frames = Frames([TICKER, old.replace(b'"best_ask_size":"0.03131702",', b"")], [7, 8])
    quotes, tickers = parse.exchange_quotes(frames), parse.exchange_tickers(frames)
    assert decimals(quotes.bid_price) == [Decimal("29940.9")] * 2
    assert decimals(quotes.bid_size) == [Decimal("0.10647825"), Decimal(0)]
    assert decimals(quotes.ask_size) == [Decimal("0.03131702"), Decimal(0)]
    assert quotes.sequence.tolist() == [38332655422, 38332655423]
    assert decimals(tickers.open_price) == [Decimal("31677.61")] * 2
    assert decimals(tickers.high_price) == [Decimal(31888)] * 2
    assert decimals(tickers.volume) == [Decimal("27783.70216674")] * 2


@pytest.mark.parametrize(
    ("parser", "frame"),
    [
        (parse.advanced_trades, ADVANCED_TRADES[:-1]),
        (parse.advanced_trades, ADVANCED_TRADES.replace(b'"2668.35"', b'"NaN"')),
        (parse.advanced_trades, ADVANCED_TRADES.replace(b'"SELL"', b'"NEITHER"')),
        (parse.advanced_trades, ADVANCED_TRADES.replace(b"25.375232Z", b"soon")),
        (parse.advanced_trades, ADVANCED_TRADES.replace(b'"846149798"', b'"one"')),
        (parse.advanced_book, ADVANCED_BOOK.replace(b'"snapshot"', b'"rumour"')),
        (parse.advanced_book, ADVANCED_BOOK.replace(b'"price_level":"79943"', b'"level":1')),
        (parse.advanced_book, ADVANCED_BOOK.replace(b'"1.2"', b'""')),
        (parse.advanced_quotes, ADVANCED_TICKER.replace(b'"best_bid":"64281.7",', b"")),
        (parse.advanced_candles, ADVANCED_CANDLES.replace(b'"1790119200"', b'""')),
        (parse.exchange_trades, MATCH.replace(b'"985"', b'"1.2.3"')),
        (parse.exchange_book, UPDATE.replace(b'"0.02460000"', b"null")),
        (parse.exchange_book, UPDATE.replace(b'"l2update"', b'"l4update"')),
        (parse.exchange_book, SNAPSHOT.replace(b'[["37209.96","0.04016376"]]', b"{}")),
        (parse.exchange_quotes, TICKER.replace(b"38332655422", b"-")),
        (parse.exchange_trades, b"\xff\xfe"),
        (parse.advanced_trades, b"[]"),
    ],
)
def test_malformed_frames_are_rejected(parser, frame: bytes) -> None:
    with pytest.raises(FrameError):
        parser(Frames([frame], [7]))


def captured(captures: Path) -> list[bytes]:
    folder = captures / "coinbase"
    files = [*folder.glob("*/frames.jsonl"), folder / "single_frames" / "coinbase_pro.jsonl"]
    return [line for file in files for line in file.read_bytes().splitlines()]


def of_types(lines: list[bytes], *types: str) -> tuple[Frames, list[dict]]:
    """The frames of these types, and an independent reading of them."""
    rows = [json.loads(line, parse_float=str) for line in lines]
    chosen = [number for number, row in enumerate(rows) if row.get("type") in types]
    return Frames([lines[n] for n in chosen], chosen), [rows[n] for n in chosen]


def test_real_matches_are_read_digit_for_digit_and_follow_one_another(captures: Path) -> None:
    frames, wanted = of_types(captured(captures), "match", "last_match")
    rows = parse.exchange_trades(frames)
    assert decimals(rows.price) == [Decimal(row["price"]) for row in wanted]
    assert decimals(rows.size) == [Decimal(row["size"]) for row in wanted]
    assert rows.symbols.per_row() == [row["product_id"] for row in wanted]
    seen: dict[str, int] = {}
    for product, number in zip(rows.symbols.per_row(), rows.trade_id.tolist(), strict=True):
        assert number == seen.get(product, number - 1) + 1
        seen[product] = number
    assert len(rows) == 77


def test_real_tickers_are_read_digit_for_digit_and_grow(captures: Path) -> None:
    frames, wanted = of_types(captured(captures), "ticker")
    quotes, tickers = parse.exchange_quotes(frames), parse.exchange_tickers(frames)
    for column, member in (
        (quotes.bid_price, "best_bid"),
        (quotes.ask_price, "best_ask"),
        (tickers.last_price, "price"),
        (tickers.open_price, "open_24h"),
        (tickers.high_price, "high_24h"),
        (tickers.low_price, "low_24h"),
        (tickers.volume, "volume_24h"),
    ):
        assert decimals(column) == [Decimal(row[member]) for row in wanted]
    seen: dict[str, int] = {}
    for product, number in zip(quotes.symbols.per_row(), quotes.sequence.tolist(), strict=True):
        assert number > seen.get(product, 0)
        seen[product] = number
    assert len(quotes) == 77


def test_real_books_are_read_digit_for_digit_and_never_cross(captures: Path) -> None:
    lines = (captures / "coinbase/exchange_6_products_2021/frames.jsonl").read_bytes().splitlines()
    frames, wanted = of_types(lines, "snapshot", "l2update")
    rows = parse.exchange_book(frames)
    assert rows.snapshot.tolist() == [int(row["type"] == "snapshot") for row in wanted]
    read = {"bids": iter(levels(rows.bids)), "asks": iter(levels(rows.asks))}
    counts = {"bids": rows.bids.count.tolist(), "asks": rows.asks.count.tolist()}
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    for number, row in enumerate(wanted):
        if row["type"] == "snapshot":
            books[row["product_id"]] = {"bids": {}, "asks": {}}
        book = books[row["product_id"]]  # no change came before its whole book
        for name, side in (("bids", "buy"), ("asks", "sell")):
            changes = [change[1:] for change in row.get("changes", ()) if change[0] == side]
            expected = pairs(*row.get(name, changes))
            assert [next(read[name]) for _ in range(counts[name][number])] == expected
            book[name].update(expected)
            book[name] = {price: size for price, size in book[name].items() if size}
        assert max(book["bids"]) < min(book["asks"])
    assert len(wanted) == 5_837
    assert len(books) == 6


def test_the_side_of_a_real_match_is_the_makers(captures: Path) -> None:
    """Its price stands, or stood a moment ago, on that side of the book, and not on the other; the
    ticker of the same trade names the other side."""
    lines = (captures / "coinbase/exchange_6_products_2021/frames.jsonl").read_bytes().splitlines()
    prices: dict[tuple[str, str], set[Decimal]] = {}
    newest: dict[tuple[str, str], list[Decimal]] = {}
    sides: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for row in map(json.loads, lines):
        product = row.get("product_id", "")
        if row["type"] == "snapshot":
            for side, name in (("buy", "bids"), ("sell", "asks")):
                prices[product, side] = {Decimal(price) for price, _ in row[name]}
                newest[product, side] = []
        for side, price, size in row.get("changes", ()):
            level = Decimal(price)
            change = prices[product, side].add if Decimal(size) else prices[product, side].discard
            change(level)
            newest[product, side] = [*newest[product, side][-2:], level]
        if row["type"] == "match":
            stood = {
                side
                for side in ("buy", "sell")
                if Decimal(row["price"]) in prices[product, side] | set(newest[product, side])
            }
            assert stood == {row["side"]}
            sides[product, row["trade_id"]].append(row["side"])
        elif row["type"] == "ticker":
            sides[product, row["trade_id"]].append(row["side"])
    pairs = [tuple(two) for two in sides.values() if len(two) == 2]
    assert set(pairs) == {("buy", "sell"), ("sell", "buy")}
    assert len(pairs) == 70
