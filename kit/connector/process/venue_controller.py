"""What Admin can do to a venue process while it runs."""

from collections.abc import Iterable
from pathlib import Path

from venuemesh.admin.v1 import admin_pb2

from kit.base.errors import UnknownInstrument
from kit.connector.contract.source import Feed
from kit.connector.host.venue_host import VenueHost
from kit.connector.process import score


class VenueController:
    """Subscriptions and connections of one venue process; a ``VenueControl``."""

    def __init__(self, host: VenueHost, feed: Feed, data_dir: Path) -> None:
        self._host = host
        self._feed = feed
        self._data_dir = data_dir

    def subscriptions(self) -> list[admin_pb2.Subscription]:
        """One entry per instrument and channel."""
        doubted = self._host.book_manager.in_doubt()
        return self._host.subscriptions.rows(doubted, self._feed.connected)

    def conformance(self) -> admin_pb2.ConformanceScore | None:
        """The score of the connector when the conformance cards were last played."""
        return score.read(self._data_dir, self._host.venue.venue_id)

    async def update(self, add: Iterable[str], remove: Iterable[str]) -> list[str]:
        """Change the instruments; the others are not disturbed. Returns all symbols afterwards.
        Raises UnknownInstrument."""
        venue_id, subscriptions = self._host.venue.venue_id, self._host.subscriptions
        listed = await self._host.instruments.all()
        wanted, unwanted = list(dict.fromkeys(add)), set(remove)
        for symbol in [*wanted, *subscriptions.not_subscribed(unwanted)]:
            if symbol not in listed:
                raise UnknownInstrument(
                    f"{venue_id} does not list {symbol}", venue=venue_id, symbol=symbol
                )
        self.subscribe(subscriptions.not_subscribed(wanted))
        removed = [symbol for symbol in subscriptions.symbols if symbol in unwanted]
        self._feed.remove(removed)
        self._host.unsubscribe(removed)
        return subscriptions.symbols

    def subscribe(self, symbols: Iterable[str]) -> None:
        """Subscribe to these instruments too."""
        added = list(symbols)
        self._host.subscribe(added)
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
