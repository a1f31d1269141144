"""From frames to batches: gather, parse together, check, publish.

Frames are gathered by kind and handled together when the loop has read what the socket had: at
once after a quiet moment, otherwise FLUSH_INTERVAL_S after the last time. So a single tick is not
delayed, and a burst becomes a few large batches.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import TypeVar

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit import columns, telemetry
from kit.clock import Clock
from kit.columns import Batch, QuoteRows, Symbols, TradeRows
from kit.cursor import Channel
from kit.numbers import NumberError
from kit.venue.bookkeeper import Bookkeeper
from kit.venue.continuity import Continuity, quote_continuity, trade_continuity
from kit.venue.contract import FrameError, Kind, Venue
from kit.venue.hub import Hub
from kit.venue.subscriptions import CHANNELS, Subscriptions

FLUSH_INTERVAL_S = 0.001
GATHERED_FRAMES_MAX = 512
FRAME_BYTES_MAX = 8 * 1024 * 1024

RowsT = TypeVar("RowsT", TradeRows, QuoteRows)


class Intake:
    """Everything between the socket and the hub of one venue."""

    def __init__(self, venue: Venue, hub: Hub, subscriptions: Subscriptions, clock: Clock) -> None:
        self._venue = venue
        self._hub = hub
        self._subscriptions = subscriptions
        self._clock = clock
        self._trades = trade_continuity()
        self._quotes = quote_continuity()
        self.bookkeeper = Bookkeeper(
            venue.sequence_rule,
            lambda batch: self._publish(types_pb2.CHANNEL_BOOK, batch),
        )
        self.skipped = telemetry.OncePerKind(telemetry.logger("venue.intake"))
        self._frames: list[bytes] = []
        self._times: list[int] = []
        self._flush_at: asyncio.TimerHandle | asyncio.Handle | None = None
        self._flushed_at = 0.0

    def frame(self, payload: bytes, received_time_ns: int) -> None:
        """One message from the socket."""
        if len(payload) > FRAME_BYTES_MAX:
            self.skipped.warning("oversized frame", repr(payload[:200]), size_bytes=len(payload))
            return
        self._frames.append(payload)
        self._times.append(received_time_ns)
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
        frames, self._frames = self._frames, []
        times, self._times = self._times, []
        kinds = list(map(self._venue.wire.classify, frames))
        parsers = self._venue.parsers
        for kind in dict.fromkeys(kinds):
            mask = [found is kind for found in kinds]
            chosen, chosen_times = list(compress(frames, mask)), list(compress(times, mask))
            if kind is Kind.TRADES:
                self._handle("trades", parsers.trades, self._on_trades, chosen, chosen_times)
            elif kind is Kind.QUOTES:
                self._handle("quotes", parsers.quotes, self._on_quotes, chosen, chosen_times)
            elif kind is Kind.BOOK:
                self._handle("book", parsers.book, self._on_book, chosen, chosen_times)
            else:
                self._on_other(kind, chosen)

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
            self._publish(channel, Batch(gaps=[gap]))

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
        parse: Callable[[Sequence[bytes], Sequence[int]], columns.AnyRows],
        handle: Callable[[columns.AnyRows], None],
        frames: Sequence[bytes],
        times: Sequence[int],
    ) -> None:
        try:
            handle(parse(frames, times))
        except (FrameError, NumberError):
            # One of them is bad. Handled one by one, it is found and the others are kept.
            for payload, time_ns in zip(frames, times, strict=True):
                try:
                    handle(parse([payload], [time_ns]))
                except (FrameError, NumberError) as error:
                    text = repr(payload[:200])
                    self.skipped.warning(f"malformed {name}", text, detail=str(error))

    def _on_trades(self, rows: TradeRows) -> None:
        self._check_and_publish(types_pb2.CHANNEL_TRADES, rows, self._trades, columns.encode_trades)

    def _on_quotes(self, rows: QuoteRows) -> None:
        self._check_and_publish(types_pb2.CHANNEL_QUOTES, rows, self._quotes, columns.encode_quotes)

    def _check_and_publish(
        self,
        channel: Channel,
        rows: RowsT,
        continuity: Continuity[RowsT],
        encode: Callable[[RowsT], Batch],
    ) -> None:
        symbols = Symbols.of(rows.symbol)
        unlisted = self._subscriptions.unlisted(symbols.names)
        if unlisted:
            rows = self._without(rows, unlisted)
            symbols = Symbols.of(rows.symbol)
        if not len(rows):
            return
        whole = encode(rows)  # before the check: rows that cannot be encoded must not count as seen
        for segment in continuity.check(rows, symbols):
            batch = whole if segment.rows is rows else encode(segment.rows)
            batch.gaps.extend(segment.gaps)
            self._publish(channel, batch)

    def _on_book(self, rows: columns.BookRows) -> None:
        unlisted = self._subscriptions.unlisted(dict.fromkeys(rows.symbol))
        if unlisted:
            rows = self._without(rows, unlisted)
        self.bookkeeper.on_rows(rows)

    def _without(self, rows: columns.AnyRows, unlisted: Iterable[str]) -> columns.AnyRows:
        names = set(unlisted)
        for name in names:
            self.skipped.warning("symbol not subscribed", name)
        known = [row for row, name in enumerate(rows.symbol) if name not in names]
        return rows.take(np.array(known, dtype=np.int64))

    def _on_other(self, kind: Kind, frames: Sequence[bytes]) -> None:
        for payload in frames:
            if kind is Kind.UNKNOWN:
                self.skipped.warning("unknown event", repr(payload[:200]))
                continue
            refusal = self._venue.wire.refusal(payload)
            if refusal is not None:
                self.skipped.warning("refused by the venue", refusal)

    def _publish(self, channel: Channel, batch: Batch) -> None:
        self._subscriptions.note(channel, batch)
        self._hub.publish(channel, batch)
