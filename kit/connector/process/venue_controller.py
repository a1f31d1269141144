"""What Admin can do to a venue while it runs."""

from collections.abc import Iterable
from pathlib import Path

from venuemesh.admin.v1 import admin_pb2

from kit.base.errors import UnknownInstrument
from kit.connector.contract.source import Feed
from kit.connector.host.frame_pipeline import FramePipeline
from kit.connector.host.instruments import InstrumentCache
from kit.connector.process import score
from kit.connector.subscriptions import Subscriptions


class VenueController:
    """Subscriptions and connections of one venue process."""

    def __init__(
        self,
        venue_id: str,
        instruments: InstrumentCache,
        subscriptions: Subscriptions,
        pipeline: FramePipeline,
        session: Feed,
        data_dir: Path,
    ) -> None:
        self._venue_id = venue_id
        self._instruments = instruments
        self._subscriptions = subscriptions
        self._pipeline = pipeline
        self._session = session
        self._data_dir = data_dir

    def subscriptions(self) -> list[admin_pb2.Subscription]:
        """Per instrument and channel."""
        doubted = self._pipeline.book_manager.wanting_snapshot()
        return self._subscriptions.rows(doubted, self._session.connected)

    def conformance(self) -> admin_pb2.ConformanceScore | None:
        """How the connector did when the cards were last played."""
        return score.read(self._data_dir, self._venue_id)

    async def update(self, add: Iterable[str], remove: Iterable[str]) -> list[str]:
        """Change the instruments; the others are not disturbed. Raises UnknownInstrument."""
        listed = await self._instruments.all()
        wanted, unwanted = list(dict.fromkeys(add)), set(remove)
        for symbol in [*wanted, *self._subscriptions.unlisted(unwanted)]:
            if symbol not in listed:
                raise UnknownInstrument(
                    f"{self._venue_id} does not list {symbol}", venue=self._venue_id, symbol=symbol
                )
        self.start(self._subscriptions.unlisted(wanted))
        self._stop([symbol for symbol in self._subscriptions.symbols if symbol in unwanted])
        return self._subscriptions.symbols

    def start(self, symbols: Iterable[str]) -> None:
        """Subscribe to these."""
        fresh = list(symbols)
        self._subscriptions.add(fresh)
        self._pipeline.book_manager.add(fresh)
        self._session.add(fresh)

    async def reconnect(self) -> None:
        """Drop the connections and make them anew."""
        self._session.drop()

    async def pause(self) -> None:
        """Drop the connections and stay apart."""
        self._session.pause()

    async def resume(self) -> None:
        """End a pause."""
        self._session.resume()

    def _stop(self, symbols: Iterable[str]) -> None:
        gone = list(symbols)
        self._session.remove(gone)
        self._pipeline.flush()
        self._subscriptions.remove(gone)
        self._pipeline.book_manager.remove(gone)
