"""The files by which processes show who they are."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kit.base.access.authority import PUBLIC_FILE
from kit.base.access.certificates import AUTHORITY_FILE, Validity
from kit.base.access.roles import Role
from kit.base.access.tokens import MeshNames, TokenVerifier
from kit.base.access.trust import from_file
from kit.base.clock import SystemClock
from kit.base.settings import MeshSettings
from ops.process_files import (
    CERTIFICATE_FILE,
    EXIT_USAGE,
    TOKEN_FILE,
    kinds,
    main,
    write_all,
)
from ops.project import ROOT

WAIT_SECONDS_MAX = 60


@pytest.fixture
def mesh(tmp_path: Path) -> MeshSettings:
    return MeshSettings(data_dir=str(tmp_path / "data"), mesh_id="m1")


def test_each_process_is_itself_and_no_other(mesh: MeshSettings, tmp_path: Path) -> None:
    write_all(tmp_path, mesh)
    for service_id, kind in kinds().items():
        verifier = TokenVerifier(MeshNames("m1"), SystemClock())
        verifier.trust(from_file(tmp_path / service_id / PUBLIC_FILE))
        caller = verifier.verify((tmp_path / service_id / TOKEN_FILE).read_text())
        assert (caller.name, caller.kind) == (service_id, kind)
        assert Role.PROCESS in caller.roles


def test_private_keys_are_not_shown(mesh: MeshSettings, tmp_path: Path) -> None:
    write_all(tmp_path / "tokens", mesh)
    files = {file.name for file in (tmp_path / "tokens").rglob("*") if file.is_file()}
    assert files == {TOKEN_FILE, PUBLIC_FILE, CERTIFICATE_FILE, AUTHORITY_FILE}


def test_a_certificate_is_the_process_s_own_and_its_key_nobody_else_s(
    mesh: MeshSettings, tmp_path: Path
) -> None:
    write_all(tmp_path, mesh)
    file = tmp_path / "registry" / CERTIFICATE_FILE
    assert Validity.of(file.read_bytes()).service_id == "registry"
    assert file.stat().st_mode & 0o777 == 0o600
    first = file.read_bytes()
    write_all(tmp_path, mesh)
    assert file.read_bytes() == first


def test_a_token_is_replaced_by_a_later_one(mesh: MeshSettings, tmp_path: Path) -> None:
    file = tmp_path / "registry" / TOKEN_FILE
    write_all(tmp_path, mesh)
    first = file.read_text()
    write_all(tmp_path, mesh)
    assert file.read_text() != first


def test_without_a_folder_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == EXIT_USAGE
    assert "folder" in capsys.readouterr().err


def test_it_ends_when_it_is_told_to(mesh: MeshSettings, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.process_files", str(tmp_path / "tokens")],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
            "VENUEMESH_DATA_DIR": mesh.data_dir,
        },
        cwd=tmp_path,
    )
    try:
        last = tmp_path / "tokens" / [*kinds()][-1] / TOKEN_FILE
        while not last.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_SECONDS_MAX) == 0
    finally:
        process.kill()
        process.wait()
