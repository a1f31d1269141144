"""Exported logs, verified without a server."""

from pathlib import Path

import pytest
from venuemesh.audit.v1 import audit_pb2
from venuemesh.events.v1 import event_pb2

from kit.merkle.checkpoints import Checkpoint
from kit.merkle.key_folder import PUBLIC_FILE, KeyFolder
from kit.merkle.tree import GrowingTree, leaf_hash
from ops import cli
from ops.audit import export_file, offline
from ops.audit.export_file import Leaf

ORIGIN = "venuemesh/test"
SIZE = 9
SIGNED = (4, 8)


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    folder = KeyFolder(tmp_path / "keys")
    folder.signing_keys(ORIGIN, 1)
    return folder


def leaves() -> list[bytes]:
    made = []
    for number in range(SIZE):
        stored = event_pb2.StoredEvent(stored_time_ns=number)
        stored.position.stream = event_pb2.EVENT_STREAM_LEDGER
        stored.position.sequence = number + 1
        made.append(stored.SerializeToString())
    return made


def notes_of(found: list[bytes], keys: KeyFolder) -> dict[int, str]:
    tree, notes = GrowingTree(), {}
    for leaf in found:
        tree.extend([leaf_hash(leaf)])
        if tree.size in SIGNED:
            checkpoint = Checkpoint(ORIGIN, tree.size, tree.root)
            notes[tree.size] = checkpoint.signed(keys.signing_keys(ORIGIN, 1))
    return notes


@pytest.fixture
def export(tmp_path: Path, keys: KeyFolder) -> Path:
    """A whole log."""
    file = tmp_path / "events.jsonl"
    notes = notes_of(leaves(), keys)
    with file.open("w") as opened:
        export_file.write_origin(opened, ORIGIN)
        for begin, end in ((0, 6), (6, SIZE)):
            part = audit_pb2.ExportResponse(first_leaf=begin, leaves=leaves()[begin:end])
            for size, note in notes.items():
                if begin < size <= end:
                    part.checkpoints.add(size=size, note=note)
            export_file.write_part(opened, part)
    return file


def difference(export: Path, keys: KeyFolder, *anchors: Checkpoint) -> str:
    return offline.verify(export_file.read(export), keys.verifier_keys(), anchors).difference


def test_an_unchanged_export_agrees(export: Path, keys: KeyFolder) -> None:
    result = offline.verify(export_file.read(export), keys.verifier_keys())
    assert result == offline.OfflineResult(SIZE, len(SIGNED), 0, SIGNED[-1])


def test_every_removed_or_swapped_line_is_found(export: Path, keys: KeyFolder) -> None:
    lines = export.read_text().splitlines(keepends=True)
    root = GrowingTree()
    root.extend([leaf_hash(leaf) for leaf in leaves()[:8]])
    anchor = Checkpoint(ORIGIN, 8, root.root)
    last_signed = next(
        place for place, line in enumerate(lines) if "leaf" not in line and place > 7
    )
    for place in range(1, last_signed):
        if "checkpoint" not in lines[place]:
            export.write_text("".join(lines[:place] + lines[place + 1 :]))
            assert difference(export, keys, anchor), place
        swapped = [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]
        export.write_text("".join(swapped))
        assert difference(export, keys, anchor), place
        export.write_text("".join(lines[: place + 1]))
        assert difference(export, keys, anchor) or place + 1 >= last_signed


def test_every_changed_byte_of_a_leaf_is_found(keys: KeyFolder) -> None:
    notes = notes_of(leaves(), keys)
    for index, leaf in enumerate(leaves()[:8]):
        for place in range(len(leaf)):
            found = leaves()
            found[index] = leaf[:place] + bytes([leaf[place] ^ 1]) + leaf[place + 1 :]
            parts: list[export_file.Leaf | export_file.Note] = []
            for size, one in enumerate(found, 1):
                parts.append(Leaf(one))
                if size in notes:
                    parts.append(export_file.Note(notes[size]))
            assert offline.verify(parts, keys.verifier_keys()).difference, (index, place)


def test_a_checkpoint_of_another_key_is_found(
    export: Path, keys: KeyFolder, tmp_path: Path
) -> None:
    stranger = KeyFolder(tmp_path / "stranger")
    stranger.signing_keys(ORIGIN, 1)
    assert "no known key" in difference(export, stranger)


def test_the_command_verifies_a_file(
    export: Path, keys: KeyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = str(keys.folder / PUBLIC_FILE)
    anchors = tmp_path / "note"
    anchors.write_text(notes_of(leaves(), keys)[8])
    command = ["audit", "verify", str(export), "--key", key, "--anchors", str(anchors)]
    assert cli.main(command) == 0
    assert capsys.readouterr().out == "9 events agree, 8 of the log are signed\n"
    lines = export.read_text().splitlines(keepends=True)
    export.write_text("".join(lines[:-3]))
    assert cli.main(command) == 1
    assert "8 leaves were signed, and 7 are there" in capsys.readouterr().out
    assert cli.main(["audit", "verify", str(export)]) == 2
    export.write_text("{}\n")
    assert cli.main(command) == 1
    assert "line 1 is not one of an export" in capsys.readouterr().err


def test_a_new_key_signs_with_the_former_one(
    keys: KeyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["audit", "rotate-key", str(keys.folder)]) == 0
    first, second = keys.verifier_keys()
    assert capsys.readouterr().out == f"{second}\n"
    assert [key.verifier for key in keys.signing_keys(ORIGIN, 1)] == [first, second]
    assert cli.main(["audit", "rotate-key", str(tmp_path / "none")]) == 1
    assert "has no keys of a log" in capsys.readouterr().err
