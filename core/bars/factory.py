"""Makes venues and instruments as the settings want them."""

from collections.abc import Collection, Mapping

from core.bars.events import EventBars
from core.bars.instrument import Instrument
from core.bars.settings import BarsSettings
from core.bars.stored import InstrumentRow, read_instrument
from core.bars.venue import Venue
from core.bars.watermark import Watermark
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.cursor import Cursor, StreamKey


class Factory:
    """For one world."""

    def __init__(self, settings: BarsSettings, world: str) -> None:
        self._settings = settings
        self._world = world

    def new_venue(self, venue_id: str, shards: Collection[int]) -> Venue:
        """A venue that nothing is known of."""
        return self.make_venue(venue_id, 0, shards, {})

    def make_venue(
        self,
        venue_id: str,
        newest_ns: int,
        shards: Collection[int],
        positions: Mapping[StreamKey, Cursor],
    ) -> Venue:
        """A venue that has got so far, without its instruments."""
        live = self._world == "live"
        watermark = Watermark(
            self._settings.lateness_ms * NANOSECONDS_PER_MILLISECOND,
            self._settings.ahead_max_ms * NANOSECONDS_PER_MILLISECOND if live else None,
            newest_ns,
        )

        def make_instrument(symbol: str) -> Instrument:
            return Instrument(symbol, events=self._events(venue_id, symbol))

        checkpoints_count = self._world != "replay"
        return Venue(venue_id, watermark, checkpoints_count, make_instrument, shards, positions)

    def read_instrument(self, venue_id: str, row: InstrumentRow) -> Instrument:
        """An instrument as it was stored."""
        return read_instrument(row, self._events(venue_id, row[0]))

    def _events(self, venue_id: str, symbol: str) -> EventBars | None:
        specs = self._settings.specs(venue_id, symbol)
        return EventBars(specs) if specs else None
