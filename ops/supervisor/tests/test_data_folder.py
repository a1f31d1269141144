"""The data folder and what is kept in it."""

import stat
from pathlib import Path

import pytest

from ops.errors import OperationsError
from ops.supervisor import data_folder, state
from ops.supervisor.logs import LOG_BYTES_MAX, ServiceLog
from ops.supervisor.state import ChildState, MeshState

MESH = MeshState(
    supervisor_pid=1,
    started=2.5,
    world="replay",
    gateway="http://127.0.0.1:9400",
    registry="127.0.0.1:9401",
    ports={"gateway": 9400},
    children=[ChildState(service="bars", state="running", detail="", since=3.0, restarts=0, pid=7)],
)


def test_one_mesh_at_a_time(tmp_path: Path):
    assert not data_folder.in_use(tmp_path)
    with data_folder.locked(tmp_path):
        assert data_folder.in_use(tmp_path)
        with pytest.raises(OperationsError, match="a mesh runs on"), data_folder.locked(tmp_path):
            pytest.fail("two meshes on one folder")
    assert not data_folder.in_use(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OperationsError, match="cannot be written to"),
        data_folder.locked(tmp_path / "file" / "data"),
    ):
        pytest.fail("a folder in a file")


def test_state_is_read_as_it_was_written(tmp_path: Path):
    assert state.read(tmp_path) is None
    state.write(tmp_path, MESH)
    assert state.read(tmp_path) == MESH
    state.remove(tmp_path)
    assert state.read(tmp_path) is None


def test_a_damaged_state_is_none(tmp_path: Path):
    (tmp_path / state.STATE_FILE).write_text('{"supervisor_pid": "?"')
    assert state.read(tmp_path) is None


def test_a_large_log_is_set_aside_at_a_start(tmp_path: Path):
    log = ServiceLog(tmp_path, "bars")
    with log.open() as file:
        file.truncate(LOG_BYTES_MAX + 1)
    with log.open() as file:
        file.write(b"new\n")
    assert log.path.read_bytes() == b"new\n"
    assert (tmp_path / "bars.log.1").stat().st_size == LOG_BYTES_MAX + 1


def test_a_large_log_is_set_aside_while_it_is_written(tmp_path: Path):
    log = ServiceLog(tmp_path, "envoy")
    with log.open() as file:
        file.write(b"old\n")
        file.flush()
        log.bound()
        assert log.path.read_bytes() == b"old\n"
        file.truncate(LOG_BYTES_MAX + 1)
        log.bound()
        file.write(b"new\n")
    assert log.path.read_bytes() == b"new\n"
    former = tmp_path / "envoy.log.1"
    assert former.stat().st_size == LOG_BYTES_MAX + 1
    with former.open("rb") as file:
        assert file.readline() == b"old\n"


def test_the_last_line_is_found_by_its_start(tmp_path: Path):
    log = ServiceLog(tmp_path, "bars")
    assert log.last_line() == ""
    log.path.write_text("venuemesh: first\nvenuemesh: second\nTraceback\n\n")
    assert log.last_line("venuemesh: ") == "venuemesh: second"
    assert log.last_line() == "Traceback"


def test_nobody_else_reads_what_is_in_it(tmp_path: Path):
    folder = tmp_path / "data"
    logs = folder / data_folder.LOG_FOLDER
    logs.mkdir(parents=True)
    for earlier in (folder, logs):
        earlier.chmod(0o755)
    with data_folder.locked(folder):
        assert [stat.S_IMODE(one.stat().st_mode) for one in (folder, logs)] == [0o700, 0o700]
