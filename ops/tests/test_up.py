"""The whole mesh as its own processes, started and ended the way a user does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ops import ports
from ops.errors import OperationsError
from ops.project import ROOT
from ops.supervisor import data_folder, state
from ops.supervisor.tests.helpers import wait_for_end

SERVICES = {
    *("advisor", "audit", "bars", "binance", "bridge", "detector"),
    *("envoy", "history", "ingest", "inspector"),
    *("ledger", "mcp", "notifier", "postgres", "push", "recorder", "registry", "repair"),
    *("simulator", "valkey"),
}
BASE_PORTS = range(9420, 9500, 40)
STOP_SECONDS_MAX = 60


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that the user PostgreSQL runs as may enter."""
    with TemporaryDirectory(prefix="venuemesh-test-") as name:
        yield Path(name)


@pytest.fixture
def base_port() -> int:
    """The first of a row of free ports."""
    for number in BASE_PORTS:
        assigned = ports.assign({"binance": 5060}, number)
        try:
            ports.require_free({**assigned, **ports.metrics(assigned)})
        except OperationsError:
            continue
        return number
    pytest.skip(f"no row of free ports from {BASE_PORTS.start} on")


@contextmanager
def up(data: Path, base_port: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``./venuemesh up``, with nothing to build Studio with."""
    command = [sys.executable, "-m", "ops.cli", "up", "--data", str(data)]
    process = subprocess.Popen(
        [*command, "--base-port", str(base_port), "--venues", "binance", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "PATH": "/nowhere"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until_running(process: subprocess.Popen[str]) -> None:
    """Read what it says until it has named every service as running."""
    missing = set(SERVICES)
    for line in process.stdout:
        words = line.split()
        if words[-1] == "running":
            missing.discard(words[-2])
        if not missing:
            return
    pytest.fail(f"it ended before these ran: {missing}")


def pids(data: Path) -> list[int]:
    """Of all that the supervisor has started."""
    return [child.pid for child in state.read(data).children if child.pid is not None]


def test_ctrl_c_ends_everything_in_order(data: Path, base_port: int):
    with up(data, base_port) as process:
        read_until_running(process)
        started = pids(data)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=STOP_SECONDS_MAX)[0]
    assert process.returncode == 0
    assert "killed" not in rest
    stopped = [line.split()[1] for line in rest.splitlines() if line.endswith(" stopped")]
    assert set(stopped) == SERVICES
    assert stopped.index("binance") < stopped.index("ingest") < stopped.index("recorder")
    assert all(wait_for_end(pid) for pid in started)
    assert state.read(data) is None
    assert not data_folder.in_use(data)


def test_after_kill_9_nothing_is_left_and_it_starts_again(data: Path, base_port: int):
    with up(data, base_port) as process:
        read_until_running(process)
        started = pids(data)
        process.kill()
        assert all(wait_for_end(pid) for pid in started)
    with up(data, base_port, "--for", "1") as process:
        process.communicate(timeout=STOP_SECONDS_MAX)
        assert process.returncode == 0
