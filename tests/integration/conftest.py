"""Fixtures of the tests of the whole mesh."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.integration import capture, recorded
from tests.integration.capture import Capture
from tests.integration.mesh import Mesh
from tests.integration.web import StudioAddress, open_page, running_browser

FOLDER = "tests/integration"
LONGEST_FIRST = (
    *("test_replicas", "clients", "test_grpcurl", "replayed"),
    *("test_repair", "test_web_data", "simulated"),
)
"""The slowest tests, which start first, so that no worker runs one alone at the end."""


class ByMesh(LoadScopeScheduling):
    """A worker plays whole files, or a whole folder that shares a mesh."""

    def _split_scope(self, nodeid: str) -> str:
        return mesh_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByMesh:
    """The distribution of tests to parallel workers."""
    return ByMesh(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests, slowest first."""
    items.sort(key=lambda item: place(LONGEST_FIRST, mesh_of(item.nodeid)))


def mesh_of(nodeid: str) -> str:
    """The group of tests that share a mesh."""
    file = PurePosixPath(nodeid.partition("::")[0])
    return file.stem if str(file.parent) == FOLDER else file.parent.name


def place(names: Sequence[str], name: str) -> int:
    """The index of a name, or the number of names for other ones."""
    return names.index(name) if name in names else len(names)


@pytest.fixture(scope="session")
def short_capture(captures: Path) -> Path:
    """Half a minute of one instrument."""
    return captures / "binance" / "btcusdt_first30s" / "frames.jsonl"


@pytest.fixture(scope="session")
def long_capture(captures: Path) -> Path:
    """Six minutes of one instrument, 41 thousand frames."""
    return captures / "binance" / "btcusdt_20240808" / "frames.jsonl.gz"


@pytest.fixture(scope="session")
def truth(long_capture: Path) -> Capture:
    """The events of the long capture."""
    return capture.read(capture.lines(long_capture))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window."""
    with running_browser() as running:
        yield running


@pytest.fixture
def page(browser: Any, studio: StudioAddress) -> Iterator[Any]:
    """A browser page of Studio; each file chooses the page."""
    with open_page(browser, studio) as page:
        yield page


def wait_until_recorded(mesh: Mesh, truth: Capture) -> None:
    """Wait for the last event of each channel, and the bars of all trades."""
    mesh.wait_until(lambda: recorded.last_trade(mesh) == truth.trades[-1], "the last trade")
    mesh.wait_until(lambda: recorded.last_quote(mesh) == truth.quotes[-1], "the last quote")
    mesh.wait_until(
        lambda: recorded.last_book_update(mesh).update.last == truth.updates[-1].last,
        "the last book update",
    )
    mesh.wait_until(
        lambda: (
            sum(bar.trade_count for bar in recorded.bars(mesh, "1m").values()) == len(truth.trades)
        ),
        "the bars of all trades",
    )
