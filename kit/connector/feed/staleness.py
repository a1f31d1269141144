"""Finds subscriptions that are dead while their connection lives.

Each channel of each instrument is measured by its own past. A subscription that was regular is
stale when it is silent for many times its longest silence of the last quarter of an hour, and for
longer than the venue's minimum (VenueLimits.stale_after_s). Admin then shows STALE, a gap is
published, and the channel is subscribed to again, alone where the venue allows that. If the
subscription stays silent, the delay before the next try doubles.

Silence counts only while other events arrive: when everything is silent, the exchange rests or a
replay is over, and no subscription is to blame.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from venuemesh.common.v1 import types_pb2

from kit.base import telemetry
from kit.base.cursor import Channel
from kit.connector.contract.source import SubscriptionRenewal
from kit.connector.publishing.feed_handler import FeedHandler

LOOK_S = 1.0
SILENCES = 8
"""A silence of so many times the longest usual one is stale."""
WINDOW_LOOKS = 450
"""The longest silence of this window and of the one before it is usual: 7 to 15 minutes."""
EVENTS_MIN = 20
"""Fewer events say nothing about a pace."""
LOOKS_MIN = 60
"""It must have been measured for so long."""
TRIES_DOUBLED_MAX = 6

_log = telemetry.logger("venue.staleness")


Subscription = tuple[str, Channel]
"""One channel of one instrument."""


@dataclass(slots=True)
class _Pace:
    """Figures of one channel of one instrument. Times are in looks."""

    events_total: int
    """At the last look."""
    events: int = 0
    """Since the start of the measurement."""
    looks: int = 0
    silence: int = 0
    """Since the last event, or since the last try to end it."""
    longest: int = 1
    """In this window."""
    longest_before: int = 1
    tries: int = 0

    def come(self, events_total: int) -> None:
        """Note new events since the last look."""
        self.longest = max(self.longest, self.silence + 1)
        self.events += events_total - self.events_total
        self.events_total = events_total
        self.silence = self.tries = 0

    def look(self) -> None:
        self.looks += 1
        if self.looks % WINDOW_LOOKS == 0:
            self.longest_before, self.longest = self.longest, 1

    def bound_s(self, minimum_s: float) -> float:
        """The silence beyond which it is stale."""
        usual_s = max(self.longest, self.longest_before) * LOOK_S
        return float(max(minimum_s, SILENCES * usual_s) * 2 ** min(self.tries, TRIES_DOUBLED_MAX))

    @property
    def is_regular(self) -> bool:
        """Whether its pace is known."""
        return self.events >= EVENTS_MIN and self.looks >= LOOKS_MIN


class StalenessMonitor:
    """Watches every subscription of a venue."""

    def __init__(self, feed_handler: FeedHandler, feed: SubscriptionRenewal) -> None:
        self._feed_handler = feed_handler
        self._feed = feed
        self._minimum_s = feed_handler.venue.limits.stale_after_s
        self._clock = feed_handler.clock
        self._paces: dict[tuple[str, Channel], _Pace] = {}

    async def run(self) -> None:
        while True:
            await self._clock.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Measure what has come since the last look, and renew what is stale."""
        silent: list[Subscription] = []
        something_came = False
        for subscription, pace in self._measured():
            events_total = self._feed_handler.subscriptions.events_total(*subscription)
            if events_total > pace.events_total:
                pace.come(events_total)
                something_came = True
            else:
                silent.append(subscription)
        if something_came:
            for pace in self._paces.values():
                pace.look()
            for subscription in silent:
                self._silent(*subscription)

    def _measured(self) -> Iterator[tuple[Subscription, _Pace]]:
        """The subscriptions that could bring events; the others are not silent."""
        subscriptions = self._feed_handler.subscriptions
        doubted = set(self._feed_handler.book_manager.wanting_snapshot())
        known, self._paces = self._paces, {}
        for symbol in subscriptions.symbols:
            for channel in subscriptions.channels:
                key = symbol, channel
                pace = known.get(key) or _Pace(subscriptions.events_total(*key))
                self._paces[key] = pace
                if self._feed.carries(*key) and not self._waits(symbol, channel, symbol in doubted):
                    yield key, pace
                else:
                    pace.silence = 0

    def _waits(self, symbol: str, channel: Channel, doubted: bool) -> bool:
        """Whether its silence has a reason: it is rejected, or a book whose snapshot is being
        requested."""
        subscriptions = self._feed_handler.subscriptions
        if subscriptions.is_rejected(symbol, channel):
            return True
        is_book = channel == types_pb2.CHANNEL_BOOK
        return is_book and doubted and not subscriptions.is_stale(symbol, channel)

    def _silent(self, symbol: str, channel: Channel) -> None:
        pace = self._paces[symbol, channel]
        pace.silence += 1
        silence_s = pace.silence * LOOK_S
        if not pace.is_regular or silence_s <= pace.bound_s(self._minimum_s):
            return
        pace.tries += 1
        usual_s = max(pace.longest, pace.longest_before) * LOOK_S
        detail = f"silent for {silence_s:.0f} s, usually for up to {usual_s:.0f} s"
        self._feed_handler.subscriptions.mark_stale(symbol, channel, detail)
        self._feed_handler.meter.count("stale_subscriptions_total")
        name = types_pb2.Channel.Name(channel)
        _log.warning("stale", extra={"symbol": symbol, "channel": name, "detail": detail})
        renewed = self._feed.renew(symbol, channel)
        for each in renewed:
            self._paces[symbol, each].silence = 0
        self._feed_handler.pipeline.flush()
        self._feed_handler.row_publisher.on_resubscribed(symbol, channel, renewed, detail)
