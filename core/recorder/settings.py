"""The settings of the recorder and of the retention of its tables."""

from collections.abc import Mapping

import msgspec

from kit.base.errors import SettingError

DAYS_MAX = 36_500
LEASE_SECONDS_MIN = 0.2


class RecorderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "recorder"."""

    port: int = 8111
    """gRPC port, of Admin only."""
    chunk_rows_max: int = 50_000
    """About how many rows one transaction writes."""
    chunk_bytes_max: int = 16 * 1024 * 1024
    """About how many bytes of batches one transaction writes. One such chunk is being written, one
    waits, and two are being filled, one of them with blocks; when they are full, the streams are
    not read."""
    chunk_age_ms: int = 100
    """Longest time that rows wait for others to be written with them."""
    block_age_ms: int = 2_000
    """How long book updates and frames wait: the more of them form a block, the fewer bytes each
    takes."""
    lease_seconds: float = 3.0
    """Time without renewal after which other recorders take over the streams of this one."""
    migrate: bool = True
    """Whether the recorder brings the database to the schema of its version at its start. false:
    ./venuemesh migrate does, and the recorder waits for it like all others."""

    def __post_init__(self) -> None:
        for key in ("chunk_rows_max", "chunk_bytes_max", "chunk_age_ms", "block_age_ms"):
            if getattr(self, key) <= 0:
                raise SettingError(f"recorder.{key}", getattr(self, key), "must be above 0")
        if self.lease_seconds < LEASE_SECONDS_MIN:
            allowed = f"must be {LEASE_SECONDS_MIN} or more"
            raise SettingError("recorder.lease_seconds", self.lease_seconds, allowed)


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "storage". Days are UTC days of the rows' times; 0 keeps rows for ever."""

    keep_trades_days: int = 0
    """By venue time; candles by open time; the others by received time."""
    keep_quotes_days: int = 0
    """Best bids and asks."""
    keep_book_days: int = 0
    """Book updates."""
    keep_tickers_days: int = 0
    """Figures of the last 24 hours."""
    keep_marks_days: int = 0
    """Mark prices and funding."""
    keep_candles_days: int = 0
    """The venue's own candles."""
    keep_frames_days: int = 0
    """Raw frames."""
    columnstore_after_days: int = 3
    """With TimescaleDB: age from which days of trades, quotes, tickers and marks are compressed by
    columns. 0 is never."""

    def __post_init__(self) -> None:
        for key in self.__struct_fields__:
            if not 0 <= getattr(self, key) <= DAYS_MAX:
                raise SettingError(f"storage.{key}", getattr(self, key), f"0 to {DAYS_MAX}")

    def keep_days(self) -> Mapping[str, int]:
        """The days to keep of each table."""
        return {
            "trade_rows": self.keep_trades_days,
            "quote_rows": self.keep_quotes_days,
            "book_batch_rows": self.keep_book_days,
            "ticker_rows": self.keep_tickers_days,
            "mark_rows": self.keep_marks_days,
            "candle_rows": self.keep_candles_days,
            "frame_rows": self.keep_frames_days,
        }
