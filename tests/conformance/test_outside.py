"""A connector that is not in this repository: an installed package, found by its entry point."""

import sys
import tomllib
from pathlib import Path

import pytest

from kit.connector.contract.discovery import ENTRY_POINT_GROUP
from ops.project import ROOT
from tests.conformance.playing import outcomes, run

pytestmark = pytest.mark.integration

NAME = "faraway"
SOME_CARDS = ("LST-1", "TRD-1", "QTE-1", "BOK-1", "BOK-3")
"""That it passes all of them is shown where a new venue is made, from the same template."""


@pytest.fixture
async def package(tmp_path: Path) -> Path:
    """A package in a folder of its own, from which nothing of the project can be reached."""
    folder = tmp_path / "package"
    command = ("-m", "ops.cli", "new-venue", NAME, "--outside", str(folder))
    code, printed = await run(*command, within=tmp_path, paths=(ROOT, ROOT / "gen"))
    assert code == 0, printed
    return folder


def install(package: Path, site: Path) -> None:
    """As pip does it, without the network: what the package says of itself, beside its code."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    information = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir(parents=True)
    metadata = {"Metadata-Version": "2.1", "Name": project["name"], "Version": project["version"]}
    lines = [f"{key}: {value}\n" for key, value in metadata.items()]
    (information / "METADATA").write_text("".join(lines))
    points = project["entry-points"][ENTRY_POINT_GROUP]
    lines = [f"{name} = {module}\n" for name, module in points.items()]
    (information / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{''.join(lines)}")
    (package / NAME).rename(site / NAME)


async def test_an_installed_connector_is_found_and_passes_cards(
    package: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    paths = (ROOT, ROOT / "gen", site)
    cards = [word for card in SOME_CARDS for word in ("--card", card)]
    command = ("-m", "ops.cli", "conform", NAME, "--json", *cards)
    code, printed = await run(*command, within=tmp_path, paths=paths)
    assert (code, f"no venue '{NAME}'" in printed) == (1, True), printed
    install(package, site)
    code, printed = await run(*command, within=tmp_path, paths=paths)
    assert code == 0, printed
    assert outcomes(printed) == dict.fromkeys(SOME_CARDS, "passed")


async def test_it_knows_the_kit_only(package: Path) -> None:
    allowed = {NAME, "kit", "venuemesh", "aiohttp", "msgspec", "numpy", "pytest"}
    allowed |= set(sys.stdlib_module_names)
    lines = [line for file in package.rglob("*.py") for line in file.read_text().splitlines()]
    words = [line.split() for line in lines if line.startswith(("from ", "import "))]
    assert {word[1].partition(".")[0] for word in words} <= allowed
