"""What ccxt.pro makes of the same real frames. Where it does otherwise, the README says why."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt.pro
import pytest

from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import SIDE_BUY
from venues.deribit import parse
from venues.deribit.tests.test_parse import captured, decimals, pairs


class Ccxt:
    """ccxt as it comes, given frames by hand."""

    def __init__(self) -> None:
        self.exchange = ccxt.pro.deribit()
        self._said: list[Any] = []

    def resolve(self, said: Any, message_hash: str) -> None:
        self._said.append(said)

    def read(self, frame: bytes) -> Any:
        """What it tells whoever watches."""
        self.exchange.handle_message(self, json.loads(frame))
        return self._said[-1]


@pytest.fixture
def ccxt_pro() -> Ccxt:
    return Ccxt()


def frames_of(captures: Path, channel: str) -> list[bytes]:
    start = f'"channel":"{channel}.'.encode()
    lines = [line for line in captured(captures) if start in line and b".none." not in line]
    assert lines
    return lines


def numbers(values: list[float | None]) -> list[Decimal]:
    return [Decimal(str(value or 0)) for value in values]


def test_trades_agree(captures: Path, ccxt_pro: Ccxt) -> None:
    for line in frames_of(captures, "trades"):
        rows = parse.trades(Frames([line], [7]))
        theirs = list(ccxt_pro.read(line))[-len(rows) :]
        assert decimals(rows.price) == numbers([one["price"] for one in theirs])
        assert decimals(rows.size) == numbers([one["amount"] for one in theirs])
        bought = [side == SIDE_BUY for side in rows.side.tolist()]
        assert bought == [one["side"] == "buy" for one in theirs]
        times = [one["timestamp"] * 1_000_000 for one in theirs]
        assert rows.venue_time_ns.tolist() == times
        assert rows.trade_id.tolist() == [one["info"]["trade_seq"] for one in theirs]


def test_books_agree_after_each_frame(captures: Path, ccxt_pro: Ccxt) -> None:
    books: dict[str, tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]] = {}
    for line in frames_of(captures, "book"):
        rows = parse.book(Frames([line], [7]))
        (symbol,) = rows.symbols.names
        sides = books.setdefault(symbol, ({}, {}))
        for side, levels in zip(sides, (rows.bids, rows.asks), strict=True):
            side.update(pairs(levels))
        theirs = ccxt_pro.read(line)
        for side, name in zip(sides, ("bids", "asks"), strict=True):
            ours = {price: size for price, size in side.items() if size}
            prices, sizes, _ = zip(*theirs[name], strict=True) if theirs[name] else ([], [], [])
            assert ours == dict(zip(numbers(list(prices)), numbers(list(sizes)), strict=True))


def test_tickers_and_marks_agree(captures: Path, ccxt_pro: Ccxt) -> None:
    for line in frames_of(captures, "ticker"):
        ticker, mark = parse.tickers(Frames([line], [7])), parse.marks(Frames([line], [7]))
        theirs = ccxt_pro.read(line)
        assert decimals(ticker.last_price) == numbers([theirs["last"]])
        assert decimals(ticker.volume) == numbers([theirs["baseVolume"]])
        assert decimals(mark.mark_price) == numbers([theirs["markPrice"]])
        assert decimals(mark.index_price) == numbers([theirs["indexPrice"]])
        if ticker.volume.unscaled.any():
            assert decimals(ticker.high_price) == numbers([theirs["high"]])
            assert decimals(ticker.low_price) == numbers([theirs["low"]])


def test_quotes_and_candles_agree(captures: Path, ccxt_pro: Ccxt) -> None:
    for line in frames_of(captures, "quote"):
        quote, theirs = parse.quotes(Frames([line], [7])), ccxt_pro.read(line)
        assert decimals(quote.bid_price) == numbers([theirs["bid"]])
        assert decimals(quote.ask_size) == numbers([theirs["askVolume"]])
    for line in frames_of(captures, "chart.trades"):
        candle, (_, _, reported) = parse.candles(Frames([line], [7])), ccxt_pro.read(line)
        ours = (candle.open, candle.high, candle.low, candle.close, candle.volume)
        assert [decimals(column)[0] for column in ours] == numbers(reported[-1][1:])
        assert candle.open_time_ns.tolist() == [reported[-1][0] * 1_000_000]
