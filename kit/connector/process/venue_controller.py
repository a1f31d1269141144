"""What Admin can do to a venue process while it runs."""

from collections.abc import Iterable
from pathlib import Path

from venuemesh.admin.v1 import admin_pb2

from kit.base.errors import UnknownInstrument
from kit.connector.contract.source import Feed
from kit.connector.process import conformance_score
from kit.connector.publishing.feed_handler import FeedHandler


class VenueController:
    """Subscriptions and connections of one venue process; a ``VenueAdmin``."""

    def __init__(self, feed_handler: FeedHandler, feed: Feed, data_dir: Path) -> None:
        self._feed_handler = feed_handler
        self._feed = feed
        self._data_dir = data_dir

    def subscriptions(self) -> list[admin_pb2.Subscription]:
        """One entry per instrument and channel."""
        doubted = self._feed_handler.book_manager.in_doubt()
        return self._feed_handler.subscriptions.rows(doubted, self._feed.connected)

    def conformance(self) -> admin_pb2.ConformanceScore | None:
        """The score of the connector when the conformance cards were last played."""
        return conformance_score.read(self._data_dir, self._feed_handler.venue.venue_id)

    async def update(self, add: Iterable[str], remove: Iterable[str]) -> list[str]:
        """Change the instruments; the others are not disturbed. Returns all symbols afterwards.
        Raises UnknownInstrument."""
        venue_id, subscriptions = (
            self._feed_handler.venue.venue_id,
            self._feed_handler.subscriptions,
        )
        listed = await self._feed_handler.instruments.all()
        wanted, unwanted = list(dict.fromkeys(add)), set(remove)
        for symbol in [*wanted, *subscriptions.not_subscribed(unwanted)]:
            if symbol not in listed:
                raise UnknownInstrument(
                    f"{venue_id} does not list {symbol}", venue=venue_id, symbol=symbol
                )
        self.subscribe(subscriptions.not_subscribed(wanted))
        removed = [symbol for symbol in subscriptions.symbols if symbol in unwanted]
        self._feed.remove(removed)
        self._feed_handler.unsubscribe(removed)
        return subscriptions.symbols

    def subscribe(self, symbols: Iterable[str]) -> None:
        """Subscribe to these instruments too."""
        added = list(symbols)
        self._feed_handler.subscribe(added)
        self._feed.add(added)

    async def reconnect(self) -> None:
        """Drop the connections and connect again."""
        self._feed.reconnect()

    async def pause(self) -> None:
        """Drop the connections and stay disconnected."""
        self._feed.set_paused(True)

    async def resume(self) -> None:
        """Connect again after a pause."""
        self._feed.set_paused(False)
