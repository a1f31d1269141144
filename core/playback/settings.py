"""The settings of a playback."""

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.errors import SettingError
from kit.base.settings import login_url
from kit.storage.archive.time_text import ALLOWED, parse_time

SPEED_MAX = "max"
WINDOW_MS = 10
WINDOW_MAX_MS = 60_000


class PlaybackSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "playback"."""

    port: int = 8116
    """gRPC port, of MarketData and Admin. In a local mesh that of the venue."""
    venue: str = ""
    """Venue id: whose record is played, and as whom the process registers."""
    database_url: str = ""
    """PostgreSQL with the record, which is only read. Not the one that the mesh records to."""
    database_password_file: str = ""
    """File with the password for database_url. Empty: the password in the URL, if there is one."""
    from_time: str = ""
    """First received time that is played, as 2024-08-08T12:00:00Z or in ns. Empty: the first."""
    to_time: str = ""
    """First received time that is no longer played. Empty: the last one is."""
    symbols: list[str] = []
    """Native symbols that are played. Empty: all."""
    speed: str = "1"
    """Times as fast as it was recorded, or "max": as fast as it is read."""
    window_ms: int = 0
    """Channels are merged by windows of so much time: of the clock's, with the speed "max" of
    recorded time. 0: 10 ms, with the speed "max" a minute."""
    window_rows_max: int = 10_000
    """Rows of one window and channel; with more of them a window is shorter."""
    held_bytes_max: int = 32 * 1024 * 1024
    """Batches that are held for readers. Half full of what the slowest has not read, the playback
    waits."""

    def __post_init__(self) -> None:
        parse_speed(self.speed)
        for key in ("from_time", "to_time"):
            _time_ns(f"playback.{key}", getattr(self, key))
        for key, least in {"window_ms": 0, "window_rows_max": 1, "held_bytes_max": 1}.items():
            if getattr(self, key) < least:
                allowed = f"must be {least} or more"
                raise SettingError(f"playback.{key}", getattr(self, key), allowed)

    @property
    def database_login_url(self) -> str:
        """database_url with its password: never to be shown. Raises SettingError."""
        return login_url("playback.database", self.database_url, self.database_password_file)

    @property
    def window_ns(self) -> int:
        speed = parse_speed(self.speed)
        window_ms = self.window_ms or (WINDOW_MS if speed is not None else WINDOW_MAX_MS)
        return max(int(window_ms * NANOSECONDS_PER_MILLISECOND * (speed or 1)), 1)

    @property
    def start_ns(self) -> int:
        """0: the first."""
        return _time_ns("playback.from_time", self.from_time)

    @property
    def end_ns(self) -> int:
        """0: after the last."""
        return _time_ns("playback.to_time", self.to_time)


def parse_speed(text: str) -> float | None:
    """Times as fast; None for max. Raises SettingError."""
    if text == SPEED_MAX:
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        allowed = "allowed are a number above 0 (times as fast), or max"
        raise SettingError("playback.speed", text, allowed)
    return speed


def _time_ns(key: str, text: str) -> int:
    """ns since the Unix epoch; 0 for an empty text. Raises SettingError."""
    if not text:
        return 0
    try:
        return parse_time(text)
    except ValueError:
        raise SettingError(key, text, ALLOWED) from None
