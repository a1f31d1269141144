"""The epoch of a playback: the same on every run of the same playback in the same data folder.

The batches of a playback are the same on every run. With the same epoch their cursors are the same
too, so a reader's cursor stays valid after a restart of the process.
"""

import os
from pathlib import Path

import msgspec

from core.playback.publisher import PlaybackPublisher
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.connector.publishing.hub import Hub


class StoredPlaybackEpoch(msgspec.Struct, frozen=True):
    """The content of the file."""

    play: str
    epoch: int


class PlaybackEpochFile:
    """Chooses the epoch of a playback and stores it."""

    def __init__(self, path: Path, play: str, start_ns: int) -> None:
        self._path = path
        self._play = play
        found = self._read()
        if found is not None and found.play == play:
            self.epoch = found.epoch
            return
        begins_ms = max(start_ns // NANOSECONDS_PER_MILLISECOND, 1)
        self.epoch = max(begins_ms, found.epoch + 1) if found is not None else begins_ms
        self._write()

    def begin_above(self, epoch: int) -> None:
        """Choose a larger epoch: the streams hold a newer one, of another writer."""
        self.epoch = max(self.epoch, epoch + 1)
        self._write()

    def _read(self) -> StoredPlaybackEpoch | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=StoredPlaybackEpoch)
        except (OSError, msgspec.MsgspecError):
            return None

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(StoredPlaybackEpoch(self._play, self.epoch)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


class PlaybackEpochManager:
    """Starts the playback in an epoch that is larger than that of the streams."""

    def __init__(self, hub: Hub, epochs: PlaybackEpochFile, player: PlaybackPublisher) -> None:
        self._hub = hub
        self._epochs = epochs
        self._player = player

    def on_stream_epoch(self, epoch: int) -> None:
        """Start a newer epoch if the writer of the streams has seen a newer one."""
        if epoch > self._hub.epoch and not self._player.started:
            self._epochs.begin_above(epoch)
            self._hub.start_epoch(self._epochs.epoch)
