"""Settings of a venue process, section ``venues.<id>``."""

import re

import msgspec

from kit.base.errors import SettingError

REFILL_S_MAX = 60.0
INSTANCE = re.compile("[a-z0-9]{1,16}")


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of one venue."""

    port: int = 0
    """Port of the gRPC server. 0: the port in the venue's catalog."""
    instance: str = ""
    """Tells two processes of the venue apart, which read each other: the service id of the second
    one, with "b", is "binance-b". It needs a port of its own."""
    symbols: tuple[str, ...] = ()
    """Native symbols to subscribe to at start. "*" means all that are listed. Empty: the venue's
    defaults in the live world, all otherwise."""
    options: dict[str, str] = {}
    """What the venue's own README offers to choose, for example which of its feeds."""
    ring_bytes_max: int = 16 * 1024 * 1024
    """Bytes of batches that are held for readers, per channel."""
    refill_s: float = 3.0
    """So long trades wait while the venue is asked for missing ones before them. 0: a gap is
    published at once."""
    instruments_refresh_s: float = 60.0
    """How often the venue is asked what it lists."""
    book_snapshot_interval_s: float = 600.0
    """Each whole book is published at least so often, so that a book of any moment can be rebuilt
    from little. 0: only when it has a new epoch."""
    raw_frames: bool = False
    """Pass on everything that comes over the connections, word for word, to be recorded."""

    def service_id(self, venue_id: str) -> str:
        """Of the process, in the registry, in the log and in the names of its files."""
        return f"{venue_id}-{self.instance}" if self.instance else venue_id

    def __post_init__(self) -> None:
        if self.instance and not INSTANCE.fullmatch(self.instance):
            raise SettingError("instance", self.instance, "1 to 16 of a-z 0-9")
        if self.ring_bytes_max < 65_536:
            raise SettingError("ring_bytes_max", self.ring_bytes_max, "at least 65536")
        if not 0 <= self.refill_s <= REFILL_S_MAX:
            raise SettingError("refill_s", self.refill_s, f"0 to {REFILL_S_MAX}")
        if not self.instruments_refresh_s >= 1:
            raise SettingError("instruments_refresh_s", self.instruments_refresh_s, "at least 1")
        if self.book_snapshot_interval_s and not self.book_snapshot_interval_s >= 1:
            raise SettingError(
                "book_snapshot_interval_s", self.book_snapshot_interval_s, "0, or at least 1"
            )
