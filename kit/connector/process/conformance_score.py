"""The last score of a venue's conformance cards, stored in a file for Admin."""

from pathlib import Path

import msgspec
from venuemesh.admin.v1 import admin_pb2


class ConformanceScoreFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds."""

    passed: int
    failed_cards: list[str]
    skipped_cards: list[str]
    played_time_ns: int


def write(data_dir: Path, venue_id: str, score: ConformanceScoreFile) -> None:
    file = _file(data_dir, venue_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(score))


def read(data_dir: Path, venue_id: str) -> admin_pb2.ConformanceScore | None:
    """The score that was kept last; None when there is none that can be read."""
    try:
        found = msgspec.json.decode(
            _file(data_dir, venue_id).read_bytes(), type=ConformanceScoreFile
        )
    except (OSError, msgspec.DecodeError):
        return None
    return admin_pb2.ConformanceScore(**msgspec.to_builtins(found))


def _file(data_dir: Path, venue_id: str) -> Path:
    return data_dir / "conformance" / f"{venue_id}.json"
