"""A venue whose bars go to a dict instead of a database."""

from collections.abc import Iterable
from fractions import Fraction

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.bars.bar_arithmetic import PartialBar
from core.bars.bar_kinds import BarSpec
from core.bars.event_bars import InstrumentEventBars
from core.bars.instrument_bars import InstrumentBars, TimeBar
from core.bars.tests.market import SECOND_NS, BarKey, NaiveBar
from core.bars.tests.naive_events import EventKey
from core.bars.venue_bars import VenueBars
from core.bars.watermark import Watermark
from kit.base.cursor import Cursor
from kit.base.intervals import INTERVALS
from kit.marketdata.model.columns import Scale

Stored = tuple[PartialBar, Scale, int, bool, int]


class MemoryVenue:
    """Feeds a venue and keeps what it lets go of, as the database does."""

    def __init__(
        self,
        lateness_ns: int = 2 * SECOND_NS,
        checkpoints_count: bool = False,
        kinds: Iterable[str] = (),
    ) -> None:
        specs = [BarSpec.parse(text) for text in kinds]

        def make(symbol: str) -> InstrumentBars:
            return InstrumentBars(symbol, events=InstrumentEventBars(specs))

        self.venue = VenueBars("binance", Watermark(lateness_ns), checkpoints_count, make)
        self.events: dict[EventKey, tuple[NaiveBar, bool]] = {}
        self.stored: dict[BarKey, Stored] = {}
        self.loads = 0

    def take(self, *batches: batch_pb2.MarketDataBatch) -> "MemoryVenue":
        """Feed batches, numbered one after another."""
        for message in batches:
            self.give(message, Cursor(1, self.venue.position.sequence + 1))
        return self

    def give(self, message: batch_pb2.MarketDataBatch, cursor: Cursor) -> None:
        """Feed one batch of this number."""
        gap = self.venue.gap_before(cursor, message)
        gaps: Iterable[types_pb2.Gap] = [gap, *message.gaps] if gap else message.gaps
        self.venue.take(cursor, message, gaps)

    def roll_up(self, kept_ns: int | None = None) -> list[TimeBar]:
        """Fold, store, and evict what ended kept_ns before the watermark. Returns what changed."""
        for instrument in self.venue.changed:
            spans = instrument.unloaded(self.venue.horizon_ns)
            if spans:
                self.loads += 1
                self.venue.restore(instrument, list(self._load(instrument, spans)), spans)
        changed = self.venue.roll_up()
        for bar in changed:
            self.stored[_key(bar)] = (
                bar.total,
                bar.instrument.scale,
                bar.revision,
                bar.final,
                bar.covered_ns,
            )
        for instrument, (interval, bar, _) in self.venue.settle():
            key = instrument.symbol, interval, bar.day_ns, bar.number
            self.events[key] = _human(bar.total, instrument.scale), bar.final
        if kept_ns is not None:
            self.venue.evict(kept_ns, busy=())
        return changed

    def bars(self) -> dict[BarKey, NaiveBar]:
        """Everything stored, in human units."""
        return {key: _human(*stored[:2]) for key, stored in self.stored.items()}

    def settled(self) -> dict[BarKey, Stored]:
        """Everything stored, but 0 for the coverage of bars that are not final: it still grows."""
        return {
            key: stored if stored[3] else (*stored[:4], 0) for key, stored in self.stored.items()
        }

    def bar(self, interval: str, open_ns: int, symbol: str = "BTCUSDT") -> NaiveBar:
        """One bar."""
        return self.bars()[symbol, interval, open_ns]

    def revision(self, interval: str, open_ns: int) -> int:
        """Its revision."""
        return self.stored["BTCUSDT", interval, open_ns][2]

    def is_final(self, interval: str, open_ns: int) -> bool:
        """Whether it is final."""
        return self.stored["BTCUSDT", interval, open_ns][3]

    def covered_ns(self, interval: str, open_ns: int, symbol: str = "BTCUSDT") -> int:
        """Its coverage."""
        return self.stored[symbol, interval, open_ns][4]

    def _load(self, instrument, spans):
        names = {interval.name: level for level, interval in enumerate(INTERVALS)}
        for (symbol, name, open_ns), stored in self.stored.items():
            total, scale, revision, final, covered_ns = stored
            end_ns = open_ns + INTERVALS[names[name]].length_ns
            overlaps = any(start < end_ns and open_ns < stop for start, stop in spans)
            if symbol == instrument.symbol and overlaps:
                assert scale == instrument.scale
                key = (names[name], open_ns)
                yield TimeBar(instrument, key, total, revision, final, covered_ns)


def _key(bar: TimeBar) -> BarKey:
    return bar.instrument.symbol, INTERVALS[bar.level].name, bar.open_ns


def _human(total: PartialBar, scale: Scale) -> NaiveBar:
    price, size = 10**scale.price, 10**scale.size
    return NaiveBar(
        Fraction(total.open, price),
        Fraction(total.high, price),
        Fraction(total.low, price),
        Fraction(total.close, price),
        Fraction(total.volume, size),
        Fraction(total.buy_volume, size),
        Fraction(total.quote_volume, price * size),
        total.trade_count,
    )
