"""Studio is built once, and again when its sources change; a mesh never waits for it."""

import os
from pathlib import Path

import pytest

from ops.studio_build import StudioBuild

NPM = """#!/bin/sh
echo "$@" >> ../calls
flock --nonblock .build.lock true || echo locked >> ../locks
[ -e fails ] && exit 1
mkdir -p node_modules dist src/gen
echo made > src/gen/made.ts
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Studio, contracts, and an npm that only notes how it was called."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "npm").write_text(NPM)
    (programs / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (tmp_path / "proto").mkdir()
    (tmp_path / "proto" / "a.proto").write_text("a")
    studio = tmp_path / "studio"
    (studio / "src").mkdir(parents=True)
    (studio / "src" / "App.tsx").write_text("one")
    (studio / "package-lock.json").write_text("{}")
    return tmp_path


async def build(folder: Path) -> list[str]:
    said: list[str] = []
    studio = StudioBuild(folder / "studio", folder / "proto")
    await studio.build(folder / "studio.log", said.append)
    return said


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


async def test_the_second_time_there_is_nothing_to_do(folder: Path):
    assert (await build(folder))[-1] == "Studio is built"
    assert (folder / "locks").read_text().split() == ["locked", "locked"]
    before = calls(folder)
    (folder / "calls").unlink()
    assert before == ["ci", "run build"]
    StudioBuild(folder / "studio", folder / "proto")
    assert await build(folder) == []


@pytest.mark.parametrize("changed", ["studio/src/App.tsx", "proto/a.proto"])
async def test_it_is_built_again_when_a_source_changes(folder: Path, changed: str):
    await build(folder)
    (folder / "calls").unlink()
    await build(folder)
    (folder / changed).write_text("two")
    await build(folder)
    assert "run build" in calls(folder)


async def test_a_failed_build_says_where_to_look_and_is_tried_again(folder: Path):
    (folder / "studio" / "fails").touch()
    said = await build(folder)
    assert said[-1] == f"Studio could not be built, see {folder / 'studio.log'}"
    (folder / "studio" / "fails").unlink()
    assert (await build(folder))[-1] == "Studio is built"


async def test_its_checks_run_with_what_is_installed(folder: Path):
    await build(folder)
    said: list[str] = []
    studio = StudioBuild(folder / "studio", folder / "proto")
    assert await studio.check(folder / "studio.log", said.append)
    assert calls(folder) == ["ci", "run build", "run check"]
    (folder / "studio" / "fails").touch()
    assert not await studio.check(folder / "studio.log", said.append)
    assert said == []


async def test_without_npm_it_says_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert await build(folder) == ["Studio is not built: npm is missing, install Node.js 24"]
    said: list[str] = []
    assert await StudioBuild(folder / "studio").check(folder / "studio.log", said.append)
    assert said == ["Studio is not checked: npm is missing, install Node.js 24"]
