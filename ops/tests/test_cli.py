"""What the command line says when it is used wrongly: one line, an exit code, nothing started."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ops import cli
from ops.project import ROOT

REPLAY = ["up", "--world", "replay", "--replay"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and the only line."""
    try:
        code = cli.main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("venuemesh: ")
    return code, lines[0]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["upp"], 2, "no command 'upp'"),
        (["up", "--wrld"], 2, "unrecognized arguments: --wrld"),
        (["up", "--world", "mars"], 2, "invalid choice: 'mars'"),
        (["up", "--venues", "nope"], 1, "no venue 'nope'; there are"),
        (["up", "--speed", "fast"], 1, "--speed fast"),
        (["up", "--base-port", "99999"], 1, "--base-port 99999"),
        ([*REPLAY, "binance"], 1, "write it as VENUE=FILE"),
        ([*REPLAY, "binance=/nowhere/frames.jsonl"], 1, "/nowhere/frames.jsonl is not there"),
        (["up", "--data", "/proc/nowhere"], 1, "/proc/nowhere cannot be written to"),
        (["run", "nope"], 1, "no service 'nope'; known are"),
        (["venue", "nope"], 2, "nope"),
    ],
)
def test_wrong_use_is_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
):
    got, line = refused(arguments, capsys)
    assert words in line
    assert got == code


def test_a_wrong_setting_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VENUEMESH_WORLD", "mars")
    code, line = refused(["up"], capsys)
    assert (code, "allowed are simulate, replay, live" in line) == (2, True)


def test_a_port_in_use_stops_up_before_it_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with socket.create_server(("127.0.0.1", 9470)):
        arguments = ["up", "--data", str(tmp_path), "--base-port", "9460"]
        code, line = refused(arguments, capsys)
    assert code == 1
    assert "port 9470 (bridge) is in use" in line
    assert list((tmp_path / "logs").iterdir()) == []


def test_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setenv("VENUEMESH_REGISTRY", "127.0.0.1:9499")
    assert cli.main(["status", "--data", str(tmp_path)]) == 1
    assert "nothing runs" in capsys.readouterr().out
    assert cli.main(["status", "--json", "--data", str(tmp_path)]) == 1
    assert '"running": false' in capsys.readouterr().out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    for command in ("up", "test", "check", "bench", "status", "venue", "run"):
        assert f"\n  {command} " in shown


def test_tests_pass_their_exit_code_on():
    command = [sys.executable, "-m", "ops.cli", "test", "--collect-only", "ops/no_such_file.py"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 4
