"""What a venue process is subscribed to, and how each subscription does."""

from collections.abc import Iterable
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
    """What is odd about its silence; empty: nothing."""


class Subscriptions:
    """The instruments, each on every channel that the venue has, with its figures."""

    def __init__(self, channels: Iterable[Channel]) -> None:
        self.channels = tuple(sorted(channels))
        self._figures: dict[str, dict[Channel, _Figures]] = {}
        self._idle: dict[str, str] = {}

    @property
    def symbols(self) -> list[str]:
        """By name."""
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

    def unlisted(self, symbols: Iterable[str]) -> list[str]:
        """Those among them that nobody asked for."""
        return [symbol for symbol in symbols if symbol not in self._figures]

    def reject(self, symbols: Iterable[str], channels: Iterable[Channel]) -> None:
        """The venue has rejected these subscriptions for good."""
        for symbol in symbols:
            for channel in channels:
                if symbol in self._figures:
                    self._figures[symbol][channel].rejected = True

    def events_total(self, symbol: str, channel: Channel) -> int:
        """That were published; 0 of what nobody asked for."""
        figures = self._figures.get(symbol, {}).get(channel)
        return figures.events_total if figures is not None else 0

    def received_time_ns(self, symbol: str, channel: Channel) -> int:
        """When the last event came; 0: none yet."""
        figures = self._figures.get(symbol, {}).get(channel)
        return figures.received_time_ns if figures is not None else 0

    def idle(self, symbol: str, why: str) -> None:
        """The venue does not let it trade; an empty reason: it does."""
        if symbol in self._figures:
            self._idle[symbol] = why

    def stale(self, symbol: str, channel: Channel, detail: str) -> None:
        """It is silent beyond its own usual pace. The next event ends that."""
        if symbol in self._figures:
            self._figures[symbol][channel].stale = detail

    def is_stale(self, symbol: str, channel: Channel) -> bool:
        """Whether it is known to be."""
        return symbol in self._figures and bool(self._figures[symbol][channel].stale)

    def is_rejected(self, symbol: str, channel: Channel) -> bool:
        """Whether the venue will not serve it."""
        return symbol in self._figures and self._figures[symbol][channel].rejected

    def note(self, channel: Channel, draft: BatchDraft) -> None:
        """Count what is about to be published."""
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
                detail="; ".join(filter(None, (self._idle.get(symbol), figures.stale))),
            )
            for symbol in self.symbols
            for channel, figures in self._figures[symbol].items()
        ]


def _state(
    figures: _Figures, channel: Channel, in_doubt: bool, connected: bool
) -> "admin_pb2.SubscriptionState.ValueType":
    if channel == types_pb2.CHANNEL_STATUS:
        # It needs no connection, and is told of all that is listed.
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
