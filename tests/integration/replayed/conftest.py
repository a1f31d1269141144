"""The mesh of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.capture import Capture
from tests.integration.conftest import wait_until_recorded
from tests.integration.mesh import NO_TRADING, Mesh, replaying


@pytest.fixture(scope="package")
def replayed(long_capture: Path, truth: Capture) -> Iterator[Mesh]:
    """A mesh that has played the long capture as fast as it could, and recorded it."""
    with replaying(long_capture, "max", *NO_TRADING) as mesh:
        mesh.wait_until(lambda: mesh.replay()["finished"], "the capture has been played")
        wait_until_recorded(mesh, truth)
        yield mesh
