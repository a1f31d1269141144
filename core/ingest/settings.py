"""The settings of ingest."""

import msgspec

from kit.base.errors import SettingError

WHEN_FULL = ("", "wait", "trim")


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "ingest"."""

    port: int = 8110
    """gRPC port, of Admin only."""
    silence_s: float = 2.0
    """A venue process that is silent for this long, and then does not answer within a second, is
    replaced by another replica of the venue."""
    pending_bytes_max: int = 8 * 1024 * 1024
    """Batches of one venue that may wait for Redis. When full, its subscription is not read."""
    append_bytes_max: int = 1024 * 1024
    """Batches that are written in one round trip."""
    trades_groups: tuple[str, ...] = ("recorder", "bars")
    """Consumer groups that must have read a trade batch before it may go. A group that has never
    committed holds everything: a recorder that starts late misses nothing. The bridge is in none
    of these lists: it reads the newest entries, and must not hold up the recording."""
    quotes_groups: tuple[str, ...] = ("recorder",)
    """As trades_groups, for quotes."""
    book_groups: tuple[str, ...] = ("recorder",)
    """As trades_groups, for book updates."""
    other_groups: tuple[str, ...] = ("recorder",)
    """As trades_groups, for tickers, marks, candles and status."""
    repairs_groups: tuple[str, ...] = ("recorder", "bars")
    """As trades_groups, for what Repair has fetched."""
    keep_seconds: float = 60.0
    """Entries that everyone has read are kept this long, for subscribers of the bridge who come
    back; but not while Redis uses more than half of redis_bytes_max."""
    redis_bytes_max: int = 512 * 1024 * 1024
    """Memory that Redis may use."""
    when_full: str = ""
    """What happens at that bound. "wait": the venues are not read until there is room. "trim": the
    oldest entries go, whoever has not read them. Empty: wait in the world replay, else trim."""

    def __post_init__(self) -> None:
        if self.when_full not in WHEN_FULL:
            raise SettingError("ingest.when_full", self.when_full, 'allowed are "wait", "trim"')
        for key in ("pending_bytes_max", "append_bytes_max", "redis_bytes_max"):
            if getattr(self, key) <= 0:
                raise SettingError(f"ingest.{key}", getattr(self, key), "must be above 0")
        if self.silence_s < 1:
            # A quiet venue sends a checkpoint once a second.
            raise SettingError("ingest.silence_s", self.silence_s, "must be 1 or more")
        if self.keep_seconds < 0:
            raise SettingError("ingest.keep_seconds", self.keep_seconds, "must not be negative")

    def waits_when_full(self, world: str) -> bool:
        """Whether the policy is to wait."""
        return (self.when_full or ("wait" if world == "replay" else "trim")) == "wait"
