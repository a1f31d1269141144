"""Raw frames, recorded and written as a capture again: word for word what was played."""

import gzip
import os

import pytest

from ops import cli
from ops.commands import frames
from tests.integration import capture, recorded
from tests.integration.mesh import NO_TRADING, VENUE, replaying

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SWITCH = "VENUEMESH_VENUES_BINANCE_RAW_FRAMES"


@pytest.fixture
def switched_on():
    """The venue of a mesh that is started meanwhile passes its frames on."""
    os.environ[SWITCH] = "true"
    yield
    del os.environ[SWITCH]


def test_the_recorded_frames_equal_the_played_ones(switched_on, short_capture, tmp_path):
    played = [line for line in capture.lines(short_capture) if b"lastUpdateId" not in line[:20]]
    with replaying(short_capture, "max", *NO_TRADING) as mesh:
        mesh.wait_until(lambda: mesh.replay()["finished"], "the capture has been played")
        count = "SELECT coalesce(sum(frame_count), 0) FROM frame_rows"
        mesh.wait_until(lambda: mesh.sql(count)[0][0] >= len(played), "all frames are recorded")
        url = mesh.database_url()
        assert cli.main(["frames", VENUE, str(tmp_path), "--database", url]) == 0
        assert recorded.gaps(mesh) == []
    capture_file = gzip.decompress((tmp_path / frames.FRAMES).read_bytes()).splitlines()
    assert [line for line in capture_file if b'"stream"' in line[:20]] == played
    times = gzip.decompress((tmp_path / frames.TIMES).read_bytes()).split()
    assert len(times) == len(capture_file)
    assert sorted(map(int, times)) == list(map(int, times))
