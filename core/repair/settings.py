"""The settings of Repair."""

import msgspec

from kit.base.errors import SettingError

LEASE_SECONDS_MIN = 0.2


class RepairSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "repair"."""

    port: int = 8115
    """gRPC port, of Repair and Admin."""
    lease_seconds: float = 3.0
    """Time without renewal after which other processes take over the venues of this one."""
    automatic: bool = True
    """Whether new holes are repaired automatically."""
    find_interval_s: float = 10.0
    """How often to look for new holes."""
    settle_s: float = 10.0
    """Trades may come late: what is missing is a hole only after so long."""
    candles_interval_s: float = 60.0
    """How often to compare bars with the venues' candles."""
    candle_calls_max: int = 10
    """Calls for candles to one venue in that time, where its candles are not recorded."""
    past_candles: bool = True
    """Whether the venues' own candles of the time before the first start are fetched into the
    record: a day of 1m, 30 days of 1h, 4h and 1d, and times between of what lies between."""
    past_candle_calls_max: int = 60
    """Calls for them to one venue within a minute."""
    retry_s: float = 600.0
    """A hole that could not be filled for a reason that may pass is tried again after so long."""
    attempts_max: int = 5
    """After so many attempts it counts as one that the venue cannot fill."""
    jobs_max: int = 1_000
    """Jobs that have not ended; one more is refused."""
    watchers_max: int = 256
    """Callers of WatchRepair at a time."""
    wait_for: tuple[str, ...] = ("recorder", "bars")
    """Consumers of the stream of repairs that must have a repair before it counts."""
    quality_interval_s: float = 60.0
    """How often the quality of the record is computed."""
    stale_after_s: float = 60.0
    """An instrument is stale when nothing was traded for this long, and for eight times its usual
    time between two trades."""
    keep_s: float = 30 * 24 * 3600.0
    """Scores, comparisons, ended jobs and filled holes are kept this long."""

    def __post_init__(self) -> None:
        for key in (
            "find_interval_s",
            "candles_interval_s",
            "candle_calls_max",
            "past_candle_calls_max",
            "retry_s",
            "attempts_max",
            "jobs_max",
            "watchers_max",
            "quality_interval_s",
            "stale_after_s",
            "keep_s",
        ):
            if getattr(self, key) <= 0:
                raise SettingError(f"repair.{key}", getattr(self, key), "must be above 0")
        if self.lease_seconds < LEASE_SECONDS_MIN:
            allowed = f"must be {LEASE_SECONDS_MIN} or more"
            raise SettingError("repair.lease_seconds", self.lease_seconds, allowed)
        if self.settle_s < 0:
            raise SettingError("repair.settle_s", self.settle_s, "must not be negative")
