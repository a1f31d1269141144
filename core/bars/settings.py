"""The settings of the bar aggregator."""

import re

import msgspec

from core.bars.bar_kinds import BarSpec
from kit.base.errors import SettingError

INSTANCE = re.compile("[a-z0-9]{0,16}")
LEASE_SECONDS_MIN = 0.2


class BarsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "bars"."""

    port: int = 8112
    """gRPC port, of Bars and Admin."""
    instance: str = ""
    """Name of this aggregator among several that share the instruments. The first needs none. Each
    has a port of its own."""
    lease_seconds: float = 3.0
    """Time without renewal after which other aggregators take over."""
    kinds: tuple[str, ...] = ()
    """Bars to make besides those of time, for all instruments: tick:100, volume:5, value:100000,
    imbalance:50, runs:50, range:10, renko:10."""
    kinds_of: dict[str, tuple[str, ...]] = {}
    """Kinds for one instrument, "venue/symbol", instead of ``kinds``."""
    lateness_ms: int = 2_000
    """A bar is final when its venue's newest trade is this much later than its end. A later trade
    still amends the bar."""
    ahead_max_ms: int = 60_000
    """In the world live: how far ahead of its received time a trade may move the watermark."""
    publish_interval_ms: int = 100
    """Interval at which changes are published to subscribers."""
    store_interval_ms: int = 250
    """Interval at which changed bars are stored."""
    kept_seconds: int = 120
    """Final bars stay in memory this long, in venue time. For a later trade, bars are loaded from
    the database first."""
    read_entries_max: int = 64
    """Entries of each stream per read."""
    waiting_bars_max: int = 50_000
    """Most changed bars that wait for the database. When full, the streams are not read."""
    subscribers_max: int = 256
    """Concurrent subscriptions."""
    subscriber_bars_max: int = 10_000
    """Most bars that wait for one subscriber. When full, the subscription ends as too slow."""

    def specs(self, venue_id: str, symbol: str) -> list[BarSpec]:
        """The kinds of bars to make besides time bars."""
        texts = self.kinds_of.get(f"{venue_id}/{symbol}", self.kinds)
        return [BarSpec.parse(text) for text in texts]

    def __post_init__(self) -> None:
        for key, texts in {"kinds": self.kinds, **self.kinds_of}.items():
            for text in texts:
                try:
                    BarSpec.parse(text)
                except ValueError as error:
                    raise SettingError(f"bars.{key}", text, str(error)) from None
        if not INSTANCE.fullmatch(self.instance):
            raise SettingError(
                "bars.instance", self.instance, "must be up to 16 lower-case letters and digits"
            )
        if self.lease_seconds < LEASE_SECONDS_MIN:
            raise SettingError(
                "bars.lease_seconds", self.lease_seconds, f"must be {LEASE_SECONDS_MIN} or more"
            )
        for key in ("lateness_ms", "ahead_max_ms", "kept_seconds"):
            if getattr(self, key) < 0:
                raise SettingError(f"bars.{key}", getattr(self, key), "must not be negative")
        for key in (
            "publish_interval_ms",
            "store_interval_ms",
            "read_entries_max",
            "waiting_bars_max",
            "subscribers_max",
            "subscriber_bars_max",
        ):
            if getattr(self, key) <= 0:
                raise SettingError(f"bars.{key}", getattr(self, key), "must be above 0")
