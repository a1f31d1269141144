"""The options of ``up``, and their validation."""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kit.base.suggestions import did_you_mean
from ops.errors import OperationsError
from ops.supervisor.playback_source import PREFIX, PlaybackSource
from ops.venues import unknown_venue

CONSUMERS = (
    "recorder",
    "bars",
    "bridge",
    "history",
    "repair",
    "ledger",
    "audit",
    "detector",
    "advisor",
    "inspector",
    "notifier",
    "mcp",
    "push",
)
"""Services that read what others publish. The mesh runs without any of them."""
WORLDS = ("simulate", "live", "replay")
SPEED_MAX = "max"
CHUNK_BYTES = 1024 * 1024
CHECKED_BYTES_MAX = 256 * CHUNK_BYTES
"""Lines of a capture that are checked at start; later errors are found while playing."""


@dataclass(frozen=True, slots=True)
class MeshOptions:
    """A mesh to be run."""

    world: str
    venues: tuple[str, ...]
    data: Path
    """Absolute."""
    replays: tuple[tuple[str, Path], ...] = ()
    """Venue and file of frames, in the world replay; a venue's files are played in this order."""
    records: tuple[PlaybackSource, ...] = ()
    """Recorded pasts to play in the world replay, one of a venue at most."""
    speed: str | None = None
    """Multiple of clock speed; "max": as fast as it is read. None: as configured."""
    seed: int | None = None
    seconds: float | None = None
    """Running time. None: until stopped."""
    base_port: int | None = None
    replicas: tuple[str, ...] = ()
    """Venues that run as two replicas."""
    without: tuple[str, ...] = ()
    """Services that are not started."""


class ReplaySources(NamedTuple):
    """The captures and records of the world replay."""

    files: tuple[tuple[str, Path], ...]
    records: tuple[PlaybackSource, ...]

    @property
    def venues(self) -> tuple[str, ...]:
        of_files = (venue for venue, _ in self.files)
        return tuple(dict.fromkeys([*of_files, *(record.venue for record in self.records)]))


def parse_replays(texts: Sequence[str]) -> ReplaySources:
    """``["binance=/a/frames.jsonl", "okx=store:/b/data"]``. Raises OperationsError."""
    files, records = [], []
    for text in texts:
        venue, separator, name = text.partition("=")
        if not separator or not venue or not name:
            raise OperationsError(f"--replay {text}: write it as VENUE=FILE or VENUE=store:STORE")
        if name.startswith(PREFIX):
            records.append(PlaybackSource.parse(venue, name.removeprefix(PREFIX)))
            continue
        if "," in name:
            raise OperationsError(f"--replay {text}: the name of a file may not have a comma")
        files.append((venue, Path(name).expanduser().absolute()))
    return ReplaySources(tuple(files), tuple(records))


def parse_speed(text: str) -> str:
    """A number greater than 0, or "max". Raises OperationsError."""
    if text == SPEED_MAX:
        return text
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise OperationsError(f"--speed {text}: allowed are a number greater than 0, and max")
    return text


def check(options: MeshOptions, known_venues: Sequence[str]) -> None:
    """Check the options. Raises OperationsError if they contradict each other or name missing
    files."""
    replays = ReplaySources(options.replays, options.records)
    for venue in (*options.venues, *replays.venues):
        if venue not in known_venues:
            raise unknown_venue(venue, known_venues, "there are")
    for venue in options.replicas:
        if venue not in options.venues:
            raise OperationsError(f"--replicas {venue}: it is not among --venues")
    for name in options.without:
        if name not in CONSUMERS:
            allowed = f"{', '.join(CONSUMERS)}{did_you_mean(name, CONSUMERS)}"
            raise OperationsError(f"--without {name}: allowed are {allowed}")
    if options.replicas and options.world == "replay":
        raise OperationsError(
            "--replicas does not go with --world replay: a capture is played once"
        )
    if not options.venues:
        raise OperationsError("name at least one venue with --venues")
    if options.seconds is not None and options.seconds <= 0:
        raise OperationsError(f"--for {options.seconds:g}: allowed is a number greater than 0")
    _check_world(options, replays)


def _check_world(options: MeshOptions, replays: ReplaySources) -> None:
    if options.world == "replay":
        _check_replays(options, replays)
    elif replays.venues:
        raise OperationsError(f"--replay goes with --world replay, not with {options.world}")
    if options.world == "live" and (options.speed is not None or options.seed is not None):
        raise OperationsError("--speed and --seed are for the worlds simulate and replay")


def _check_replays(options: MeshOptions, replays: ReplaySources) -> None:
    for venue in options.venues:
        if venue not in replays.venues:
            raise OperationsError(f"--world replay needs a file: --replay {venue}=FILE")
    _check_records(options)
    for venue, file in options.replays:
        if venue not in options.venues:
            raise OperationsError(f"--replay {venue}={file}: {venue} is not among --venues")
        check_capture(file)
        for name in ("recv_ns.txt", "recv_ns.txt.gz"):
            beside = file.with_name(name)
            if beside.exists():
                check_capture(beside)


def _check_records(options: MeshOptions) -> None:
    named = [record.venue for record in options.records]
    for record in options.records:
        if record.venue not in options.venues:
            text = f"--replay {record.venue}=store:…: {record.venue} is not among --venues"
            raise OperationsError(text)
        if record.venue in dict(options.replays) or named.count(record.venue) > 1:
            text = f"--replay {record.venue}=store:… goes with no other of {record.venue}"
            raise OperationsError(text)
        if record.store == options.data:
            raise OperationsError(
                f"{options.data} would be played into itself: name another --data"
            )
        record.check()
    if len({record.own_folder for record in options.records} - {None}) > 1:
        raise OperationsError("--replay: one data folder can be opened at a time")


def check_capture(file: Path) -> None:
    """Raises OperationsError unless the file is there, can be read to its end and is not empty."""
    if file.is_dir():
        raise OperationsError(f"{file} is a folder: name the file of frames in it")
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rb") as stream:
            read = 0
            while chunk := stream.read(CHUNK_BYTES):
                read += len(chunk)
                if read >= CHECKED_BYTES_MAX:
                    break
    except FileNotFoundError:
        raise OperationsError(f"{file} is not there") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OperationsError(f"{file} cannot be read: {reason}") from None
    if not read:
        raise OperationsError(f"{file} is empty")
