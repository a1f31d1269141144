"""Captured frames from files, in blocks of bounded memory.

``frames.jsonl[.gz]`` has one websocket frame per line, ``recv_ns.txt[.gz]`` beside it the receive
time of the same line (ns since the Unix epoch), ``rest/`` the REST bodies of the same session, with
``index.tsv`` (seconds since the epoch, URL, file) saying what they answered.
"""

import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import SettingError

BLOCK_BYTES = 128 * 1024
EVEN_PACE_NS = 1_000_000
"""The time between two frames of a capture without receive times."""
PACKED_BYTES = 16 * 1024
GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW_BITS = 31
"""For zlib: the largest window, and a gzip header."""
DAMAGED = (OSError, EOFError, zlib.error)

_log = telemetry.logger("simulator.capture")


class CaptureCorrupted(Exception):
    """A file cannot be read to its end."""


@dataclass(frozen=True, slots=True)
class CaptureBlock:
    """Consecutive lines."""

    lines: Sequence[bytes]
    times_ns: Sequence[int]
    """The receive time of each line; never steps back."""


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """A REST body of the capture's session."""

    time_ns: int
    """When it was received; 0: not known."""
    url: str
    """Path and query, or only the file's name when the index is missing."""
    file: Path


class CaptureFiles:
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
        except CaptureCorrupted:
            _log.warning("the capture is damaged near its beginning")
        return found[:lines_max]

    def blocks(self) -> Iterator[CaptureBlock]:
        """All lines. Raises CaptureCorrupted where a file cannot be read further."""
        last_ns = 0
        for file in self.files:
            try:
                for block in _blocks(file, last_ns):
                    last_ns = block.times_ns[-1]
                    yield block
            except DAMAGED as error:
                raise CaptureCorrupted(f"{file}: {error}") from None

    def recorded_answers(self) -> list[RecordedResponse]:
        """The REST bodies of the captures, oldest first."""
        found = [answer for file in self.files for answer in _recorded(file.parent / "rest")]
        return sorted(found, key=lambda answer: answer.time_ns)

    @staticmethod
    def _check(file: Path) -> None:
        if not file.is_file():
            raise SettingError("simulator.replay", str(file), "no such file")
        try:
            first = next(_chunks(file), b"")
        except DAMAGED as error:
            raise SettingError("simulator.replay", str(file), f"cannot be read: {error}") from None
        if not first.strip():
            raise SettingError("simulator.replay", str(file), "is empty")


def _chunks(file: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked if they are packed. Raises one of DAMAGED."""
    with file.open("rb") as source:
        packed = source.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        source.seek(0)
        while chunk := source.read(PACKED_BYTES if packed else BLOCK_BYTES):
            if not packed:
                yield chunk
                continue
            yield from _unpacked(chunk, source)
            return


def _unpacked(chunk: bytes, source: BinaryIO) -> Iterator[bytes]:
    """The members of a gzip file, one after the other. zlib alone costs half of the gzip module."""
    member = zlib.decompressobj(GZIP_WINDOW_BITS)
    while chunk:
        yield member.decompress(chunk)
        chunk = member.unused_data.lstrip(b"\0") or source.read(PACKED_BYTES)
        if member.eof and chunk:
            member = zlib.decompressobj(GZIP_WINDOW_BITS)
    if not member.eof:
        raise EOFError("the file ends in the middle")


def _lines(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """All whole lines, some at a time. Lines before a damaged place are returned first."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if b"\r" in chunk:
            lines = [line.rstrip(b"\r") for line in lines]
        if lines:
            yield lines
    if rest:
        yield [rest]


def _blocks(file: Path, last_ns: int) -> Iterator[CaptureBlock]:
    times = _times_beside(file)
    for lines in _lines(_chunks(file)):
        found = list(itertools.islice(times, len(lines)))
        known_ns = max(last_ns, *found) if found else last_ns
        missing = range(1, len(lines) - len(found) + 1)
        found.extend([known_ns + EVEN_PACE_NS * count for count in missing])
        found[0] = max(found[0], last_ns)
        times_ns = list(itertools.accumulate(found, max))
        last_ns = times_ns[-1]
        yield CaptureBlock(lines, times_ns)


def _times_beside(file: Path) -> Iterator[int]:
    """The receive times, as far as there are any; a text that is no number becomes 0."""
    for name in ("recv_ns.txt.gz", "recv_ns.txt"):
        if (file.parent / name).is_file():
            for texts in _lines(_chunks(file.parent / name)):
                try:
                    yield from list(map(int, texts))
                except ValueError:
                    yield from [int(text) if text.isdigit() else 0 for text in texts]
            return


def _recorded(folder: Path) -> Iterator[RecordedResponse]:
    index = folder / "index.tsv"
    if not index.is_file():
        for file in sorted(folder.glob("*.json")):
            yield RecordedResponse(0, file.stem, file)
        return
    for line in index.read_text().splitlines():
        seconds, _, rest = line.partition("\t")
        url, _, name = rest.partition("\t")
        file = folder / name.removeprefix("rest_")
        if not file.is_file():
            _log.warning("a REST body of the capture is missing", extra={"file": name})
            continue
        path = re.sub(r"^[a-z]+://[^/]*", "", url)
        yield RecordedResponse(int(float(seconds) * NANOSECONDS_PER_SECOND), path, file)
