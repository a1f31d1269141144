"""Lines of a capture, read with the parsers of the venue's connector."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kit.marketdata.frames import FrameError, Frames
from kit.marketdata.model.columns import (
    SIDE_BUY,
    BookRows,
    MarkRows,
    Numbers,
    QuoteRows,
    TradeRows,
)
from kit.simulator.dialect import Channel, Frame, Stream
from kit.simulator.events import decimal_text
from kit.simulator.history import TradePrint
from kit.simulator.listing import BookSnapshot, Listing, Mark

Rows = TradeRows | QuoteRows | BookRows
Parser = Callable[[Frames], Rows]
MarkParser = Callable[[Frames], MarkRows]


def no_snapshot(body: bytes, url: str = "") -> tuple[str, BookSnapshot] | None:
    """The exchange's captures have no books over REST."""
    return None


def no_marks(stream: Stream) -> MarkParser | None:
    """The exchange has no derivatives."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureReader:
    """``CaptureFormat`` of an exchange, from the parsers of its connector."""

    frame_of: Callable[[bytes], Frame]
    """The stream and the payload of a line. Must be fast, and must not raise."""
    parsers: Mapping[Channel, Parser]
    """What has prices and sizes, by the channel of a stream."""
    assets_of: Callable[[str], tuple[str, str]]
    """Base and quote of a symbol."""
    snapshot_of: Callable[..., tuple[str, BookSnapshot] | None] = no_snapshot
    """Symbol ("" when it does not say) and book of a snapshot line or a REST body with its URL."""
    marks_of: Callable[[Stream], MarkParser | None] = no_marks
    """The parser of the marks in a stream."""
    trade_number: Callable[[str], int] = int
    """The number in a trade id that is a text. Raises ValueError."""
    keeps_zeros: bool = False
    """Whether the exchange writes each number with all its places, so that zeros at the end show
    the tick."""

    def rows_of(self, channel: Channel, line: bytes) -> Rows | None:
        """The rows of a frame; None when it is damaged, or of a channel without a parser."""
        parser = self.parsers.get(channel)
        if parser is None:
            return None
        try:
            return parser(Frames([line], [0]))
        except (FrameError, ValueError):
            return None

    def trades_of(self, line: bytes) -> Sequence[TradePrint]:
        """The trades of a frame, digit for digit; none when it is damaged."""
        rows = self.rows_of(Channel.TRADES, line)
        if not isinstance(rows, TradeRows):
            return []
        prices, sizes = list(_texts(rows.price)), list(_texts(rows.size))
        if not all(one[0].isdigit() and one.encode() in line for one in (*prices, *sizes)):
            return []
        try:
            texts = rows.trade_id_text
            ids = list(map(self.trade_number, texts)) if texts else rows.trade_id.tolist()
        except ValueError:
            return []
        times, sides = rows.venue_time_ns.tolist(), rows.side.tolist()
        return [
            TradePrint(trade_id, price, size, time_ns, side == SIDE_BUY)
            for trade_id, price, size, time_ns, side in zip(
                ids, prices, sizes, times, sides, strict=True
            )
        ]

    def trade_of(self, line: bytes) -> TradePrint | None:
        """The first trade of a frame."""
        return next(iter(self.trades_of(line)), None)

    def sequence_of(self, line: bytes) -> int:
        """The last sequence of a book frame; 0 when it cannot be read."""
        rows = self.rows_of(Channel.BOOK, line)
        if not isinstance(rows, BookRows) or not len(rows):
            return 0
        return int(rows.last_sequence[-1])

    def mark_of(self, line: bytes) -> tuple[str, Mark] | None:
        """The symbol and the mark of a frame, empty where it says nothing; None: it is damaged, or
        has no marks."""
        parser = self.marks_of(self.frame_of(line)[0])
        if parser is None:
            return None
        try:
            rows = parser(Frames([line], [0]))
        except (FrameError, ValueError):
            return None
        if not len(rows):
            return None
        columns = (rows.mark_price, rows.index_price, rows.funding_rate)
        texts = (next(_texts(column)) for column in columns)
        mark, index, funding = (text if text.strip("0.") else "" for text in texts)
        due_ns = int(rows.next_funding_time_ns[0])
        return rows.symbols.names[0], Mark(mark, index, funding, due_ns)

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        """The instruments that some lines are about, with the places that their numbers have."""
        places: dict[str, tuple[int, int]] = {}
        for line in lines:
            stream = self.frame_of(line)[0]
            if not stream.symbol or stream.channel is Channel.OTHER:
                continue
            tick, lot = places.get(stream.symbol, (0, 0))
            prices, sizes = _columns(self.rows_of(stream.channel, line))
            tick = max(tick, *_places(prices, self.keeps_zeros))
            lot = max(lot, *_places(sizes, self.keeps_zeros))
            places[stream.symbol] = tick, lot
        return [
            Listing(symbol, *self.assets_of(symbol), _step(tick), _step(lot), "0", derived=True)
            for symbol, (tick, lot) in places.items()
        ]


def _places(columns: Sequence[Numbers], keeps_zeros: bool) -> Iterator[int]:
    yield 0
    for column in columns:
        for text in _texts(column):
            digits = text.partition(".")[2]
            yield len(digits if keeps_zeros else digits.rstrip("0"))


def _columns(rows: Rows | None) -> tuple[Sequence[Numbers], Sequence[Numbers]]:
    """The columns of prices, and those of sizes."""
    if isinstance(rows, TradeRows):
        return [rows.price], [rows.size]
    if isinstance(rows, QuoteRows):
        return [rows.bid_price, rows.ask_price], [rows.bid_size, rows.ask_size]
    if isinstance(rows, BookRows):
        return [rows.bids.price, rows.asks.price], [rows.bids.size, rows.asks.size]
    return [], []


def _texts(column: Numbers) -> Iterator[str]:
    """Each number with all its places."""
    decimals = column.decimals
    for at, unscaled in enumerate(column.unscaled.tolist()):
        yield decimal_text(unscaled, decimals if isinstance(decimals, int) else int(decimals[at]))


def _step(places: int) -> str:
    return "0." + "1".rjust(places, "0") if places else "1"
