"""Real frames: read digit for digit, with every checksum and every trade id in its place."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from kit.connector.books.book_manager import BookManager
from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import Environment
from kit.marketdata.book.checksum import top_checksum
from kit.marketdata.frames import FramePatterns, Frames
from kit.marketdata.model.columns import NumberColumn, PriceLevels, Scale
from venues.okx import parse
from venues.okx.book import BOOK
from venues.okx.catalog import VENUES

SESSIONS = ("btc_usdt_2022", "okcoin_2023")
WIRES = VENUES["okx_futures"](Environment("live", "")).feed_protocols


def lines_of(captures: Path, name: str) -> list[bytes]:
    return (captures / "okx" / name / "frames.jsonl").read_bytes().splitlines()


def captured(captures: Path, channel: str) -> list[bytes]:
    """The data frames of a channel, of all sessions and the loose ones."""
    lines = [line for name in SESSIONS for line in lines_of(captures, name)]
    lines += (captures / "okx" / "single_frames" / "okx.jsonl").read_bytes().splitlines()
    return of_channel(lines, channel)


def of_channel(lines: list[bytes], channel: str) -> list[bytes]:
    return [line for line in lines if line.startswith(b'{"arg":{"channel":"%b"' % channel.encode())]


def written(lines: list[bytes]) -> list[dict]:
    """Their rows as another reader sees them, with the instrument of the frame."""
    frames = [json.loads(line, parse_float=str) for line in lines]
    return [
        {**(row if isinstance(row, dict) else {"row": row}), "arg": frame["arg"]}
        for frame in frames
        for row in frame["data"]
    ]


def frames_of(lines: list[bytes]) -> Frames:
    return Frames(lines, range(len(lines)))


def texts(numbers: NumberColumn) -> list[str]:
    """The numbers as they are read, with as many decimal places as were written."""
    places = np.broadcast_to(numbers.decimals, len(numbers))
    return [
        f"{Decimal(unscaled).scaleb(-int(scale)):f}"
        for unscaled, scale in zip(numbers.unscaled.tolist(), places, strict=True)
    ]


def test_trades_are_read_digit_for_digit(captures: Path) -> None:
    lines = captured(captures, "trades")
    wanted, rows = written(lines), parse.trades(frames_of(lines))
    assert texts(rows.price) == [row["px"] for row in wanted]
    assert texts(rows.size) == [row["sz"] for row in wanted]
    assert [str(number) for number in rows.trade_id] == [row["tradeId"] for row in wanted]
    assert rows.symbols.per_row() == [row["instId"] for row in wanted]
    assert [("", "buy", "sell")[side] for side in rows.side] == [row["side"] for row in wanted]
    assert (rows.venue_time_ns // 10**6).tolist() == [int(row["ts"]) for row in wanted]
    assert len(rows) > 70


def test_trade_ids_have_no_hole(captures: Path) -> None:
    lines = of_channel(lines_of(captures, "btc_usdt_2022"), "trades")
    rows = parse.trades(frames_of(lines))
    assert rows.previous_id is not None
    assert rows.previous_id[1:].tolist() == rows.trade_id[:-1].tolist()


def sides(row: dict) -> tuple[list[list[str]], list[list[str]]]:
    return row["bids"], row["asks"]


def levels_are(levels: PriceLevels, wanted: list[list[list[str]]]) -> None:
    assert levels.count.tolist() == list(map(len, wanted))
    flat = [level for side in wanted for level in side]
    assert texts(levels.price) == [level[0] for level in flat]
    assert texts(levels.size) == [level[1] for level in flat]


@pytest.mark.parametrize("channel", ["books", "books-l2-tbt"])
def test_books_are_read_digit_for_digit(captures: Path, channel: str) -> None:
    lines = captured(captures, channel)
    wanted, rows = written(lines), parse.book(frames_of(lines))
    levels_are(rows.bids, [row["bids"] for row in wanted])
    levels_are(rows.asks, [row["asks"] for row in wanted])
    assert rows.symbols.per_row() == [row["arg"]["instId"] for row in wanted]
    assert rows.checksum is not None
    assert rows.checksum.tolist() == [row["checksum"] for row in wanted]
    assert len(rows) >= 5


def test_quotes_are_read_digit_for_digit(captures: Path) -> None:
    lines = captured(captures, "bbo-tbt")
    wanted, rows = written(lines), parse.quotes(frames_of(lines))
    bids, asks = zip(*map(sides, wanted), strict=True)
    for column, side, place in (
        (rows.bid_price, bids, 0),
        (rows.bid_size, bids, 1),
        (rows.ask_price, asks, 0),
        (rows.ask_size, asks, 1),
    ):
        assert texts(column) == [one[0][place] if one else "0" for one in side]
    assert [len(side) for side in bids].count(0) == 1


def test_tickers_are_read_digit_for_digit(captures: Path) -> None:
    lines = captured(captures, "tickers")
    wanted, rows = written(lines), parse.tickers(frames_of(lines))
    for name, key in (
        ("last_price", "last"),
        ("open_price", "open24h"),
        ("high_price", "high24h"),
        ("low_price", "low24h"),
        ("volume", "vol24h"),
    ):
        assert texts(getattr(rows, name)) == [row[key] for row in wanted]
    assert len(rows) > 30


def test_candles_are_read_digit_for_digit(captures: Path) -> None:
    lines = captured(captures, "candle1m")
    wanted = [row["row"] for row in written(lines)]
    rows = parse.candles(frames_of(lines))
    for place, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert texts(getattr(rows, name)) == [row[place] for row in wanted]
    assert (rows.open_time_ns // 10**6).tolist() == [int(row[0]) for row in wanted]
    assert rows.closed.tolist() == [int(row[8:] == ["1"]) for row in wanted]
    assert len(rows) > 15


def test_fundings_are_read_digit_for_digit(captures: Path) -> None:
    lines = captured(captures, "funding-rate")
    wanted, rows = written(lines), parse.fundings(frames_of(lines))
    assert texts(rows.funding_rate) == [row["fundingRate"] for row in wanted]
    times = (rows.next_funding_time_ns // 10**6).tolist()
    assert times == [int(row["fundingTime"]) for row in wanted]


def test_every_frame_is_known(captures: Path) -> None:
    for name in SESSIONS:
        for line in lines_of(captures, name):
            matching = [
                (wire, kind)
                for wire in WIRES
                for kind in wire.kinds
                if kind.pattern in line[: wire.window_bytes]
            ]
            if matching:
                ((wire, kind),) = matching
                patterns = FramePatterns([one.pattern for one in wire.kinds], wire.window_bytes)
                assert wire.kinds[int(patterns.classify(frames_of([line]))[0])] is kind
                assert all(len(parser(frames_of([line]))) for parser in kind.parsers)
            else:
                assert not WIRES[0].read_control_message(line).rejection


@pytest.mark.parametrize(("name", "frames"), [("btc_usdt_2022", 98), ("okcoin_2023", 6)])
def test_every_checksum_holds(captures: Path, name: str, frames: int) -> None:
    """Through the kit's own books, which are in doubt as soon as one does not."""
    keeper = BookManager(BOOK, lambda draft: None)
    lines = of_channel(lines_of(captures, name), "books")
    for line in lines:
        rows = parse.book(frames_of([line]))
        keeper.add(rows.symbols.names)
        keeper.on_rows(rows)
        book = keeper.books[rows.symbols.names[0]]
        assert book.state is BookState.SYNCHRONIZED
        bids, asks = book.book.bids(), book.book.asks()
        scale = Scale(book.scale.price, book.scale.size)
        assert top_checksum(bids, asks, scale) == int(rows.checksum[0]) & 0xFFFFFFFF
        if name == "btc_usdt_2022":
            assert (len(bids), len(asks)) == (400, 400)  # the venue keeps them so
    assert len(lines) == frames
    assert {book.epoch for book in keeper.books.values()} == {1}


def test_all_books_of_a_session_at_once(captures: Path) -> None:
    lines = of_channel(lines_of(captures, SESSIONS[0]), "books")
    keeper = BookManager(BOOK, lambda draft: None)
    keeper.add(["BTC-USDT"])
    keeper.on_rows(parse.book(frames_of(lines)))
    assert keeper.books["BTC-USDT"].state is BookState.SYNCHRONIZED
    assert keeper.books["BTC-USDT"].epoch == 1


def test_a_level_that_is_not_right_is_noticed(captures: Path) -> None:
    keeper = BookManager(BOOK, lambda draft: None)
    keeper.add(["BTC-USDT"])
    lines = of_channel(lines_of(captures, SESSIONS[0]), "books")
    lines[40] = lines[40].replace(b'"asks":[["3', b'"asks":[["2')
    keeper.on_rows(parse.book(frames_of(lines)))
    assert keeper.books["BTC-USDT"].state is BookState.IN_DOUBT
