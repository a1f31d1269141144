"""What a venue process is subscribed to, and how each subscription does."""

from collections.abc import Iterable
from dataclasses import dataclass

from venuemesh.admin.v1 import admin_pb2
from venuemesh.common.v1 import types_pb2

from kit.columns import Batch
from kit.cursor import Channel

CHANNELS: tuple[Channel, ...] = (
    types_pb2.CHANNEL_TRADES,
    types_pb2.CHANNEL_QUOTES,
    types_pb2.CHANNEL_BOOK,
)


@dataclass(slots=True)
class _Figures:
    events_total: int = 0
    gaps_total: int = 0
    received_time_ns: int = 0


class Subscriptions:
    """The instruments, each on every channel, with its figures."""

    def __init__(self) -> None:
        self._figures: dict[str, dict[Channel, _Figures]] = {}

    @property
    def symbols(self) -> list[str]:
        """By name."""
        return sorted(self._figures)

    def add(self, symbols: Iterable[str]) -> None:
        """Those that are there already keep their figures."""
        for symbol in symbols:
            self._figures.setdefault(symbol, {channel: _Figures() for channel in CHANNELS})

    def remove(self, symbols: Iterable[str]) -> None:
        """Those that are not there are left alone."""
        for symbol in symbols:
            self._figures.pop(symbol, None)

    def unlisted(self, symbols: Iterable[str]) -> list[str]:
        """Those among them that nobody asked for."""
        return [symbol for symbol in symbols if symbol not in self._figures]

    def note(self, channel: Channel, batch: Batch) -> None:
        """Count what is about to be published."""
        kind = batch.WhichOneof("columns")
        if kind is not None:
            rows = getattr(batch, kind)
            self._count_rows(channel, batch, rows.instrument, rows.received_time_ns[-1])
        for gap in batch.gaps:
            if gap.symbol in self._figures:
                self._figures[gap.symbol][channel].gaps_total += 1

    def events_total(self, symbol: str, channel: Channel) -> int:
        """Events since the subscription was added."""
        return self._figures[symbol][channel].events_total

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
            )
            for symbol in self.symbols
            for channel, figures in self._figures[symbol].items()
        ]

    def _count_rows(
        self, channel: Channel, batch: Batch, instruments: "list[int]", received_time_ns: int
    ) -> None:
        single = len(batch.instruments) == 1
        for index, entry in enumerate(batch.instruments):
            if entry.symbol not in self._figures:
                continue
            figures = self._figures[entry.symbol][channel]
            figures.events_total += len(instruments) if single else list(instruments).count(index)
            figures.received_time_ns = received_time_ns


def _state(
    figures: _Figures, channel: Channel, in_doubt: bool, connected: bool
) -> "admin_pb2.SubscriptionState.ValueType":
    if in_doubt and channel == types_pb2.CHANNEL_BOOK:
        return admin_pb2.SUBSCRIPTION_STATE_IN_DOUBT
    if not connected or not figures.events_total:
        return admin_pb2.SUBSCRIPTION_STATE_PENDING
    return admin_pb2.SUBSCRIPTION_STATE_LIVE
