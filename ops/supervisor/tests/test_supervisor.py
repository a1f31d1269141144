"""Services are restarted, and end with their supervisor."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ops.embedded.server_command import ServerCommand
from ops.errors import OperationsError
from ops.supervisor import logs, supervisor
from ops.supervisor.child import ProcessState
from ops.supervisor.mesh import ROOT
from ops.supervisor.service_spec import ServiceSpec, StopStage
from ops.supervisor.tests.helpers import (
    SECONDS_MAX,
    SLEEPS,
    Watched,
    service,
    trapping,
    wait_for_end,
)
from tests.support.waiting import until


@asynccontextmanager
async def running(folder: Path, *services: ServiceSpec) -> AsyncIterator[Watched]:
    """A supervisor at work, stopped at the end."""
    watched = Watched(folder, *services)
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.supervisor.run())
        try:
            yield watched
        finally:
            watched.supervisor.stop()


async def test_a_killed_service_is_restarted(tmp_path: Path):
    async with running(tmp_path, service("a", SLEEPS), service("b", SLEEPS)) as watched:
        a, b = watched.children["a"], watched.children["b"]
        await watched.until_running()
        before, untouched = a.pid, b.pid
        os.kill(before, signal.SIGKILL)
        await watched.until(lambda: a.state is ProcessState.RUNNING and a.pid != before)
        assert a.restarts == 1
        assert (b.pid, b.restarts) == (untouched, 0)
    assert a.state is ProcessState.STOPPED


async def test_the_logs_of_running_services_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervisor, "LOG_INTERVAL_S", 0.01)
    monkeypatch.setattr(logs, "LOG_BYTES_MAX", 1_000)
    former = tmp_path / "a.log.1"
    script = "while :; do echo a line of a service; sleep 0.001; done"
    async with running(tmp_path, service("a", script)) as watched:
        await watched.until_running()
        pid = watched.children["a"].pid
        await until(former.exists)
        first = former.stat().st_mtime_ns
        await until(lambda: former.stat().st_mtime_ns != first)
        assert watched.children["a"].pid == pid
    assert set(former.read_text().splitlines()) == {"a line of a service"}


async def test_a_low_priority_service_and_its_children_have_a_higher_nice_value(tmp_path: Path):
    reported = tmp_path / "reported"

    async def has_reported() -> bool:
        return reported.exists() and reported.read_text().endswith("\n")

    asks = f"{sys.executable} -c 'import os; print(os.getpriority(os.PRIO_PROCESS, 0))'"
    script = f"sleep 0.3; {asks} > {reported}; exec sleep 60"
    patient = service("patient", script, is_ready=has_reported, niceness=7)
    async with running(tmp_path, patient) as watched:
        await watched.until_running()
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert int(reported.read_text()) == min(ours + 7, 19)


async def test_each_start_gets_its_secrets_through_pipes_of_its_own(tmp_path: Path):
    texts = iter(["first", "second"])
    reads = (
        "import os, time; from kit.base.secret_files import read_secret;"
        " file = os.environ['PASSWORD_FILE'];"
        " print(read_secret(file), read_secret(file), flush=True); time.sleep(60)"
    )
    command = ServerCommand(
        (sys.executable, "-c", reads),
        environment={"PYTHONPATH": str(ROOT)},
        secrets={"PASSWORD_FILE": lambda: next(texts)},
    )
    reader = ServiceSpec("reader", command, StopStage.CONSUMERS)
    async with running(tmp_path, reader, service("other", SLEEPS)) as watched:
        child, other = watched.children["reader"], watched.children["other"]
        log = tmp_path / "reader.log"
        await until(lambda: log.exists() and "first first" in log.read_text())
        await until(lambda: other.pid is not None)
        process = Path("/proc") / str(child.pid)
        assert b"first" not in (process / "cmdline").read_bytes()
        assert b"first" not in (process / "environ").read_bytes()
        for pid in (child.pid, other.pid):
            kinds = [entry.readlink().name for entry in Path(f"/proc/{pid}/fd").iterdir()]
            assert not [kind for kind in kinds if kind.startswith("pipe:")]
        os.kill(child.pid, signal.SIGKILL)
        await until(lambda: log.exists() and "second second" in log.read_text())


async def test_a_service_that_ended_is_restarted_and_its_last_line_is_shown(tmp_path: Path):
    script = (
        "echo x >> lives; [ $(wc -l < lives) -ge 3 ] && exec sleep 60;"
        " echo 'ModuleNotFoundError: no gen' >&2; exit 7"
    )
    lives = tmp_path / "lives"

    async def is_ready() -> bool:
        return lives.exists() and lives.read_text() == "x\nx\nx\n"

    flaky = service("flaky", f"cd {tmp_path}; {script}", is_ready=is_ready)
    async with running(tmp_path, flaky) as watched:
        child = watched.children["flaky"]
        reason = "ended with code 7: ModuleNotFoundError: no gen"
        await watched.until(lambda: child.detail == reason)
        await watched.until(lambda: child.state is ProcessState.RUNNING)
        assert child.restarts == 2


async def test_a_wrong_setting_stops_everything_with_its_words(tmp_path: Path):
    words = "echo started >&2; echo 'venuemesh: setting key = 3: no such key' >&2; exit 2"
    watched = Watched(
        tmp_path, service("good", SLEEPS), service("bad", words, refuses_settings=True)
    )
    with pytest.raises(OperationsError, match="bad: setting key = 3: no such key"):
        async with asyncio.timeout(SECONDS_MAX):
            await watched.supervisor.run()
    assert watched.children["good"].state is ProcessState.STOPPED
    assert watched.children["good"].pid is None


async def test_a_service_that_never_gets_ready_is_stopped(tmp_path: Path):
    async def never() -> bool:
        return False

    watched = Watched(tmp_path, service("server", "echo no room >&2; exit 1", is_ready=never))
    with pytest.raises(OperationsError, match="server does not start, ended with code 1: no room"):
        async with asyncio.timeout(SECONDS_MAX):
            await watched.supervisor.run()


async def test_a_failed_preparation_is_reported(tmp_path: Path):
    def fail() -> None:
        raise RuntimeError("initdb failed: no space left")

    watched = Watched(tmp_path, service("server", SLEEPS, prepare=fail))
    with pytest.raises(OperationsError, match="server does not start, initdb failed: no space"):
        await watched.supervisor.run()


async def test_a_service_waits_for_its_dependencies(tmp_path: Path):
    file = tmp_path / "configuration"
    waits = service("late", SLEEPS, may_start=file.exists)
    async with running(tmp_path, waits, service("other", SLEEPS)) as watched:
        late = watched.children["late"]
        await watched.until(lambda: watched.children["other"].state is ProcessState.RUNNING)
        await watched.until(lambda: late.state is ProcessState.WAITING)
        assert late.pid is None
        file.touch()
        await watched.until(lambda: late.state is ProcessState.RUNNING)


async def test_stops_along_the_way_of_the_data(tmp_path: Path):
    order = tmp_path / "order"
    turns = [StopStage.STORES, StopStage.VENUES, StopStage.GATEWAY, StopStage.CONSUMERS]
    services = [
        trapping(tmp_path, turn.name, f"echo {turn.name} >> {order}; exit 0", turn)
        for turn in turns
    ]
    async with running(tmp_path, *services) as watched:
        await watched.until_running()
    assert order.read_text().split() == ["VENUES", "CONSUMERS", "GATEWAY", "STORES"]


async def test_stops_by_itself_after_a_time(tmp_path: Path):
    watched = Watched(tmp_path, service("a", SLEEPS))
    async with asyncio.timeout(SECONDS_MAX):
        await watched.supervisor.run(seconds=0.05)
    assert watched.children["a"].state is ProcessState.STOPPED
    assert not watched.supervisor.killed


async def test_a_second_stop_does_not_wait(tmp_path: Path):
    deaf = trapping(tmp_path, "deaf", "", StopStage.CONSUMERS)
    watched = Watched(tmp_path, deaf)
    async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as group:
        group.create_task(watched.supervisor.run())
        await watched.until_running()
        watched.supervisor.stop()
        await watched.until(lambda: watched.children["deaf"].state is ProcessState.STOPPING)
        watched.supervisor.stop()
    assert watched.supervisor.killed


async def test_a_service_that_ignores_the_signal_is_killed(tmp_path: Path):
    async with running(tmp_path, trapping(tmp_path, "deaf", "", StopStage.CONSUMERS)) as watched:
        await watched.until_running()
        child = watched.children["deaf"]
        await child.stop(seconds_max=0.05)
        assert child.pid is None


SUPERVISING = """
import asyncio, sys
from pathlib import Path
from ops.supervisor.tests.helpers import SLEEPS, Watched, service

async def main():
    watched = Watched(Path(sys.argv[1]), service("a", SLEEPS), service("b", SLEEPS))
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.supervisor.run())
        await watched.until_running()
        print(*(child.pid for child in watched.children.values()), flush=True)

asyncio.run(main())
"""


def test_a_killed_supervisor_leaves_no_processes(tmp_path: Path):
    command = [sys.executable, "-c", SUPERVISING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        pids = [int(pid) for pid in supervisor.stdout.readline().split()]
        supervisor.kill()
    assert len(pids) == 2
    assert all(wait_for_end(pid) for pid in pids)
