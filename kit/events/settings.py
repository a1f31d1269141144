"""Settings of the section "events"."""

import msgspec

from kit.base.errors import SettingError

REDIS_ENTRIES_MIN = 100


class EventsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How services publish the events that they store."""

    redis_entries_max: int = 10_000
    """Newest events of each stream that stay in Redis, roughly; at least 100. The database keeps
    all."""

    def __post_init__(self) -> None:
        if self.redis_entries_max < REDIS_ENTRIES_MIN:
            allowed = f"must be at least {REDIS_ENTRIES_MIN}"
            raise SettingError("events.redis_entries_max", self.redis_entries_max, allowed)
