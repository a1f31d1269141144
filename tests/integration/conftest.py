"""What the tests of the whole mesh share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import capture, recorded
from tests.integration.capture import Capture
from tests.integration.mesh import Mesh, new_folder, replaying, running
from tests.integration.simulation import SIMULATE, TRADES_MIN, FirstRun, run_once


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
    """What is in the long capture."""
    return capture.read(capture.lines(long_capture))


@pytest.fixture(scope="package")
def replayed(long_capture: Path, truth: Capture) -> Iterator[Mesh]:
    """A mesh that has played the long capture as fast as it could, and recorded it."""
    with replaying(long_capture, "max") as mesh:
        mesh.wait_until(lambda: mesh.replay()["finished"], "the tape has been played")
        wait_until_recorded(mesh, truth)
        yield mesh


@pytest.fixture(scope="package")
def first_run() -> Iterator[FirstRun]:
    """A mesh in the world simulate, started and ended with Ctrl-C."""
    with new_folder() as data:
        yield run_once(data)


@pytest.fixture(scope="package")
def simulated(first_run: FirstRun) -> Iterator[Mesh]:
    """A second run on the same folder."""
    before = first_run.trades[-1].trade_id
    with running(first_run.data, *SIMULATE, path=os.environ["PATH"]) as mesh:
        mesh.wait_until_running()
        mesh.wait_until(
            lambda: recorded.trades(mesh)[-TRADES_MIN].trade_id > before, "new trades are recorded"
        )
        yield mesh


def wait_until_recorded(mesh: Mesh, truth: Capture) -> None:
    """Wait for the last event of each channel, and the bars of all trades."""
    mesh.wait_until(lambda: recorded.trades(mesh)[-1:] == truth.trades[-1:], "the last trade")
    mesh.wait_until(lambda: recorded.quotes(mesh)[-1:] == truth.quotes[-1:], "the last quote")
    mesh.wait_until(
        lambda: recorded.book_updates(mesh)[-1].update.last == truth.updates[-1].last,
        "the last book update",
    )
    mesh.wait_until(
        lambda: (
            sum(bar.trade_count for bar in recorded.bars(mesh, "1m").values()) == len(truth.trades)
        ),
        "the bars of all trades",
    )
