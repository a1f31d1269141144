"""The subscriptions of a venue process, and figures of each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from venuemesh.admin.v1 import admin_pb2
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.marketdata.codec.encode import BatchDraft


@dataclass(slots=True)
class _Figures:
    events_total: int = 0
    gaps_total: int = 0
    received_time_ns: int = 0
    rejected: bool = False
    stale: str = ""
    """Why it counts as stale; "" when it does not."""


class VenueSubscriptions:
    """The instruments, each on every channel that the venue has, with its figures."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        self.channels = tuple(sorted(channels))
        self._figures: dict[str, dict[Channel, _Figures]] = {}
        self._idle: dict[str, str] = {}

    @property
    def symbols(self) -> list[str]:
        return sorted(self._figures)

    def add(self, symbols: Iterable[str]) -> None:
        """Those that are there already keep their figures."""
        for symbol in symbols:
            self._figures.setdefault(symbol, {channel: _Figures() for channel in self.channels})

    def remove(self, symbols: Iterable[str]) -> None:
        """Those that are not there are left alone."""
        for symbol in symbols:
            self._figures.pop(symbol, None)
            self._idle.pop(symbol, None)

    def not_subscribed(self, symbols: Iterable[str]) -> list[str]:
        """Those of these instruments that are not subscribed to."""
        return [symbol for symbol in symbols if symbol not in self._figures]

    def reject(self, symbols: Iterable[str], channels: Iterable[Channel]) -> None:
        """The venue has rejected these subscriptions for good."""
        for symbol in symbols:
            for channel in channels:
                if symbol in self._figures:
                    self._figures[symbol][channel].rejected = True

    def events_total(self, symbol: str, channel: Channel) -> int:
        """Number of published events; 0 without a subscription."""
        figures = self._figures.get(symbol, {}).get(channel)
        return figures.events_total if figures is not None else 0

    def received_time_ns(self, symbol: str, channel: Channel) -> int:
        """Receive time of the last event; 0 before the first."""
        figures = self._figures.get(symbol, {}).get(channel)
        return figures.received_time_ns if figures is not None else 0

    def set_idle(self, symbol: str, why: str) -> None:
        """Note why the venue does not let the instrument trade; "" when it does."""
        if symbol in self._figures:
            self._idle[symbol] = why

    def mark_stale(self, symbol: str, channel: Channel, detail: str) -> None:
        """Mark it as silent beyond its usual pace, until its next event."""
        if symbol in self._figures:
            self._figures[symbol][channel].stale = detail

    def is_stale(self, symbol: str, channel: Channel) -> bool:
        """Whether it is marked as stale."""
        return symbol in self._figures and bool(self._figures[symbol][channel].stale)

    def is_rejected(self, symbol: str, channel: Channel) -> bool:
        """Whether the venue has rejected it."""
        return symbol in self._figures and self._figures[symbol][channel].rejected

    def count_published(self, channel: Channel, draft: BatchDraft) -> None:
        """Count the events and gaps of a batch that is published."""
        for entry, events in zip(draft.instruments, draft.event_counts, strict=True):
            if entry.symbol in self._figures:
                figures = self._figures[entry.symbol][channel]
                figures.events_total += events
                figures.received_time_ns = draft.received_time_ns
                figures.rejected = False
                figures.stale = ""
        for gap in draft.gaps:
            if gap.symbol in self._figures:
                self._figures[gap.symbol][channel].gaps_total += 1

    def rows(self, doubted: Iterable[str], connected: bool) -> list[admin_pb2.Subscription]:
        """As Admin lists them, by symbol and channel."""
        in_doubt = set(doubted)
        return [
            admin_pb2.Subscription(
                symbol=symbol,
                channel=channel,
                state=_state(figures, channel, symbol in in_doubt, connected),
                received_time_ns=figures.received_time_ns,
                events_total=figures.events_total,
                gaps_total=figures.gaps_total,
                detail="; ".join(self._details(symbol, channel, symbol in in_doubt)),
            )
            for symbol in self.symbols
            for channel, figures in self._figures[symbol].items()
        ]

    def _details(self, symbol: str, channel: Channel, in_doubt: bool) -> Iterator[str]:
        figures = self._figures[symbol][channel]
        if idle := self._idle.get(symbol):
            yield idle
        if figures.stale:
            yield figures.stale
        if in_doubt and channel == types_pb2.CHANNEL_BOOK and not figures.events_total:
            yield "no update has come since the subscription"


def _state(
    figures: _Figures, channel: Channel, in_doubt: bool, connected: bool
) -> "admin_pb2.SubscriptionState.ValueType":
    if channel == types_pb2.CHANNEL_STATUS:
        # It needs no connection, and covers all listed instruments.
        return admin_pb2.SUBSCRIPTION_STATE_LIVE
    if figures.rejected:
        return admin_pb2.SUBSCRIPTION_STATE_REFUSED
    if figures.stale and connected:
        return admin_pb2.SUBSCRIPTION_STATE_STALE
    if in_doubt and channel == types_pb2.CHANNEL_BOOK:
        return admin_pb2.SUBSCRIPTION_STATE_IN_DOUBT
    if not connected or not figures.events_total:
        return admin_pb2.SUBSCRIPTION_STATE_PENDING
    return admin_pb2.SUBSCRIPTION_STATE_LIVE
