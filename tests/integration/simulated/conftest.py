"""The mesh of this folder."""

import os
from collections.abc import Iterator

import pytest

from tests.integration import recorded
from tests.integration.mesh import Mesh, new_folder, running
from tests.integration.simulation import SIMULATE, TRADES_MIN, FirstRun, run_once


@pytest.fixture(scope="package")
def first_run() -> Iterator[FirstRun]:
    """A mesh in the world simulate, started and ended with Ctrl-C."""
    with new_folder() as data:
        yield run_once(data)


@pytest.fixture(scope="package")
def simulated(first_run: FirstRun) -> Iterator[Mesh]:
    """A second run on the same folder."""
    before = first_run.trades[-1].trade_id
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VENUEMESH_MCP_TRADING_TOOLS", "true")
        yield from _again(first_run, before)


def _again(first_run: FirstRun, before: int) -> Iterator[Mesh]:
    with running(first_run.data, *SIMULATE, path=os.environ["PATH"]) as mesh:
        mesh.wait_until_running()
        mesh.wait_until(
            lambda: recorded.trades_after(mesh, before) >= TRADES_MIN, "new trades are recorded"
        )
        yield mesh
