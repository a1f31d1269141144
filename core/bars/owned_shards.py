"""The venues that this aggregator follows, by shard and stream position."""

from collections.abc import Callable, Collection, Iterable, Iterator

from core.bars.instrument_bars import InstrumentBars
from core.bars.venue_bars import VenueBars
from kit.base.cursor import Cursor, StreamKey

NewVenue = Callable[[str, Collection[int]], VenueBars]
"""Makes a venue without history, from its id and shards."""


class OwnedShards:
    """The shards of this aggregator, and the position of each in the streams.

    There is one ``VenueBars`` for the shards of a venue that are at the same position. A shard that
    was taken over has one of its own until it has caught up.
    """

    def __init__(self, new_venue: NewVenue) -> None:
        self._new_venue = new_venue
        self.shards: set[int] = set()
        self.venues: list[VenueBars] = []

    def __iter__(self) -> Iterator[VenueBars]:
        return iter(self.venues)

    def adopt(self, shards: Collection[int], venues: Iterable[VenueBars]) -> None:
        """Add shards, at the positions of these venues."""
        known = {venue.venue_id for venue in self.venues}
        self.shards |= set(shards)
        self.venues += venues
        for venue_id in known:
            self.follow(venue_id)
        self.join()

    def give_up(self, shards: Collection[int]) -> None:
        self.shards -= set(shards)
        for venue in self.venues:
            venue.leave(shards)
        self.venues = [venue for venue in self.venues if venue.shards]

    def follow(self, venue_id: str) -> bool:
        """Follow a venue in all shards, from its beginning where it is new. Returns whether it was
        new in any shard."""
        missing = self.shards - {shard for venue in self.of(venue_id) for shard in venue.shards}
        if missing:
            self.venues.append(self._new_venue(venue_id, missing))
        return bool(missing)

    def join(self) -> None:
        """Merge the parts of a venue that are at the same positions."""
        joined: list[VenueBars] = []
        for venue in self.venues:
            for other in joined:
                if other.is_at_position_of(venue):
                    other.join(venue)
                    break
            else:
                joined.append(venue)
        self.venues = joined

    def of(self, venue_id: str) -> list[VenueBars]:
        """The parts of one venue."""
        return [venue for venue in self.venues if venue.venue_id == venue_id]

    def instrument(self, venue_id: str, symbol: str) -> InstrumentBars | None:
        """An instrument, or None when it has not traded or is in a shard of another aggregator."""
        for venue in self.of(venue_id):
            if symbol in venue.instruments:
                return venue.instruments[symbol]
        return None

    def positions(self) -> dict[StreamKey, Cursor]:
        """Where to continue reading: the position of the slowest part of each venue."""
        slowest: dict[StreamKey, Cursor] = {}
        for venue in self.venues:
            for key, cursor in venue.positions.items():
                slowest[key] = min(cursor, slowest.get(key, cursor))
        return slowest
