"""A log in a file: one JSON object a line, first ``origin``, then ``leaf`` or ``checkpoint``.

A leaf is the base64 of an encoded venuemesh.events.v1.StoredEvent; a checkpoint is a signed note
and follows the last leaf that it counts.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from venuemesh.audit.v1 import audit_pb2

from ops.errors import OperationsError


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of the log."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint, whose signature nobody has verified yet."""

    text: str


def write_origin(file: TextIO, origin: str) -> None:
    _write(file, {"origin": origin})


def write_part(file: TextIO, part: audit_pb2.ExportResponse) -> None:
    """Write leaves with the checkpoints among them."""
    signed = {checkpoint.size: checkpoint.note for checkpoint in part.checkpoints}
    for size, leaf in enumerate(part.leaves, part.first_leaf + 1):
        _write(file, {"leaf": base64.b64encode(leaf).decode()})
        if size in signed:
            _write(file, {"checkpoint": signed[size]})


def read(path: Path) -> Iterator[Leaf | Note]:
    """The parts of a file, in order. Raises OperationsError for what is no such file."""
    try:
        with path.open() as file:
            yield from _parts(file, path)
    except (OSError, UnicodeDecodeError) as error:
        raise OperationsError(f"{path} cannot be read: {error}") from None


def _parts(lines: Iterable[str], path: Path) -> Iterator[Leaf | Note]:
    for number, line in enumerate(lines, 1):
        try:
            match json.loads(line):
                case {"leaf": str(data)}:
                    yield Leaf(base64.b64decode(data, validate=True))
                case {"checkpoint": str(text)}:
                    yield Note(text)
                case {"origin": str()} if number == 1:
                    pass
                case _:
                    raise ValueError
        except ValueError:
            raise OperationsError(f"{path}, line {number} is not one of an export") from None


def _write(file: TextIO, value: Any) -> None:
    file.write(json.dumps(value, separators=(",", ":")) + "\n")
