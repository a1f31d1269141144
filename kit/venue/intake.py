"""From frames to batches: gather, parse together, check, publish.

Frames are gathered by kind and handled together when the loop has read what the socket had: at
once after a quiet moment, otherwise FLUSH_INTERVAL_S after the last time. So a single tick is not
delayed, and a burst becomes a few large batches.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit import columns, encode, telemetry
from kit.clock import Clock
from kit.columns import QuoteRows, TradeRows
from kit.cursor import Channel
from kit.encode import Draft
from kit.frames import FrameError, Frames
from kit.numbers import NumberError
from kit.telemetry import Meter
from kit.venue.bookkeeper import Bookkeeper
from kit.venue.continuity import Continuity, quote_continuity, trade_continuity
from kit.venue.contract import Kind, Venue
from kit.venue.hub import Hub
from kit.venue.subscriptions import CHANNELS, Subscriptions

FLUSH_INTERVAL_S = 0.002
GATHERED_FRAMES_MAX = 2_000
"""More are not waited for: a batch this large gains nothing more, and would make readers wait."""
FRAME_BYTES_MAX = 8 * 1024 * 1024

RowsT = TypeVar("RowsT", TradeRows, QuoteRows)


class Intake:
    """Everything between the socket and the hub of one venue."""

    def __init__(
        self, venue: Venue, hub: Hub, subscriptions: Subscriptions, meter: Meter, clock: Clock
    ) -> None:
        self._venue = venue
        self._hub = hub
        self._subscriptions = subscriptions
        self._clock = clock
        self._trades = trade_continuity()
        self._quotes = quote_continuity()
        self.bookkeeper = Bookkeeper(
            venue.sequence_rule,
            lambda draft: self._publish(types_pb2.CHANNEL_BOOK, draft),
        )
        self._meter = meter
        self._skipped = telemetry.OncePerKind(telemetry.logger("venue.intake"))
        self._skipped_counter = meter.counter("skipped_frames", "Frames left out", "kind")
        self._frames: list[bytes] = []
        self._reads: list[tuple[int, int]] = []
        """Receive time and number of messages of each read."""
        self._flush_at: asyncio.TimerHandle | asyncio.Handle | None = None
        self._flushed_at = 0.0

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        """Messages that were read from a socket together."""
        self._frames += payloads
        self._reads.append((received_time_ns, len(payloads)))
        if len(self._frames) >= GATHERED_FRAMES_MAX:
            self.flush()
        elif self._flush_at is None:
            self._schedule()

    def flush(self) -> None:
        """Handle what was gathered."""
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        self._flushed_at = asyncio.get_running_loop().time()
        times, counts = np.array(self._reads, dtype=np.int64).reshape(-1, 2).T
        frames = self._sensible(Frames(self._frames, np.repeat(times, counts)))
        self._frames, self._reads = [], []
        kinds = self._venue.wire.classify(frames)
        parsers = self._venue.parsers
        for kind in np.unique(kinds).tolist():
            chosen = frames.take(np.flatnonzero(kinds == kind))
            if kind == Kind.TRADES:
                self._handle("trades", parsers.trades, self._on_trades, chosen)
            elif kind == Kind.QUOTES:
                self._handle("quotes", parsers.quotes, self._on_quotes, chosen)
            elif kind == Kind.BOOK:
                self._handle("book", parsers.book, self._on_book, chosen)
            else:
                self._on_other(kind, chosen)

    def _sensible(self, frames: Frames) -> Frames:
        """Without those that are larger than anything a venue means to send."""
        oversized = frames.ends - frames.starts > FRAME_BYTES_MAX
        if not oversized.any():
            return frames
        for frame in frames.take(np.flatnonzero(oversized)).one_by_one():
            size_bytes = int(frame.ends[0] - frame.starts[0])
            text = repr(frame.payloads[0][:200])
            self._skip("oversized frame", text, size_bytes=size_bytes)
        return frames.take(np.flatnonzero(~oversized))

    def reconnected(self, symbols: Iterable[str], reason: str) -> None:
        """The connection of these instruments was lost; what was under way is gone."""
        self.flush()
        names = list(symbols)
        self._trades.reconnected(names)
        self._quotes.reconnected(names)
        now_ns = self._clock.time_ns()
        self.bookkeeper.doubt(names, types_pb2.GAP_REASON_RECONNECT, now_ns, reason)

    def restarted(self, detail: str) -> None:
        """Tell every channel that the process was started anew."""
        for channel in CHANNELS:
            gap = types_pb2.Gap(
                reason=types_pb2.GAP_REASON_RESTART,
                detected_time_ns=self._clock.time_ns(),
                detail=detail,
            )
            self._publish(channel, Draft(gaps=[gap]))

    def dropped_total(self) -> int:
        """Duplicates, and quotes that newer ones had overtaken."""
        ignored = sum(book.ignored_total for book in self.bookkeeper.books.values())
        return self._trades.dropped_total + self._quotes.dropped_total + ignored

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s = self._flushed_at + FLUSH_INTERVAL_S - loop.time()
        if wait_s > 0:
            self._flush_at = loop.call_later(wait_s, self.flush)
        else:
            self._flush_at = loop.call_soon(self.flush)

    def _handle(
        self,
        name: str,
        parse: Callable[[Frames], columns.AnyRows],
        handle: Callable[[columns.AnyRows], None],
        frames: Frames,
    ) -> None:
        try:
            handle(parse(frames))
        except (FrameError, NumberError):
            # One of them is bad. Handled one by one, it is found and the others are kept.
            for frame in frames.one_by_one():
                try:
                    handle(parse(frame))
                except (FrameError, NumberError) as error:
                    text = repr(frame.payloads[0][:200])
                    self._skip(f"malformed {name}", text, detail=str(error))

    def _on_trades(self, rows: TradeRows) -> None:
        self._check_and_publish(types_pb2.CHANNEL_TRADES, rows, self._trades, encode.trades)

    def _on_quotes(self, rows: QuoteRows) -> None:
        self._check_and_publish(types_pb2.CHANNEL_QUOTES, rows, self._quotes, encode.quotes)

    def _on_book(self, rows: columns.BookRows) -> None:
        rows = self._listed(rows)
        if len(rows):
            self.bookkeeper.on_rows(rows)

    def _check_and_publish(
        self,
        channel: Channel,
        rows: RowsT,
        continuity: Continuity[RowsT],
        write: Callable[[RowsT], Draft],
    ) -> None:
        rows = self._listed(rows)
        if not len(rows):
            return
        whole = write(rows)  # before the check: rows that cannot be written must not count as seen
        for segment in continuity.check(rows):
            if segment.rows is rows:
                self._publish(channel, whole)
            else:
                draft = write(segment.rows) if len(segment.rows) else Draft()
                self._publish(channel, draft.after(segment.gaps))

    def _listed(self, rows: columns.AnyRows) -> columns.AnyRows:
        """Without the symbols that nobody asked for."""
        unlisted = set(self._subscriptions.unlisted(rows.symbols.names))
        if not unlisted:
            return rows
        for name in unlisted:
            self._skip("symbol not subscribed", name)
        listed = [number for number, name in enumerate(rows.symbols.names) if name not in unlisted]
        return rows.take(np.flatnonzero(np.isin(rows.symbols.row, listed)))

    def _on_other(self, kind: int, frames: Frames) -> None:
        for payload in frames.payloads:
            text = repr(payload[:200])
            if kind == Kind.UNKNOWN:
                self._skip("unknown event", text)
                continue
            try:
                refusal = self._venue.wire.refusal(payload)
            except FrameError as error:
                self._skip("unknown event", text, detail=str(error))
                continue
            if refusal is not None:
                self._skip("refused by the venue", refusal)

    def _skip(self, kind: str, text: str, **extra: object) -> None:
        """Leave something out: counted, and logged with its text once per kind."""
        self._skipped.warning(kind, text, **extra)
        self._skipped_counter.labels(kind).inc()
        self._meter.count("skipped_frames_total")

    def _publish(self, channel: Channel, draft: Draft) -> None:
        self._subscriptions.note(channel, draft)
        self._hub.publish(channel, draft)
