"""Lines of a capture, read with the parsers of the venue's connector."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kit.marketdata.frames import Frames
from kit.marketdata.model.columns import (
    SIDE_BUY,
    BookRows,
    MarkRows,
    NumberColumn,
    QuoteRows,
    TradeRows,
    zeros,
)
from kit.simulator.dialect import Channel, ExchangeStream, Frame
from kit.simulator.history import HistoricalTrade
from kit.simulator.listing import DerivativeMark, ExchangeBookSnapshot, Listing
from kit.simulator.market_events import decimal_text

Rows = TradeRows | QuoteRows | BookRows
Parser = Callable[[Frames], Rows]
MarkParser = Callable[[Frames], MarkRows]
BATCH_LINES = 128
"""Lines that are parsed together. One parse costs as much as some lines; of a damaged batch the
halves are parsed again."""


def no_snapshot(body: bytes, url: str = "") -> tuple[str, ExchangeBookSnapshot] | None:
    """The exchange's captures have no books over REST."""
    return None


def no_marks(stream: ExchangeStream) -> MarkParser | None:
    """The exchange has no derivatives."""
    return None


def unchanged(listing: Listing) -> Listing:
    """The exchange has spot alone, or symbols that show nothing more."""
    return listing


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureReader:
    """``CaptureFormat`` of an exchange, from the parsers of its connector."""

    frame_of: Callable[[bytes], Frame]
    """The stream and the payload of a line. Must be fast, and must not raise."""
    parsers: Mapping[Channel, Parser]
    """What has prices and sizes, by the channel of a stream."""
    assets_of: Callable[[str], tuple[str, str]]
    """Base and quote of a symbol."""
    snapshot_of: Callable[..., tuple[str, ExchangeBookSnapshot] | None] = no_snapshot
    """Symbol ("" when it does not say) and book of a snapshot line or a REST body with its URL."""
    marks_of: Callable[[ExchangeStream], MarkParser | None] = no_marks
    """The parser of the marks in a stream."""
    complete: Callable[[Listing], Listing] = unchanged
    """Adds what a symbol shows of a derivative."""
    trade_number: Callable[[str], int] = int
    """The number in a trade id that is a text. Raises ValueError."""
    keeps_zeros: bool = False
    """Whether the exchange writes each number with all its places, so that zeros at the end show
    the tick."""

    def trades_in(self, lines: Sequence[bytes]) -> Sequence[HistoricalTrade]:
        """The trades of frames of trade streams, digit for digit; damaged frames are left out."""
        found: list[HistoricalTrade] = []
        for rows in self._tables(Channel.TRADES, lines):
            if isinstance(rows, TradeRows):
                found += self._prints(rows, lines)
        return found

    def _prints(self, rows: TradeRows, lines: Sequence[bytes]) -> Sequence[HistoricalTrade]:
        """The trades of a table. A frame with a strange number has none, nor has an id that was
        spent without a trade."""
        texts, spent = rows.trade_id_text, rows.spent
        columns = zip(
            rows.trade_id.tolist() if texts is None else texts,
            _texts(rows.price),
            _texts(rows.size),
            rows.venue_time_ns.tolist(),
            rows.side.tolist(),
            rows.received_time_ns.tolist(),
            [0] * len(rows) if spent is None else spent.tolist(),
            strict=True,
        )
        found: list[tuple[int, HistoricalTrade]] = []
        strange: set[int] = set()
        for trade_id, price, size, time_ns, side, at, is_spent in columns:
            if is_spent:
                continue
            try:
                number = self.trade_number(str(trade_id))
            except ValueError:
                strange.add(at)
                continue
            if price[0] == "-" or price.encode() not in lines[at] or size.encode() not in lines[at]:
                strange.add(at)
            found.append((at, HistoricalTrade(number, price, size, time_ns, side == SIDE_BUY)))
        return [trade for at, trade in found if at not in strange]

    def _tables(self, channel: Channel, lines: Sequence[bytes]) -> Iterator[Rows]:
        """The rows of frames of one channel, whose receive time is the index of their line."""
        parser = self.parsers.get(channel)
        if parser is not None:
            for first in range(0, len(lines), BATCH_LINES):
                yield from _parsed(parser, lines[first : first + BATCH_LINES], first)

    def sequence_of(self, line: bytes) -> int:
        """The last sequence of a book frame; 0 when it cannot be read."""
        for rows in self._tables(Channel.BOOK, [line]):
            if isinstance(rows, BookRows) and len(rows):
                return int(rows.last_sequence[-1])
        return 0

    def mark_of(self, line: bytes) -> tuple[str, DerivativeMark] | None:
        """The symbol and the mark of a frame, empty where it says nothing; None: it is damaged, or
        has no marks."""
        parser = self.marks_of(self.frame_of(line)[0])
        if parser is None:
            return None
        try:
            rows = parser(Frames([line], [0]))
        except ValueError:
            return None
        if not len(rows):
            return None
        columns = (rows.mark_price, rows.index_price, rows.funding_rate)
        texts = (next(_texts(column)) for column in columns)
        mark, index, funding = (text if text.strip("0.") else "" for text in texts)
        due_ns = int(rows.next_funding_time_ns[0])
        return rows.symbols.names[0], DerivativeMark(mark, index, funding, due_ns)

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        """The instruments that some lines are about, with the places that their numbers have. A
        frame of marks alone is no proof that its instrument trades."""
        by_symbol: dict[str, dict[Channel, list[bytes]]] = {}
        for line in lines:
            stream, frame = self.frame_of(line)
            if stream.symbol and stream.channel not in (Channel.OTHER, Channel.MARKS):
                by_symbol.setdefault(stream.symbol, {}).setdefault(stream.channel, []).append(frame)
        found = [
            Listing(symbol, *self.assets_of(symbol), *self._steps(frames), "0", derived=True)
            for symbol, frames in by_symbol.items()
        ]
        return [self.complete(listing) for listing in found]

    def _steps(self, frames: Mapping[Channel, Sequence[bytes]]) -> tuple[str, str]:
        """The tick and the lot of an instrument, by its frames."""
        tick = lot = 0
        for channel, lines in frames.items():
            for rows in self._tables(channel, lines):
                prices, sizes = _columns(rows)
                tick = max(tick, *(_places(one, self.keeps_zeros) for one in prices))
                lot = max(lot, *(_places(one, self.keeps_zeros) for one in sizes))
        return _step(tick), _step(lot)


def _parsed(parser: Parser, lines: Sequence[bytes], first: int) -> Iterator[Rows]:
    """The rows of lines; those of both halves when a line is damaged."""
    try:
        yield parser(Frames(lines, range(first, first + len(lines))))
    except ValueError:
        middle = len(lines) // 2
        if middle:
            yield from _parsed(parser, lines[:middle], first)
            yield from _parsed(parser, lines[middle:], first + middle)


def _places(column: NumberColumn, keeps_zeros: bool) -> int:
    """The most decimal places of a column."""
    unscaled = column.unscaled
    decimals = zeros(len(column)) + column.decimals
    while not keeps_zeros:
        shorter = (decimals > 0) & (unscaled % 10 == 0)
        if not shorter.any():
            break
        unscaled, decimals = np.where(shorter, unscaled // 10, unscaled), decimals - shorter
    return int(decimals.max(initial=0))


def _columns(rows: Rows) -> tuple[Sequence[NumberColumn], Sequence[NumberColumn]]:
    """The columns of prices, and those of sizes."""
    if isinstance(rows, TradeRows):
        return [rows.price], [rows.size]
    if isinstance(rows, QuoteRows):
        return [rows.bid_price, rows.ask_price], [rows.bid_size, rows.ask_size]
    return [rows.bids.price, rows.asks.price], [rows.bids.size, rows.asks.size]


def _texts(column: NumberColumn) -> Iterator[str]:
    """Each number with all its places."""
    decimals = column.decimals
    for at, unscaled in enumerate(column.unscaled.tolist()):
        yield decimal_text(unscaled, decimals if isinstance(decimals, int) else int(decimals[at]))


def _step(places: int) -> str:
    return "0." + "1".rjust(places, "0") if places else "1"
