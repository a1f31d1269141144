"""Captured frames from files, in blocks of bounded memory.

``frames.jsonl[.gz]`` has one websocket frame per line, ``recv_ns.txt[.gz]`` beside it the receive
time of the same line (ns since the Unix epoch), ``rest/`` the REST bodies of the same session, with
``index.tsv`` (seconds since the epoch, URL, file) saying what they answered.
"""

import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit import telemetry
from kit.clock import NANOSECONDS_PER_SECOND
from kit.errors import SettingError

BLOCK_BYTES = 128 * 1024
EVEN_PACE_NS = 1_000_000
"""Between two frames of a capture whose receive times are not known."""
GZIP_MAGIC = b"\x1f\x8b"
DAMAGED = (OSError, EOFError, zlib.error)

_Readable = io.BufferedReader | gzip.GzipFile | io.BytesIO

_log = telemetry.logger("simulator.tape")


class TapeDamaged(Exception):
    """A file cannot be read on."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines in a row."""

    lines: Sequence[bytes]
    times_ns: Sequence[int]
    """When each was received; never steps back."""


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """A REST body of the capture's session."""

    time_ns: int
    """When it was received; 0: not known."""
    url: str
    """Path and query, or only the file's name when the index is missing."""
    file: Path


class Tape:
    """One or more captures of one venue, played one after the other."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Raises SettingError when a file is not there or its beginning cannot be read."""
        self.files = files
        for file in files:
            self._check(file)

    def head(self, lines_max: int) -> list[bytes]:
        """The first lines, to learn what the capture is about."""
        found: list[bytes] = []
        try:
            for block in self.blocks():
                found.extend(block.lines)
                if len(found) >= lines_max:
                    break
        except TapeDamaged:
            _log.warning("the capture is damaged near its beginning")
        return found[:lines_max]

    def blocks(self) -> Iterator[Block]:
        """All lines. Raises TapeDamaged where a file cannot be read on."""
        last_ns = 0
        for file in self.files:
            try:
                with _open(file) as frames, _times_beside(file) as times:
                    for block in _blocks(frames, times, last_ns):
                        last_ns = block.times_ns[-1]
                        yield block
            except DAMAGED as error:
                raise TapeDamaged(f"{file}: {error}") from None

    def recorded_answers(self) -> list[RecordedAnswer]:
        """The REST bodies of the captures, oldest first."""
        found = [answer for file in self.files for answer in _recorded(file.parent / "rest")]
        return sorted(found, key=lambda answer: answer.time_ns)

    @staticmethod
    def _check(file: Path) -> None:
        if not file.is_file():
            raise SettingError("simulator.replay", str(file), "no such file")
        try:
            with _open(file) as frames:
                first = frames.read(BLOCK_BYTES)
        except DAMAGED as error:
            raise SettingError("simulator.replay", str(file), f"cannot be read: {error}") from None
        if not first.strip():
            raise SettingError("simulator.replay", str(file), "is empty")


def _open(file: Path) -> _Readable:
    with file.open("rb") as raw:
        packed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return gzip.open(file) if packed else file.open("rb")


def _times_beside(file: Path) -> _Readable:
    for name in ("recv_ns.txt.gz", "recv_ns.txt"):
        if (file.parent / name).is_file():
            return _open(file.parent / name)
    return io.BytesIO()


def _blocks(frames: _Readable, times: _Readable, last_ns: int) -> Iterator[Block]:
    for lines in _lines(frames):
        times_ns = _next_times(times, len(lines), last_ns)
        last_ns = times_ns[-1]
        yield Block(lines, times_ns)


def _lines(frames: _Readable) -> Iterator[list[bytes]]:
    """All whole lines, some at a time. What was read before a damaged place is given out first."""
    rest = b""
    while chunk := frames.read1(BLOCK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        if b"\r" in chunk:
            lines = [line.rstrip(b"\r") for line in lines]
        if lines:
            yield lines
    if rest:
        yield [rest]


def _next_times(times: _Readable, count: int, last_ns: int) -> list[int]:
    texts = list(itertools.islice(times, count))
    try:
        found = list(map(int, texts))
    except ValueError:
        found = [int(text) if text.strip().isdigit() else last_ns for text in texts]
    start_ns = max(found[-1], last_ns) if found else last_ns
    missing = count - len(found)
    found.extend(
        range(start_ns + EVEN_PACE_NS, start_ns + (missing + 1) * EVEN_PACE_NS, EVEN_PACE_NS)
    )
    return list(itertools.accumulate(found, max))


def _recorded(folder: Path) -> Iterator[RecordedAnswer]:
    index = folder / "index.tsv"
    if not index.is_file():
        for file in sorted(folder.glob("*.json")):
            yield RecordedAnswer(0, file.stem, file)
        return
    for line in index.read_text().splitlines():
        seconds, _, rest = line.partition("\t")
        url, _, name = rest.partition("\t")
        file = folder / name.removeprefix("rest_")
        if not file.is_file():
            _log.warning("a REST body of the capture is missing", extra={"file": name})
            continue
        path = re.sub(r"^[a-z]+://[^/]*", "", url)
        yield RecordedAnswer(int(float(seconds) * NANOSECONDS_PER_SECOND), path, file)
