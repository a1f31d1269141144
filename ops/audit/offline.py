"""Verifies an exported log without a server, with the public keys and anchored checkpoints."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError
from venuemesh.events.v1 import event_pb2

from kit.merkle import checkpoints
from kit.merkle.checkpoints import Checkpoint
from kit.merkle.key_folder import read_verifier_keys
from kit.merkle.signed_notes import NoteError, VerifierKey
from kit.merkle.tree import GrowingTree, leaf_hash
from ops.audit.export_file import Leaf, Note
from ops.errors import OperationsError


@dataclass(slots=True)
class OfflineResult:
    """What was compared."""

    leaves: int = 0
    checkpoints: int = 0
    anchored_checkpoints: int = 0
    signed_size: int = 0
    """Leaves up to here are those that were signed."""
    difference: str = ""
    """The first one; "" if there is none."""


class _Differs(Exception):
    """The first difference."""


def read_keys(file: Path) -> list[VerifierKey]:
    """The public keys of a log. Raises OperationsError."""
    try:
        keys = read_verifier_keys(file)
    except (OSError, UnicodeDecodeError, NoteError) as error:
        raise OperationsError(f"{file} has no verifier keys: {error}") from None
    if not keys:
        raise OperationsError(f"{file} has no verifier keys")
    return keys


def read_anchors(file: Path, keys: Sequence[VerifierKey]) -> list[Checkpoint]:
    """The checkpoints of the file of an anchor, or of one signed note. Raises OperationsError."""
    try:
        text = file.read_text()
        notes = (
            [json.loads(line)["note"] for line in text.splitlines()]
            if text.startswith("{")
            else [text]
        )
        return [checkpoints.opened(note, keys[0].name, keys) for note in notes]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperationsError(f"{file} has no checkpoints of this log: {error}") from None


def verify(
    parts: Iterable[Leaf | Note], keys: Sequence[VerifierKey], anchors: Iterable[Checkpoint] = ()
) -> OfflineResult:
    """Compare leaves with the checkpoints among them, and with those of anchors."""
    result = OfflineResult()
    try:
        _verify(parts, keys, {anchor.size: anchor.root for anchor in anchors}, result)
    except (_Differs, NoteError) as found:
        result.difference = str(found)
    return result


def _verify(
    parts: Iterable[Leaf | Note],
    keys: Sequence[VerifierKey],
    anchored: dict[int, bytes],
    result: OfflineResult,
) -> None:
    tree = GrowingTree()
    sequences: dict[int, int] = {}
    for part in parts:
        if isinstance(part, Leaf):
            _require_next(part.data, tree.size, sequences)
            tree.extend([leaf_hash(part.data)])
            result.leaves = tree.size
            if tree.size in anchored:
                _require_root(tree, Checkpoint("", tree.size, anchored.pop(tree.size)), result)
                result.anchored_checkpoints += 1
        else:
            _require_root(tree, checkpoints.opened(part.text, keys[0].name, keys), result)
            result.checkpoints += 1
    if anchored:
        raise _Differs(f"{max(anchored)} leaves were signed, and {tree.size} are there")


def _require_root(tree: GrowingTree, signed: Checkpoint, result: OfflineResult) -> None:
    if (signed.size, signed.root) != (tree.size, tree.root):
        raise _Differs(
            f"the first {tree.size} leaves are not those whose root was signed (of {signed.size}): "
            f"leaf {result.signed_size} or a later one was changed"
        )
    result.signed_size = tree.size


def _require_next(data: bytes, index: int, sequences: dict[int, int]) -> None:
    try:
        position = event_pb2.StoredEvent.FromString(data).position
    except DecodeError:
        raise _Differs(f"leaf {index} is no event") from None
    wanted = sequences.get(position.stream, 0) + 1
    if position.sequence != wanted:
        name = event_pb2.EventStream.Name(position.stream)
        raise _Differs(f"leaf {index} is event {position.sequence} of {name}, not {wanted}")
    sequences[position.stream] = wanted
