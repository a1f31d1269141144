"""The environment of a process."""

import asyncio
import gc

import pytest

from conftest import free_port
from kit.base import runtime
from kit.base.runtime import ProcessIdentity, Runtime
from kit.base.settings import MeshSettings
from tests.support.waiting import WAIT_SECONDS_MAX


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
