"""The environment of a process."""

import asyncio
import gc
import os
import socket
import subprocess
import sys

import pytest

from conftest import free_port
from kit.base import runtime, telemetry
from kit.base.errors import SettingError
from kit.base.runtime import EXIT_WRONG_SETTING, ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from tests.support.waiting import WAIT_SECONDS_MAX, until


@pytest.fixture
def settling(monkeypatch):
    monkeypatch.setattr(runtime, "FREEZE_SECONDS", 0.01)
    yield
    gc.unfreeze()


async def test_what_the_start_has_made_is_not_looked_at_again(settling):
    running = asyncio.create_task(runtime.freeze_objects())
    await asyncio.sleep(0)
    at_start = gc.get_freeze_count()
    later: list[list[int]] = [[] for _ in range(1_000)]
    await running
    assert at_start > 0
    assert gc.get_freeze_count() >= at_start + len(later)
    assert not any(one is later for one in gc.get_objects())


class StuckServer:
    """A gRPC server whose stop never returns."""

    def __init__(self, server) -> None:
        self._server = server

    def __getattr__(self, name: str):
        return getattr(self._server, name)

    async def stop(self, grace: float) -> None:
        await asyncio.Event().wait()


async def test_a_server_that_does_not_stop_does_not_keep_the_process(monkeypatch):
    monkeypatch.setattr(runtime, "DRAIN_SECONDS_MAX", 0.05)
    port = next(port for port in iter(free_port, None) if port < 50_000)
    mesh = MeshSettings(registry="127.0.0.1:1")
    process = Runtime(ProcessIdentity("stuck", "stuck", "stuck", port), mesh)
    server = process._server
    monkeypatch.setattr(process, "_server", StuckServer(server))
    ended: list[str] = []

    async def finish() -> None:
        ended.append("finished")

    process.at_end(finish)
    process.stop()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await process.run()
    assert ended == ["finished"]
    await server.stop(None)


def answers(address: str, port: int) -> bool:
    """Whether something listens at one of the addresses of the loopback."""
    try:
        with socket.create_connection((address, port), timeout=WAIT_SECONDS_MAX):
            return True
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize(("metrics_host", "is_open"), [("", False), ("0.0.0.0", True)])
async def test_metrics_leave_the_loopback_only_on_purpose(metrics_host, is_open, monkeypatch):
    if metrics_host:
        monkeypatch.setenv("VENUEMESH_TELEMETRY_METRICS_HOST", metrics_host)
    port = next(port for port in iter(free_port, None) if port < 50_000)
    metrics_port = port + runtime.METRICS_PORT_OFFSET
    mesh = MeshSettings(registry="127.0.0.1:1", host="0.0.0.0", advertise_host="bars")
    process = Runtime(ProcessIdentity("bars", "bars", "bars", port), mesh)
    running = asyncio.create_task(process.run())
    await until(lambda: answers("127.0.0.1", metrics_port))
    await until(lambda: answers("127.0.0.2", port))
    assert answers("127.0.0.2", metrics_port) == is_open
    host = "bars" if is_open else "127.0.0.1"
    assert process._instance().metrics_address == f"{host}:{metrics_port}"
    process.stop()
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await running


def test_a_wrong_setting_ends_the_process_also_when_other_tasks_fail_beside_it(capsys, monkeypatch):
    monkeypatch.setattr(telemetry, "configure_logging", lambda *_: None)

    async def main() -> None:
        failures = [SettingError("mesh.redis_url", "x", "not this"), OSError("cut off")]
        raise ExceptionGroup("tasks", [ExceptionGroup("inner", failures[:1]), failures[1]])

    assert run_process("test", MeshSettings(), main) == EXIT_WRONG_SETTING
    assert capsys.readouterr().err.count("setting mesh.redis_url") == 1


def test_any_other_failure_is_shown_whole(monkeypatch):
    monkeypatch.setattr(telemetry, "configure_logging", lambda *_: None)

    async def main() -> None:
        raise ExceptionGroup("tasks", [OSError("cut off")])

    with pytest.raises(ExceptionGroup):
        run_process("test", MeshSettings(), main)


HANGING = """
import asyncio
from kit.base import runtime
from kit.base.settings import MeshSettings

runtime.END_SECONDS_MAX = 0.5

async def main():
    mesh = MeshSettings(registry="127.0.0.1:1")
    process = runtime.Runtime(runtime.ProcessIdentity("hangs", "hangs", "hangs", {port}), mesh)
    process.at_end(asyncio.Event().wait)
    await process.run()

runtime.run_process("hangs", MeshSettings(), main)
"""


def test_a_process_that_hangs_after_its_supervisor_was_killed_ends_itself():
    port = next(port for port in iter(free_port, None) if port < 50_000)
    # Not the number of the process that starts it: its supervisor is gone.
    environment = os.environ | {runtime.SUPERVISOR_PID: "1"}
    command = [sys.executable, "-c", HANGING.format(port=port)]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=WAIT_SECONDS_MAX
    )
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "in run_process" in ended.stderr
