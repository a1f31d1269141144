"""The world of captured frames: a capture on one timeline per venue, shared by all connections."""

import asyncio
import bisect
from collections import deque
from collections.abc import Mapping, Sequence
from operator import itemgetter

from aiohttp import WSCloseCode

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.simulator.capture_files import (
    CaptureBlock,
    CaptureCorrupted,
    CaptureFiles,
    RecordedResponse,
)
from kit.simulator.capture_subscriptions import CaptureSubscriptionCheck
from kit.simulator.dialect import (
    SNAPSHOT,
    CaptureFormat,
    Channel,
    ExchangeStream,
    Frame,
)
from kit.simulator.history import InstrumentTradeHistory
from kit.simulator.listing import DerivativeMark, ExchangeBookSnapshot, Listing
from kit.simulator.venue import SimulatedVenue

HEAD_LINES = 20_000
"""Lines that are read at the start, to learn the instruments."""
BOOK_WAIT_S_MAX = 8.0
"""How long a client waits for the first book of the capture; ccxt gives up after 10 s."""

TIMER_NS = 1_000_000
"""No wait is shorter: event loops round shorter ones to nothing."""
STREAM_OF = itemgetter(0)
_TRADES, _BOOK = Channel.TRADES, Channel.BOOK
_WITH_MARKS = frozenset({Channel.MARKS, Channel.TICKERS})

_log = telemetry.logger("simulator.replay")


class ReplayMarketView:
    """``MarketView`` of the played part of a capture. A book is always one that the exchange
    sent."""

    def __init__(
        self,
        capture_files: CaptureFiles,
        capture: CaptureFormat,
        book_wait_s: float,
        keeps_first: bool = False,
    ) -> None:
        """With ``keeps_first`` the first client that asks for a book gets the first one that was
        played. A capture that is played as fast as it is read may be at its end by then, and the
        updates after the first book would follow no book."""
        self.now_ns = 0
        self._capture = capture
        self._book_wait_s = book_wait_s
        head = capture_files.head(HEAD_LINES)
        self._listings = capture.listings_of(head)
        frames = list(map(capture.frame_of, head))
        self.head_streams = frozenset(stream for stream, _ in frames)
        """The streams of the capture's first frames."""
        self._last_book_lines = _first_book_lines(frames)
        self._keeps_first = keeps_first
        self._unasked_books: dict[str, ExchangeBookSnapshot] = {}
        self._books: dict[str, ExchangeBookSnapshot] = {}
        self._book_arrived = asyncio.Event()
        self._histories: dict[str, InstrumentTradeHistory[bytes]] = {}
        self._trades_of = capture.trades_in
        self._unread_marks: dict[ExchangeStream, bytes] = {}
        self._marks: dict[str, DerivativeMark] = {}
        self._answers = capture_files.recorded_answers()
        self._coming_books = self._books_of(self._answers)

    def time_ns(self) -> int:
        return self.now_ns

    def clock_ns(self) -> int:
        return self.now_ns

    def listings(self) -> Sequence[Listing]:
        return self._listings

    def history(self, symbol: str) -> InstrumentTradeHistory[bytes]:
        history = self._histories.get(symbol)
        if history is None:
            history = self._histories[symbol] = InstrumentTradeHistory(self._trades_of)
        return history

    async def book(self, symbol: str) -> ExchangeBookSnapshot | None:
        """The newest book that was played, or the first; waits a while for the first one."""
        try:
            async with asyncio.timeout(self._book_wait_s):
                while symbol not in self._books:
                    self._book_arrived.clear()
                    await self._book_arrived.wait()
        except TimeoutError:
            _log.warning("no book of this symbol was played yet", extra={"symbol": symbol})
            return None
        return self._unasked_books.pop(symbol, self._books[symbol])

    def books(self) -> Mapping[str, ExchangeBookSnapshot]:
        """The newest books that were played."""
        return self._books

    def mark(self, symbol: str) -> DerivativeMark | None:
        """The newest values in the frames of marks and tickers."""
        for line in self._unread_marks.values():
            found = self._capture.mark_of(line)
            if found is not None:
                name, newest = found
                self._marks[name] = _joined(self._marks.get(name), newest)
        self._unread_marks.clear()
        return self._marks.get(symbol)

    @property
    def engine(self) -> None:
        """None: a capture takes no orders."""

    def recorded(self, path: str) -> bytes | None:
        slug = path.strip("/").replace("/", "_")
        for answer in reversed(self._answers):
            if answer.url.partition("?")[0] == path or answer.url == slug:
                return answer.file.read_bytes()
        return None

    def played(self, frames: Sequence[Frame], now_ns: int) -> None:
        """Record frames that were played."""
        self.now_ns = now_ns
        for stream, line in frames:
            channel = stream.channel
            if channel is _TRADES:
                self.history(stream.symbol).note(line)
            elif channel in _WITH_MARKS:
                self._unread_marks[stream] = line
            elif channel is _BOOK:
                if stream is SNAPSHOT:
                    self._keep_snapshot(line)
                else:
                    self._last_book_lines[stream.symbol] = line
        while self._coming_books and self._coming_books[0][0] <= now_ns:
            _, symbol, book = self._coming_books.popleft()
            self._keep_book(symbol, book)

    def _keep_snapshot(self, line: bytes) -> None:
        found = self._capture.snapshot_of(line)
        if found is None:
            return
        symbol, book = found
        self._keep_book(symbol or self._nearest_symbol(book.sequence), book)

    def _keep_book(self, symbol: str, book: ExchangeBookSnapshot) -> None:
        if self._keeps_first and symbol not in self._books:
            self._unasked_books[symbol] = book
        self._books[symbol] = book
        self._book_arrived.set()

    def _nearest_symbol(self, sequence: int) -> str:
        """The symbol of a snapshot without a name: the one whose last sequence is nearest. Each
        instrument of an exchange has its own sequences, so they lie far apart."""
        distances = {
            symbol: abs(self._capture.sequence_of(line) - sequence)
            for symbol, line in self._last_book_lines.items()
        }
        return min(distances, key=lambda symbol: distances[symbol], default="")

    def _books_of(
        self, answers: Sequence[RecordedResponse]
    ) -> deque[tuple[int, str, ExchangeBookSnapshot]]:
        found: deque[tuple[int, str, ExchangeBookSnapshot]] = deque()
        for answer in answers:
            book = self._capture.snapshot_of(answer.file.read_bytes(), answer.url)
            if book is not None and book[0]:
                found.append((answer.time_ns, *book))
        return found


def _first_book_lines(frames: Sequence[Frame]) -> dict[str, bytes]:
    """The first book frame of each symbol."""
    found: dict[str, bytes] = {}
    for stream, line in frames:
        if stream.channel is _BOOK and stream is not SNAPSHOT:
            found.setdefault(stream.symbol, line)
    return found


def _joined(before: DerivativeMark | None, newest: DerivativeMark) -> DerivativeMark:
    if before is None:
        return newest
    return DerivativeMark(
        newest.mark_price or before.mark_price,
        newest.index_price or before.index_price,
        newest.funding_rate or before.funding_rate,
        newest.next_funding_time_ns or before.next_funding_time_ns,
    )


class CapturePlayer:
    """Plays a capture to the connections of a venue: at its recorded pace, N times, or as fast as
    the slowest connection reads. Stands still while no client is subscribed."""

    def __init__(
        self,
        venue: SimulatedVenue,
        market_view: ReplayMarketView,
        capture_files: CaptureFiles,
        speed: float | None,
        clock: Clock,
    ) -> None:
        self.frames_played = 0
        self.finished = False
        self.failure = ""
        self._venue = venue
        self._market_view = market_view
        self._capture_files = capture_files
        self._speed = speed
        self._clock = clock
        self._frame_of = venue.dialect.capture.frame_of
        self._anchor: tuple[int, int] | None = None
        self._fit = CaptureSubscriptionCheck(venue.venue_id, market_view.head_streams)

    def status(self) -> dict[str, object]:
        """The position of the capture."""
        return {
            "venue": self._venue.venue_id,
            "files": [str(file) for file in self._capture_files.files],
            "frames_played": self.frames_played,
            "frames_sent": self._venue.frames_sent,
            "frames_fitting": self._fit.fitting,
            "frames_not_subscribed": self._fit.unasked,
            "problem": self._fit.problem,
            "finished": self.finished,
            "failure": self.failure,
        }

    async def run(self) -> None:
        """Play to the end, once. Connections stay open afterwards, silent."""
        try:
            for block in self._capture_files.blocks():
                if self._speed is None:
                    await self._venue.wait_for_subscribers()
                    await self._play(block.lines, block.times_ns[-1])
                else:
                    await self._play_paced(block, self._speed)
        except CaptureCorrupted as error:
            self.failure = str(error)
            _log.error("the capture cannot be read on", extra={"detail": str(error)})
            await self._venue.close_all(WSCloseCode.INTERNAL_ERROR, "capture damaged")
        await self._venue.release()
        self.finished = True
        self._fit.finish()
        self._log_problem()
        _log.info("replay finished", extra=self.status())

    async def _play_paced(self, block: CaptureBlock, speed: float) -> None:
        lines, times_ns = block.lines, block.times_ns
        done = 0
        while done < len(lines):
            tape_ns = await self._tape_time_ns(times_ns[done], speed)
            due = bisect.bisect_right(times_ns, tape_ns, done)
            if due > done:
                await self._play(lines[done:due], times_ns[due - 1])
                done = due
            else:
                wait_ns = max((times_ns[done] - tape_ns) / speed, TIMER_NS)
                await self._clock.sleep(wait_ns / NANOSECONDS_PER_SECOND)

    async def _tape_time_ns(self, next_ns: int, speed: float) -> int:
        """The receive time up to which the capture may be played now. It stands still while no
        client is subscribed."""
        if self._anchor is None or not self._venue.has_subscribers():
            await self._venue.wait_for_subscribers()
            self._anchor = (self._clock.monotonic_ns(), next_ns)
        started_ns, tape_ns = self._anchor
        return tape_ns + int((self._clock.monotonic_ns() - started_ns) * speed)

    async def _play(self, lines: Sequence[bytes], now_ns: int) -> None:
        frames = list(map(self._frame_of, lines))
        self._fit.played(map(STREAM_OF, frames), self._venue.wanted)
        if not self.frames_played:
            self._log_problem()
        self._market_view.played(frames, now_ns)
        self._venue.faults.advance(now_ns)
        await self._venue.deliver(frames, wait=True)
        self.frames_played += len(lines)
        await self._clock.sleep(0)

    def _log_problem(self) -> None:
        """Say that the capture does not fit what clients subscribe to, if so."""
        if self._fit.problem:
            about = {"venue": self._venue.venue_id, "detail": self._fit.problem}
            _log.error("the capture does not fit the subscriptions", extra=about)
