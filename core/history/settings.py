"""The settings of History."""

import msgspec

from kit.base.errors import SettingError

QUOTE_AGE_MAX_MS = 600_000
"""More quotes than of ten minutes are not searched."""


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "history"."""

    port: int = 8114
    """gRPC port, of History and Admin."""
    readers_max: int = 16
    """Concurrent calls of Read and ReadBars."""
    quote_age_max_ms: int = 10_000
    """Largest age of a quote at the time for which it gives a price, for the costs of orders."""

    def __post_init__(self) -> None:
        if self.readers_max <= 0:
            raise SettingError("history.readers_max", self.readers_max, "must be above 0")
        if not 0 < self.quote_age_max_ms <= QUOTE_AGE_MAX_MS:
            allowed = f"1 to {QUOTE_AGE_MAX_MS}"
            raise SettingError("history.quote_age_max_ms", self.quote_age_max_ms, allowed)
