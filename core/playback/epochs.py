"""The epoch of a play: the same on every run of the same play in the same data folder.

The batches of a play are the same on every run. Under the same epoch their cursors are so too, and
a reader's cursor holds beyond the end of the process.
"""

import os
from pathlib import Path

import msgspec

from core.playback.log import Log
from core.playback.player import Player
from kit.base.clock import NANOSECONDS_PER_MILLISECOND


class Remembered(msgspec.Struct, frozen=True):
    """What the file holds."""

    play: str
    epoch: int


class PlayEpoch:
    """Chooses the epoch of a play and remembers it."""

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
        """The streams hold a newer one: they were written to by something else."""
        self.epoch = max(self.epoch, epoch + 1)
        self._write()

    def _read(self) -> Remembered | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Remembered)
        except (OSError, msgspec.MsgspecError):
            return None

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(Remembered(self._play, self.epoch)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


class Beginning:
    """Begins the play in an epoch that the streams can take."""

    def __init__(self, log: Log, epochs: PlayEpoch, player: Player) -> None:
        self._log = log
        self._epochs = epochs
        self._player = player

    def seen(self, epoch: int) -> None:
        """The writer of the streams has this one."""
        if epoch > self._log.epoch and not self._player.started:
            self._epochs.begin_above(epoch)
            self._log.start_epoch(self._epochs.epoch)
