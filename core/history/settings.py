"""The settings of History."""

import msgspec

from kit.base.errors import SettingError


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "history"."""

    port: int = 8114
    """gRPC port, of History and Admin."""
    readers_max: int = 16
    """Concurrent calls of Read and ReadBars."""

    def __post_init__(self) -> None:
        if self.readers_max <= 0:
            raise SettingError("history.readers_max", self.readers_max, "must be above 0")
