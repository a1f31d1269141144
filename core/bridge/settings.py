"""The settings of the bridge."""

import msgspec

from kit.base.errors import SettingError


class BridgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "bridge"."""

    port: int = 8113
    """gRPC port, of Live and Admin."""
    subscribers_max: int = 256
    """Subscriptions at a time; one more is refused with TOO_MANY_SUBSCRIBERS."""
    buffer_bytes: int = 4 * 1024 * 1024
    """What may wait for a lossless subscriber that does not say how much."""
    buffer_bytes_max: int = 64 * 1024 * 1024
    """The most that a lossless subscriber may ask for."""
    conflated_trades_max: int = 10_000
    """Trades of one venue that a conflated subscriber gets in one interval; the newest."""
    book_depth_max: int = 1_000
    """Levels per side that a conflated subscriber may ask for."""

    def __post_init__(self) -> None:
        for key in self.__struct_fields__:
            if getattr(self, key) <= 0:
                raise SettingError(f"bridge.{key}", getattr(self, key), "must be above 0")
        if self.buffer_bytes > self.buffer_bytes_max:
            raise SettingError(
                "bridge.buffer_bytes", self.buffer_bytes, "must not be above buffer_bytes_max"
            )
