"""Deribit frames: digit for digit what the venue wrote."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kit.base.numbers import to_decimal
from kit.connector.contract.venue import Parse, SequenceNumbers, SequenceResult
from kit.marketdata.frames import FrameError, FramePatterns, Frames
from kit.marketdata.model.columns import NumberColumn, PriceLevels
from venues.deribit import parse
from venues.deribit.book import BOOK


def frame(channel: str, data: str) -> bytes:
    text = f'"method":"subscription","params":{{"channel":"{channel}","data":{data}}}'
    return f'{{"jsonrpc":"2.0",{text}}}'.encode()


TRADES = frame(
    "trades.BTC-PERPETUAL.100ms",
    '[{"trade_seq":92836831,"trade_id":"137487241","timestamp":1616321478553,"tick_direction":1,'
    '"price":56168.0,"mark_price":56172.08,"instrument_name":"BTC-PERPETUAL",'
    '"index_price":56173.74,"direction":"buy","amount":5580.0},{"trade_seq":92836832,'
    '"trade_id":"137487242","timestamp":1616321478553,"tick_direction":1,"price":56168.5,'
    '"mark_price":56172.08,"instrument_name":"BTC-PERPETUAL","index_price":56173.74,'
    '"direction":"sell","amount":60.0}]',
)
QUOTE = frame(
    "quote.BTC-PERPETUAL",
    '{"timestamp":1654012882984,"instrument_name":"BTC-PERPETUAL","best_bid_price":32143.0,'
    '"best_bid_amount":179960.0,"best_ask_price":32143.5,"best_ask_amount":20.0}',
)
SNAPSHOT = frame(
    "book.BTC-PERPETUAL.100ms",
    '{"type":"snapshot","timestamp":1622627433440,"instrument_name":"BTC-PERPETUAL",'
    '"change_id":31479596557,"bids":[["new",37240.0,20.0],["new",37237.0,14270.0]],"asks":[]}',
)
CHANGE = frame(
    "book.BTC-PERPETUAL.100ms",
    '{"type":"change","timestamp":1622627435737,"prev_change_id":31479596557,'
    '"instrument_name":"BTC-PERPETUAL","change_id":31479598217,"bids":[["delete",37240.0,0.0],'
    '["new",36809.5,254870.0]],"asks":[["change",37394.0,42670.0]]}',
)
TICKER = frame(
    "ticker.BTC-PERPETUAL.100ms",
    '{"timestamp":1654161785818,"stats":{"volume_usd":545442610.0,"volume":17945.19644566,'
    '"price_change":-5.4014,"low":29265.5,"high":31903.5},"state":"open","open_interest":559791310,'
    '"mark_price":29932.79,"last_price":29931.0,"instrument_name":"BTC-PERPETUAL",'
    '"index_price":29930.44,"funding_8h":0.00000255,"current_funding":5e-05,'
    '"best_bid_price":29930.5,"best_bid_amount":149910.0}',
)
OPTION_TICKER = frame(
    "ticker.BTC-24JUN22-15000-C.100ms",
    '{"timestamp":1626993722929,"stats":{"volume":null,"price_change":null,"low":null,"high":null},'
    '"mark_price":0.60445275,"mark_iv":87.27,"last_price":null,"index_price":32201.67,'
    '"instrument_name":"BTC-24JUN22-15000-C","greeks":{"vega":49.19588}}',
)
CANDLE = frame(
    "chart.trades.BTC-PERPETUAL.1",
    '{"volume":0.02120555,"tick":1654079340000,"open":31595.5,"low":31595.0,"high":31596.0,'
    '"cost":670.0,"close":31595.5}',
)
GROUPED = frame(
    "book.BTC-PERPETUAL.none.20.100ms",
    '{"timestamp":1653983481909,"instrument_name":"BTC-PERPETUAL","change_id":45176552517,'
    '"bids":[[31523.5,128780.0]],"asks":[[31524.0,30.0]]}',
)
PATTERNS = FramePatterns([kind.pattern for kind in parse.KINDS], parse.WINDOW_BYTES)
NAMES = [*(kind.name for kind in parse.KINDS), "none"]


def decimals(column: NumberColumn) -> list[Decimal]:
    places = column.decimals
    each = [places] * len(column) if isinstance(places, int) else places.tolist()
    return [to_decimal(*pair) for pair in zip(column.unscaled.tolist(), each, strict=True)]


def pairs(levels: PriceLevels) -> list[tuple[Decimal, Decimal]]:
    return list(zip(decimals(levels.price), decimals(levels.size), strict=True))


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (TRADES, "trades"),
        (QUOTE, "quotes"),
        (SNAPSHOT, "book"),
        (GROUPED, "grouped book"),
        (TICKER, "tickers"),
        (CANDLE, "candles"),
        (frame("perpetual.BTC-PERPETUAL.100ms", '{"interest":0.004}'), "perpetual."),
        (frame("platform_state", "{}"), "platform_state"),
        (frame("neverHeardOf", "{}"), "none"),
        (b'{"jsonrpc":"2.0","id":1,"result":["trades.BTC-PERPETUAL.100ms"]}', "none"),
        (b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}', "none"),
        (b"", "none"),
    ],
)
def test_frames_are_classified_by_channel(payload: bytes, kind: str) -> None:
    (number,) = PATTERNS.classify(Frames([payload], [1])).tolist()
    assert NAMES[number] == kind


def test_trades() -> None:
    rows = parse.trades(Frames([TRADES, TRADES], [7, 8]))
    assert rows.symbols.per_row() == ["BTC-PERPETUAL"] * 4
    assert decimals(rows.price)[:2] == [Decimal(56168), Decimal("56168.5")]
    assert decimals(rows.size)[:2] == [Decimal(5580), Decimal(60)]
    assert rows.side.tolist() == [1, 2, 1, 2]
    assert rows.venue_time_ns.tolist() == [1616321478553_000_000] * 4
    assert rows.received_time_ns.tolist() == [7, 7, 8, 8]
    assert rows.trade_id.tolist()[:2] == [92836831, 92836832]
    assert rows.previous_id is not None
    assert rows.previous_id.tolist()[:2] == [92836830, 92836831]


def test_a_quote() -> None:
    rows = parse.quotes(Frames([QUOTE], [7]))
    assert decimals(rows.bid_price) == [Decimal(32143)]
    assert decimals(rows.bid_size) == [Decimal(179960)]
    assert decimals(rows.ask_price) == [Decimal("32143.5")]
    assert decimals(rows.ask_size) == [Decimal(20)]
    assert rows.venue_time_ns.tolist() == [1654012882984_000_000]
    assert rows.sequence.tolist() == [0]


def test_a_quote_without_bids() -> None:
    empty = QUOTE.replace(b"32143.0", b"null").replace(b'"best_bid_amount":179960.0,', b"")
    rows = parse.quotes(Frames([empty], [7]))
    assert (decimals(rows.bid_price), decimals(rows.bid_size)) == ([Decimal(0)], [Decimal(0)])


def test_a_book_snapshot_and_a_change() -> None:
    rows = parse.book(Frames([SNAPSHOT, CHANGE], [7, 8]))
    assert rows.snapshot.tolist() == [1, 0]
    assert rows.last_sequence.tolist() == [31479596557, 31479598217]
    assert rows.previous_sequence.tolist() == [0, 31479596557]
    assert rows.bids.count.tolist() == [2, 2]
    assert rows.asks.count.tolist() == [0, 1]
    assert pairs(rows.bids) == [
        (Decimal(37240), Decimal(20)),
        (Decimal(37237), Decimal(14270)),
        (Decimal(37240), Decimal(0)),
        (Decimal("36809.5"), Decimal(254870)),
    ]
    assert pairs(rows.asks) == [(Decimal(37394), Decimal(42670))]
    assert rows.venue_time_ns.tolist() == [1622627433440_000_000, 1622627435737_000_000]


def test_a_ticker_is_a_ticker_and_a_mark() -> None:
    frames = Frames([TICKER], [7])
    ticker, mark = parse.tickers(frames), parse.marks(frames)
    assert decimals(ticker.last_price) == [Decimal(29931)]
    assert decimals(ticker.high_price) == [Decimal("31903.5")]
    assert decimals(ticker.low_price) == [Decimal("29265.5")]
    assert decimals(ticker.volume) == [Decimal("17945.19644566")]
    assert decimals(mark.mark_price) == [Decimal("29932.79")]
    assert decimals(mark.index_price) == [Decimal("29930.44")]
    assert decimals(mark.funding_rate) == [Decimal("0.00005")]
    assert mark.venue_time_ns.tolist() == [1654161785818_000_000]


def test_an_option_has_a_mark_but_no_funding() -> None:
    frames = Frames([OPTION_TICKER], [7])
    ticker, mark = parse.tickers(frames), parse.marks(frames)
    assert ticker.symbols.names == ["BTC-24JUN22-15000-C"]
    assert decimals(ticker.last_price) == decimals(ticker.volume) == [Decimal(0)]
    assert decimals(mark.mark_price) == [Decimal("0.60445275")]
    assert decimals(mark.funding_rate) == [Decimal(0)]


def test_a_candle_is_of_the_instrument_of_its_channel() -> None:
    other = CANDLE.replace(b"BTC-PERPETUAL.1", b"ETH-PERPETUAL.60")
    same = CANDLE.replace(b"BTC-PERPETUAL.1", b"BTC-PERPETUAL.3")
    rows = parse.candles(Frames([CANDLE, other, same], [7, 8, 9]))
    assert rows.symbols.per_row() == ["BTC-PERPETUAL", "ETH-PERPETUAL", "BTC-PERPETUAL"]
    assert rows.interval_s.tolist() == [60, 3600, 180]
    assert rows.open_time_ns.tolist()[0] == 1654079340000_000_000
    assert decimals(rows.high)[0] == Decimal(31596)
    assert decimals(rows.low)[0] == Decimal(31595)
    assert decimals(rows.volume)[0] == Decimal("0.02120555")
    assert rows.closed.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("parser", "payload"),
    [
        (parse.trades, TRADES[:-1]),
        (parse.trades, TRADES.replace(b"56168.0", b'"NaN"')),
        (parse.trades, TRADES.replace(b'"trade_seq":92836831,', b"")),
        (parse.trades, TRADES.replace(b"92836831", b"99999999999999999999")),
        (parse.trades, TRADES.replace(b'"buy"', b'"both"')),
        (parse.trades, TRADES.replace(b"[{", b"{").replace(b"}]", b"}")),
        (parse.quotes, QUOTE.replace(b"32143.0", b'""')),
        (parse.book, CHANGE.replace(b'"change_id":31479598217,', b"")),
        (parse.book, CHANGE.replace(b'"type":"change"', b'"type":"changed"')),
        (parse.book, CHANGE.replace(b'["change",37394.0,42670.0]', b'["change",37394.0]')),
        (parse.book, CHANGE.replace(b"37394.0", b"null")),
        (parse.book, GROUPED),
        (parse.tickers, TICKER.replace(b'"stats"', b'"figures"')),
        (parse.marks, TICKER.replace(b"29932.79", b"1.2.3")),
        (parse.candles, CANDLE.replace(b"PERPETUAL.1", b"PERPETUAL.7")),
        (parse.candles, CANDLE.replace(b"31596.0", b"null")),
        (parse.book, b"[]"),
        (parse.trades, b"\xff\xfe"),
    ],
)
def test_malformed_frames_are_rejected(parser: Parse, payload: bytes) -> None:
    with pytest.raises(FrameError):
        parser(Frames([payload], [7]))


def test_unusual_numbers_are_exact() -> None:
    unusual = CHANGE.replace(b"254870.0", b"1e-7").replace(b"36809.5", b"3.68095e4")
    rows = parse.book(Frames([unusual], [7]))
    assert pairs(rows.bids)[1] == (Decimal("36809.5"), Decimal("1e-7"))


def captured(captures: Path) -> list[bytes]:
    folder = captures / "deribit"
    files = [folder / "options_4_2021/frames.jsonl", folder / "single_frames/deribit.jsonl"]
    return [line for file in files for line in file.read_bytes().splitlines() if line]


def by_kind(lines: Sequence[bytes]) -> Iterator[tuple[str, Frames, list[dict[str, Any]]]]:
    """The frames of each kind, and what a reader that keeps numbers as text makes of them."""
    frames = Frames(lines, range(len(lines)))
    kinds = PATTERNS.classify(frames)
    for number, name in enumerate(NAMES):
        chosen = np.flatnonzero(kinds == number)
        read = [json.loads(lines[row], parse_float=str, parse_int=str) for row in chosen]
        yield name, frames.take(chosen), read


def exact(values: Sequence[str | None]) -> list[Decimal]:
    return [Decimal(value or 0) for value in values]


def test_real_frames_are_read_digit_for_digit(captures: Path) -> None:
    counts: dict[str, int] = {}
    for name, frames, read in by_kind(captured(captures)):
        counts[name] = len(read)
        data = [one["params"]["data"] for one in read if "params" in one]
        if name == "trades":
            rows = [row for one in data for row in one]
            trades = parse.trades(frames)
            assert decimals(trades.price) == exact([row["price"] for row in rows])
            assert decimals(trades.size) == exact([row["amount"] for row in rows])
            assert trades.trade_id.tolist() == [int(row["trade_seq"]) for row in rows]
            assert trades.symbols.per_row() == [row["instrument_name"] for row in rows]
        elif name == "quotes":
            quotes = parse.quotes(frames)
            assert decimals(quotes.bid_price) == exact([row["best_bid_price"] for row in data])
            assert decimals(quotes.ask_size) == exact([row["best_ask_amount"] for row in data])
        elif name == "book":
            book = parse.book(frames)
            for side, found in (("bids", book.bids), ("asks", book.asks)):
                levels = [(level[1], level[2]) for row in data for level in row[side]]
                assert pairs(found) == [tuple(exact(level)) for level in levels]
        elif name == "tickers":
            ticker, mark = parse.tickers(frames), parse.marks(frames)
            stats = [row["stats"] for row in data]
            assert decimals(ticker.volume) == exact([row["volume"] for row in stats])
            assert decimals(ticker.high_price) == exact([row["high"] for row in stats])
            assert decimals(ticker.last_price) == exact([row["last_price"] for row in data])
            assert decimals(mark.mark_price) == exact([row["mark_price"] for row in data])
            assert decimals(mark.index_price) == exact([row["index_price"] for row in data])
            funding = [row.get("current_funding") for row in data]
            assert decimals(mark.funding_rate) == exact(funding)
        elif name == "candles":
            candles = parse.candles(frames)
            for column, key in (("open", "open"), ("close", "close"), ("volume", "volume")):
                assert decimals(getattr(candles, column)) == exact([row[key] for row in data])
        elif name == "none":
            assert all("result" in one for one in read)
    assert counts["book"] > 30
    assert counts["tickers"] > 40
    assert all(counts[name] for name in NAMES if name not in parse.UNREAD)


def test_the_chain_of_real_books_has_no_hole(captures: Path) -> None:
    last: dict[str, int] = {}
    joined: defaultdict[str, int] = defaultdict(int)
    lines = (captures / "deribit/options_4_2021/frames.jsonl").read_bytes().splitlines()
    for name, frames, _ in by_kind(lines):
        if name != "book":
            continue
        rows = parse.book(frames)
        for row, symbol in enumerate(rows.symbols.per_row()):
            numbers = SequenceNumbers(
                int(rows.first_sequence[row]),
                int(rows.last_sequence[row]),
                int(rows.previous_sequence[row]),
            )
            if not rows.snapshot[row]:
                assert BOOK.sequence.after_update(last[symbol], numbers) is SequenceResult.APPLY
                joined[symbol] += 1
            last[symbol] = numbers.last
    assert sum(joined.values()) > 20
