"""All venues at once, from their simulated exchanges to the database and to live readers."""

from collections.abc import Iterator
from typing import Any

import pytest

from kit.connector.contract import discovery
from tests.integration.mesh import NO_TRADING, Mesh, new_folder, running

pytestmark = pytest.mark.integration

TRADES_MIN = 5


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with (
        new_folder() as data,
        running(data, "--world", "simulate", "--seed", "7", *NO_TRADING) as mesh,
    ):
        yield mesh


def counts(mesh: Mesh) -> dict[str, int]:
    """Recorded trades by venue."""
    return dict(mesh.sql("SELECT venue, count(*) FROM trades GROUP BY venue"))


def test_trades_of_every_venue_are_recorded(mesh: Mesh) -> None:
    venues = set(discovery.venues())
    mesh.wait_until(
        lambda: {name for name, count in counts(mesh).items() if count >= TRADES_MIN} == venues,
        "trades of every venue",
    )
    assert set(counts(mesh)) == venues


@pytest.mark.parametrize("venue", sorted(discovery.venues()))
def test_books_become_proven(mesh: Mesh, venue: str) -> None:
    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = mesh.get(f"/v1/venues/{venue}/instruments")[1]["instruments"]
        return found

    # The gateway may open after the first trades are recorded.
    mesh.wait_until(listed, f"instruments of {venue}")

    def states() -> set[str]:
        symbols = [each["symbol"].replace("/", "%2F") for each in listed()]
        paths = [f"/v1/venues/{venue}/instruments/{symbol}/book" for symbol in symbols]
        return {mesh.get(path)[1]["state"] for path in paths}

    mesh.wait_until(lambda: states() == {"BOOK_STATE_PROVEN"}, f"books of {venue}")
    assert states() == {"BOOK_STATE_PROVEN"}
