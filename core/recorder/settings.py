"""The settings of the recorder."""

import msgspec

from kit.errors import SettingError


class RecorderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "recorder"."""

    port: int = 8111
    """gRPC port, of Admin only."""
    chunk_rows_max: int = 50_000
    """Rows that are written in one transaction, roughly."""
    chunk_bytes_max: int = 16 * 1024 * 1024
    """Bytes of batches that are written in one transaction, roughly. Of such chunks one is being
    written, one waits, and two are being filled, one of them with blocks; when they are full, the
    streams are not read."""
    chunk_age_ms: int = 100
    """Rows wait at most this long for others to be written with them."""
    block_age_ms: int = 2_000
    """So long book updates and frames wait: the more of them become one block, the fewer bytes each
    of them takes."""

    def __post_init__(self) -> None:
        for key in ("chunk_rows_max", "chunk_bytes_max", "chunk_age_ms", "block_age_ms"):
            if getattr(self, key) <= 0:
                raise SettingError(f"recorder.{key}", getattr(self, key), "must be above 0")
