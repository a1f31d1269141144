"""The venues that are followed: those of our shards that stand at the same place are one."""

from collections.abc import Callable, Collection, Iterable, Iterator

from core.bars.instrument import Instrument
from core.bars.venue import Venue
from kit.base.cursor import Cursor, StreamKey

NewVenue = Callable[[str, Collection[int]], Venue]
"""A venue that nothing is known of, from its id and shards."""


class Following:
    """Our shards, and how far each has got.

    As a rule there is one ``Venue`` for each venue. A shard that was taken over stands elsewhere,
    and has one of its own until it has caught up.
    """

    def __init__(self, new_venue: NewVenue) -> None:
        self._new_venue = new_venue
        self.shards: set[int] = set()
        self.venues: list[Venue] = []

    def __iter__(self) -> Iterator[Venue]:
        return iter(self.venues)

    def adopt(self, shards: Collection[int], venues: Iterable[Venue]) -> None:
        """Follow more shards, from where these venues stand."""
        known = {venue.venue_id for venue in self.venues}
        self.shards |= set(shards)
        self.venues += venues
        for venue_id in known:
            self.follow(venue_id)
        self.join()

    def give_up(self, shards: Collection[int]) -> None:
        """Follow these no longer."""
        self.shards -= set(shards)
        for venue in self.venues:
            venue.leave(shards)
        self.venues = [venue for venue in self.venues if venue.shards]

    def follow(self, venue_id: str) -> bool:
        """Follow a venue in all shards, from its beginning where it is new. Returns whether it was
        new in any."""
        missing = self.shards - {shard for venue in self.of(venue_id) for shard in venue.shards}
        if missing:
            self.venues.append(self._new_venue(venue_id, missing))
        return bool(missing)

    def join(self) -> None:
        """Make one of those that stand at the same place."""
        joined: list[Venue] = []
        for venue in self.venues:
            for other in joined:
                if other.stands_with(venue):
                    other.join(venue)
                    break
            else:
                joined.append(venue)
        self.venues = joined

    def of(self, venue_id: str) -> list[Venue]:
        """The parts of one venue."""
        return [venue for venue in self.venues if venue.venue_id == venue_id]

    def instrument(self, venue_id: str, symbol: str) -> Instrument | None:
        """None when it has not traded, or is in a shard of another aggregator."""
        for venue in self.of(venue_id):
            if symbol in venue.instruments:
                return venue.instruments[symbol]
        return None

    def positions(self) -> dict[StreamKey, Cursor]:
        """Where to read on: where the slowest part of each venue stands."""
        slowest: dict[StreamKey, Cursor] = {}
        for venue in self.venues:
            for key, cursor in venue.positions.items():
                slowest[key] = min(cursor, slowest.get(key, cursor))
        return slowest
