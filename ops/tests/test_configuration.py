"""``./venuemesh config``: what is wrong with settings, and an example of them."""

import json
import re
from pathlib import Path

import pytest

from kit.base import settings
from ops import cli
from ops.configuration import EXAMPLE_VENUE, VENUE, example, sections

COMMENTED_OUT = re.compile(r"^#(\w+ = )", re.MULTILINE)


def check(file: Path, text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What is allowed for each key that is wrong."""
    file.write_text(text)
    code = cli.main(["config", "check", str(file), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (code == 1) == bool(found["problems"])
    return {problem["key"]: problem["allowed"] for problem in found["problems"]}


def test_every_problem_of_a_file_is_found_at_once(tmp_path, capsys):
    text = """
        [mesh]
        wrld = "live"
        log_level = 3
        [recoder]
        port = 1
        [venues.krakn]
        port = 1
        [venues.okx]
        refill_s = 99
        [history]
        readers_max = 0
        """
    found = check(tmp_path / "a.toml", text, capsys)
    assert found.keys() == {
        *("mesh.wrld", "mesh.log_level", "recoder", "venues.krakn"),
        *("venues.okx.refill_s", "history.readers_max"),
    }
    assert found["mesh.wrld"].endswith("did you mean 'world'?")
    assert found["recoder"].endswith("did you mean 'recorder'?")
    assert found["venues.krakn"].endswith("did you mean 'kraken'?")
    assert found["venues.okx.refill_s"] == "0 to 60.0"


def test_settings_that_go_together_are_compared(tmp_path, capsys):
    text = '[mesh]\nworld = "live"\n[access]\nrequired = {}\n'
    found = check(tmp_path / "a.toml", text.format("false"), capsys)
    assert found.keys() == {"access.required"}
    assert check(tmp_path / "a.toml", text.format("true"), capsys) == {}


def test_the_environment_is_checked_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VENUEMESH_VENUES_OKX_REFILL_S", "soon")
    assert check(tmp_path / "a.toml", "", capsys).keys() == {"venues.okx.refill_s"}


def test_a_text_that_is_not_toml_is_one_line(tmp_path, capsys):
    (tmp_path / "a.toml").write_text("[mesh\n")
    assert cli.main(["config", "check", str(tmp_path / "a.toml")]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "not TOML" in line
    assert cli.main(["config", "check", str(tmp_path / "none.toml")]) == 1
    assert "no file" in capsys.readouterr().err


def test_the_example_has_the_defaults(tmp_path, capsys):
    file = tmp_path / "example.toml"
    text = COMMENTED_OUT.sub(r"\1", example())
    assert check(file, text, capsys) == {}
    content = settings.read_file(file)
    for name, kind in sections().items():
        section = f"venues.{EXAMPLE_VENUE}" if name == VENUE else name
        assert settings.load(kind, section, {}, file) == kind(), section
        part = content["venues"][EXAMPLE_VENUE] if name == VENUE else content[name]
        assert list(part) == list(kind.__struct_fields__)


def test_every_setting_of_the_example_says_what_it_is():
    lines = example().splitlines()
    for place, line in enumerate(lines):
        if COMMENTED_OUT.match(line):
            assert lines[place - 1].startswith("# "), line
