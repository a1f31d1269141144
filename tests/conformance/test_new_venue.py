"""What ``./venuemesh new-venue`` makes is right from the first moment: a copy of the project gets
one, which passes the cards, its own tests, ruff, mypy and the style."""

import asyncio
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from ops.project import ROOT
from tests.conformance.playing import outcomes, run
from tests.tidy.project import Finding, read_project
from tests.tidy.test_project import PROJECT_RULES, RULES

pytestmark = pytest.mark.integration

NAME = "a_new_exchange_far_away"
WITHOUT_CHANNEL = {"TCK-1", "MRK-1", "CND-1"}
"""Cards about channels that the made-up exchange does not have."""
UNPROVEN = {"BOK-3", "BOK-4"}
FEED = {"BOK-10"}
"""Cards about books that come over REST."""
WITHOUT_NUMBERS = {"TRD-3", "TRD-6"}
WITHOUT_QUOTES = {"QTE-1", "QTE-2"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What the command and the checks need of the project, without any venue."""
    for part in ("kit", "ops"):
        copytree(ROOT / part, tmp_path / part, ignore=ignore_patterns("__pycache__"))
    (tmp_path / "venues").mkdir()
    for name in ("pyproject.toml", ".gitignore", "venues/__init__.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "gen").symlink_to(ROOT / "gen")
    known = ROOT / ".mypy_cache"
    if known.is_dir():
        # What mypy has seen of the kit is the same here: it looks at the new folder only.
        copytree(known, tmp_path / known.name)
    return tmp_path


def untidy(project: Path) -> list[Finding]:
    """What the style has against the new folder."""
    # The contracts document what a venue's methods are for.
    contracts = ("kit/connector/contract/venue.py", "kit/simulator/dialect.py")
    files = [file for file in read_project(project) if file.matches(["venues/*", *contracts])]
    found = [finding for rule in RULES for file in files for finding in rule(file)]
    return found + [finding for rule in PROJECT_RULES for finding in rule(files)]


@pytest.mark.parametrize(
    ("options", "skipped"),
    [
        ("", FEED),
        (
            "--book rest --rule time --trade-ids text --no-quotes",
            UNPROVEN | WITHOUT_NUMBERS | WITHOUT_QUOTES,
        ),
        ("--rule counting --trade-ids none", FEED | WITHOUT_NUMBERS),
    ],
    ids=["default", "rest by time", "counting"],
)
async def test_a_new_venue_passes_its_cards_and_checks(
    project: Path, options: str, skipped: set[str]
) -> None:
    async def python(*arguments: str) -> tuple[int, str]:
        return await run("-m", *arguments, within=project, paths=(project, project / "gen"))

    code, printed = await python("ops.cli", "new-venue", NAME, *options.split())
    assert code == 0, printed
    assert "VENUEMESH_HEALTH_ADDRESS: a-new-exchange-far-away:" in printed
    folder = f"venues/{NAME}"
    assert (project / folder / "catalog.py").is_file()
    conform, *checks = await asyncio.gather(
        python("ops.cli", "conform", NAME, "--json"),
        python("ruff", "check", folder),
        python("ruff", "format", "--check", folder),
        python("mypy", "--no-error-summary", folder),
        python("pytest", "-p", "no:cacheprovider", folder),
    )
    assert [printed for code, printed in checks if code] == []
    assert untidy(project) == []
    assert conform[0] == 0, conform[1]
    outcome_of = outcomes(conform[1])
    assert {
        card for card, outcome in outcome_of.items() if outcome != "passed"
    } == WITHOUT_CHANNEL | skipped
    assert {outcome_of[card] for card in WITHOUT_CHANNEL | skipped} == {"skipped"}
    again, refusal = await python("ops.cli", "new-venue", NAME)
    assert (again, refusal) == (1, f"venuemesh: '{NAME}' is taken: choose another name\n")


async def test_a_rule_that_cannot_join_rest_snapshots_is_rejected(tmp_path: Path) -> None:
    command = ("-m", "ops.cli", "new-venue", NAME, "--outside", str(tmp_path / "package"))
    options = ("--book", "rest", "--rule", "none")
    code, printed = await run(*command, *options, within=tmp_path, paths=(ROOT, ROOT / "gen"))
    assert code == 1
    assert "allowed with --book rest are overlap, time" in printed
    assert not (tmp_path / "package").exists()
