"""Makes venues and instruments according to the settings."""

from collections.abc import Collection, Mapping

from core.bars.database_rows import InstrumentRow, read_instrument
from core.bars.event_bars import InstrumentEventBars
from core.bars.instrument_bars import InstrumentBars
from core.bars.settings import BarsSettings
from core.bars.venue_bars import VenueBars
from core.bars.watermark import Watermark
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.cursor import Cursor, StreamKey


class VenueBarsFactory:
    """For one world: live, simulate or replay."""

    def __init__(self, settings: BarsSettings, world: str) -> None:
        self.settings = settings
        self._world = world

    def new_venue(self, venue_id: str, shards: Collection[int]) -> VenueBars:
        return self.make_venue(venue_id, 0, shards, {})

    def make_venue(
        self,
        venue_id: str,
        newest_ns: int,
        shards: Collection[int],
        positions: Mapping[StreamKey, Cursor],
    ) -> VenueBars:
        """A venue at these positions, without its instruments."""
        live = self._world == "live"
        watermark = Watermark(
            self.settings.lateness_ms * NANOSECONDS_PER_MILLISECOND,
            self.settings.ahead_max_ms * NANOSECONDS_PER_MILLISECOND if live else None,
            newest_ns,
        )

        def make_instrument(symbol: str) -> InstrumentBars:
            return InstrumentBars(symbol, events=self._events(venue_id, symbol))

        checkpoints_count = self._world != "replay"
        return VenueBars(venue_id, watermark, checkpoints_count, make_instrument, shards, positions)

    def read_instrument(self, venue_id: str, row: InstrumentRow) -> InstrumentBars:
        """An instrument from its stored row."""
        return read_instrument(row, self._events(venue_id, row[0]))

    def _events(self, venue_id: str, symbol: str) -> InstrumentEventBars | None:
        specs = self.settings.specs(venue_id, symbol)
        return InstrumentEventBars(specs) if specs else None
