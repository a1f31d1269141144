"""The log of a play as the market data source of paper accounts."""

from collections.abc import Callable, Collection

from core.playback.log import LogReader, PlayLog
from kit.base.cursor import Channel, Cursor
from kit.execution.market_feed import FeedPosition
from kit.marketdata.delivery.subscription import SymbolFilter


class PlayedFeed:
    """A ``ResumableMarketFeed``. Nothing is published twice when a play is repeated."""

    def __init__(self, log: PlayLog) -> None:
        self._log = log
        self._reader: LogReader | None = None
        self._before: FeedPosition = {}

    def follow(self, channels: Collection[Channel], symbols: SymbolFilter) -> LogReader:
        self._before = self.reached()
        self._reader = self._log.follow(channels, symbols, self._before)
        return self._reader

    def reached(self) -> FeedPosition:
        reader = self._reader
        if reader is None or self._is_other():
            return self._before
        return {channel: Cursor(self._log.epoch, at) for channel, at in reader.positions.items()}

    def go_on(self, reached: FeedPosition, there: Callable[[], None]) -> None:
        self._before = reached
        self._log.when_at(reached, there)

    def is_behind(self) -> bool:
        return self._is_other() or any(
            at.sequence > self._log.cursor(channel).sequence
            for channel, at in self.reached().items()
        )

    def begins_anew(self) -> bool:
        is_other = self._is_other()
        if is_other:
            self._before = {}
        return is_other

    def _is_other(self) -> bool:
        """Return whether another play was read before, and nothing of this one yet."""
        return any(at.sequence and at.epoch != self._log.epoch for at in self._before.values())


class PlayedTrades:
    """A source of trades for prices. Batches that are repeated for readers who have them are
    skipped."""

    def __init__(self, log: PlayLog) -> None:
        self._log = log

    def follow(self, channels: Collection[Channel], symbols: SymbolFilter) -> LogReader:
        return self._log.follow(channels, symbols, {}, once=True)
