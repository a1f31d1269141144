"""``./venuemesh conform`` over venues of which one is broken."""

from pathlib import Path

import msgspec
import pytest

from kit.conformance.runner import VenueCardResults
from kit.connector.contract import discovery
from ops import cli
from ops.commands import conform

BROKEN = "brokenvenue"


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The venues whose cards were played, beside a folder that cannot be imported."""
    folder = tmp_path / BROKEN
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "catalog.py").write_text("from nowhere import feed\n")
    played: list[str] = []

    async def play(venue_id: str, *arguments: object, **options: object) -> VenueCardResults:
        played.append(venue_id)
        return VenueCardResults(venue_id, [])

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(discovery, "packages", lambda: [BROKEN, "venues.kraken"])
    monkeypatch.setattr(conform, "play", play)
    return played


def test_a_broken_venue_fails_with_its_reason_and_the_others_are_played(
    played: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["conform", "--card", "LST-1"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{BROKEN}: failed, {BROKEN} cannot be imported: ModuleNotFoundError")
    assert "catalog.py, line 1" in first
    assert second.startswith("kraken: ")
    assert played == ["kraken"]


def test_a_broken_venue_harms_no_other_that_is_named(played: list[str]) -> None:
    assert cli.main(["conform", "kraken", "--card", "LST-1"]) == 0
    assert played == ["kraken"]


def test_a_broken_venue_is_a_json_object_with_its_error(
    played: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["conform", BROKEN, "--json", "--card", "LST-1"]) == 1
    found = msgspec.json.decode(capsys.readouterr().out)
    assert (found["venue"], found["cards"]) == (BROKEN, [])
    assert "cannot be imported" in found["error"]
    assert played == []
