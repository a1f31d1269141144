"""What the command line says when it is used wrongly: one line, an exit code, nothing started."""

import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ops import cli
from ops.project import ROOT

COMMAND_FILES = [
    file for file in (ROOT / "ops" / "commands").glob("*.py") if file.stem != "__init__"
]
REPLAY = ["up", "--world", "replay", "--replay"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and the only line."""
    code = cli.main(arguments)
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
    with socket.create_server(("127.0.0.1", 9469)):
        arguments = ["up", "--data", str(tmp_path), "--base-port", "9460"]
        code, line = refused(arguments, capsys)
    assert code == 1
    assert "port 9469 (bridge) is in use" in line
    assert list((tmp_path / "logs").iterdir()) == []


def test_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setenv("VENUEMESH_REGISTRY", "127.0.0.1:9499")
    assert cli.main(["status", "--data", str(tmp_path)]) == 1
    assert "nothing runs" in capsys.readouterr().out
    assert cli.main(["status", "--json", "--data", str(tmp_path)]) == 1
    assert json.loads(capsys.readouterr().out)["running"] is False


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    for command in ("up", "test", "check", "bench", "status", "venue", "run"):
        assert f"\n  {command} " in shown


def test_the_readme_lists_every_command_and_no_line_twice():
    table = (ROOT / "README.md").read_text().split("## Commands\n")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")][1:]
    uses = [use.strip() for row in rows for use in row.split("`")[1::2]]
    assert len(uses) == len(set(uses))
    assert {use.split()[0] for use in uses} == {*cli.COMMANDS}


def test_tests_pass_their_exit_code_on():
    command = [sys.executable, "-m", "ops.cli", "test", "--collect-only", "ops/no_such_file.py"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 4


@pytest.mark.parametrize("name", ["bench", "soak"])
def test_kill_ends_what_starts_meshes_as_ctrl_c_does(name: str, monkeypatch):
    ended = []

    class Command:
        def add_arguments(self, parser) -> None:
            parser.add_argument("arguments", nargs="*")

        def run(self, chosen) -> int:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                ended.append(chosen.arguments)
            return 0

    monkeypatch.setattr(cli, "load", lambda _name: Command())
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert cli.main([name, "lifecycle"]) == cli.EXIT_INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == [["lifecycle"]]


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["statu"], "did you mean 'status'?"),
        (["up", "--wrld", "live"], "did you mean '--world'?"),
        (["up", "--world", "lve"], "did you mean 'live'?"),
        (["up", "--venues", "krakn"], "did you mean 'kraken'?"),
        (["venue", "krakn"], "did you mean 'kraken'?"),
        (["run", "recoder"], "did you mean 'recorder'?"),
        (["conform", "binanc"], "did you mean 'binance'?"),
        (["endure", "okxx"], "did you mean 'okx'?"),
        (["order", "plac"], "did you mean 'place'?"),
        (["order", "list", "binance", "--symbl", "X"], "did you mean '--symbol'?"),
        (["bench", "patth"], "did you mean 'path'?"),
    ],
)
def test_a_similar_name_is_suggested(
    arguments: list[str], suggestion: str, capsys: pytest.CaptureFixture[str]
):
    _, line = refused(arguments, capsys)
    assert suggestion in line


def error_object(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The error as JSON; its exit code is that of the command."""
    code = cli.main(arguments)
    captured = capsys.readouterr()
    assert captured.out == ""
    found = json.loads(captured.err)["error"]
    assert found["exit_code"] == code
    return found


def test_errors_are_json_objects_where_json_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    found = error_object(["up", "--wrld", "--json"], capsys)
    assert (found["reason"], found["exit_code"]) == ("WRONG_USE", 2)
    found = error_object(["run", "nope", "--json"], capsys)
    assert (found["reason"], found["exit_code"]) == ("FAILED", 1)
    found = error_object(["conform", "nope", "--json"], capsys)
    assert found["reason"] == "UNKNOWN_VENUE"
    monkeypatch.setenv("VENUEMESH_WORLD", "mars")
    found = error_object(["up", "--json"], capsys)
    assert (found["reason"], found["exit_code"]) == ("WRONG_SETTING", 2)
    assert (found["key"], found["value"]) == ("mesh.world", "mars")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_commands_are_alike(name: str, capsys: pytest.CaptureFixture[str]):
    module = cli.load(name)
    assert list(inspect.signature(module.add_arguments).parameters) == ["parser"]
    assert list(inspect.signature(module.run).parameters) == ["chosen"]
    if name not in cli.PASSED_ON:
        with pytest.raises(SystemExit) as ended:
            cli.main([name, "--help"])
        shown = capsys.readouterr().out
        assert (ended.value.code, "--json" in shown) == (0, True)


@pytest.mark.parametrize("words", [["--json", "list", "binance"], ["list", "binance", "--json"]])
def test_json_may_stand_before_or_after_the_verb(words: list[str]):
    assert cli.parsed("order", words).json
    assert not cli.parsed("order", [word for word in words if word != "--json"]).json


def test_every_file_of_a_command_is_a_command():
    files = {file.stem.rstrip("_").replace("_", "-") for file in COMMAND_FILES}
    assert files == {*cli.COMMANDS}


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"venuemesh {project['version']}\n"
    assert cli.main(["--version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": project["version"]}
