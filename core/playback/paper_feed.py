"""The hub of a playback as the market data source of paper accounts."""

from collections.abc import Callable, Collection

from core.playback.publisher import PlaybackPublisher
from kit.base.cursor import Channel, Cursor
from kit.connector.publishing.hub import Hub, HubReader
from kit.execution.prices.market_feed import FeedPosition
from kit.marketdata.delivery.subscription import SymbolFilter


class PlaybackFeed:
    """A ``ResumableMarketFeed``. Nothing is published twice when a playback is repeated."""

    def __init__(self, hub: Hub, player: PlaybackPublisher) -> None:
        self._hub = hub
        self._player = player
        self._reader: HubReader | None = None
        self._before: FeedPosition = {}

    def follow(self, channels: Collection[Channel], symbols: SymbolFilter) -> HubReader:
        self._before = self.position()
        self._reader = self._hub.follow(channels, symbols, self._before)
        return self._reader

    def position(self) -> FeedPosition:
        reader = self._reader
        if reader is None or self._is_other():
            return self._before
        return {channel: Cursor(self._hub.epoch, at) for channel, at in reader.positions.items()}

    def resume(self, position: FeedPosition, on_reached: Callable[[], None]) -> None:
        self._before = position
        self._player.when_at(position, on_reached)

    def is_behind(self) -> bool:
        return self._is_other() or any(
            at.sequence > self._hub.cursor(channel).sequence
            for channel, at in self.position().items()
        )

    def recording_changed(self) -> bool:
        is_other = self._is_other()
        if is_other:
            self._before = {}
        return is_other

    def _is_other(self) -> bool:
        """Return whether another playback was read before, and nothing of this one yet."""
        return any(at.sequence and at.epoch != self._hub.epoch for at in self._before.values())


class PlaybackTrades:
    """A source of trades for prices. Batches that are repeated for readers who have them are
    skipped."""

    def __init__(self, hub: Hub, player: PlaybackPublisher) -> None:
        self._hub = hub
        self._player = player

    def follow(self, channels: Collection[Channel], symbols: SymbolFilter) -> HubReader:
        follower = self._hub.follow(channels, symbols)
        self._player.skip_repeated(follower)
        return follower
