"""Keeps one process running."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from kit.base import backoff
from kit.base.errors import SettingError
from kit.base.runtime import EXIT_WRONG_SETTING
from kit.base.waiting import is_set_within
from ops.supervisor.logs import ServiceLog
from ops.supervisor.service_spec import ServiceSpec
from ops.supervisor.spawned_process import Spawn, SpawnedProcess, spawn_program

LOOK_AGAIN_SECONDS = 0.05
STARTS_BEFORE_READY_MAX = 5
NICEST = 19
REFUSAL = "venuemesh: "
"""Prefix of the line with the reason why a process does not start."""


class ProcessState(StrEnum):
    """The states of a supervised process."""

    WAITING = "waiting"
    """It waits for a service that it needs."""
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    """It has exited and will be started again."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class RestartDelays:
    """Delays before restarts."""

    first_seconds: float = 0.2
    most_seconds: float = 5.0
    well_seconds: float = 30.0
    """After running this long, the delay is reset."""


class UnrecoverableExit(Exception):
    """A restart does not help. The message has the reason."""


class ChildProcess:
    """Starts its service and restarts it after each exit, until stopped."""

    def __init__(
        self,
        service: ServiceSpec,
        log: ServiceLog,
        changed: Callable[[], None],
        restart_delays: RestartDelays | None = None,
        spawn: Spawn = spawn_program,
    ) -> None:
        self.service = service
        self.log = log
        self.state = ProcessState.WAITING
        self.since = time.time()
        """When it entered the state, s since the Unix epoch."""
        self.detail = ""
        """Why it exited, while restarting, or why it is not restarted."""
        self.restarts = 0
        self.pid: int | None = None
        self._changed = changed
        self._restart_delays = restart_delays or RestartDelays()
        self._spawn_process = spawn
        self._process: SpawnedProcess | None = None
        self._stop_asked = asyncio.Event()
        self._finished = asyncio.Event()
        self._was_ready = False
        self._starts = 0
        self._refusal = ""

    async def keep_running(self) -> None:
        """Run until stopped. Raises UnrecoverableExit when a restart does not help."""
        waits = self._waits()
        try:
            while not self._stop_asked.is_set():
                began = time.monotonic()
                await self._live_once()
                if time.monotonic() - began >= self._restart_delays.well_seconds:
                    waits = self._waits()
                if not await is_set_within(self._stop_asked, next(waits)):
                    self.restarts += 1
            self._enter(ProcessState.STOPPED)
        except UnrecoverableExit as error:
            self._enter(ProcessState.STOPPED, str(error))
            raise
        finally:
            self._finished.set()

    async def stop(self, seconds_max: float) -> None:
        """Send SIGTERM, and SIGKILL if it has not exited after this long."""
        self._stop_asked.set()
        if self._is_alive():
            self._enter(ProcessState.STOPPING)
            self._send(self.service.command.stop_signal)
        if not await is_set_within(self._finished, seconds_max):
            self.kill()
            await self._finished.wait()

    def kill(self) -> None:
        """Send SIGKILL, and do not restart it."""
        self._stop_asked.set()
        self._send(signal.SIGKILL)

    async def _live_once(self) -> None:
        if self.state is ProcessState.WAITING:
            self._enter(ProcessState.STARTING)
        try:
            await asyncio.to_thread(self.service.prepare)
            if not await self._may_start():
                return
            process = await self._spawn()
        except (RuntimeError, OSError) as error:
            self._failed(self._with_last_line(str(error)), final=not self._was_ready)
            return
        readiness = asyncio.create_task(self._watch_readiness())
        code = await process.wait()
        readiness.cancel()
        self.pid = None
        if self._refusal:
            raise UnrecoverableExit(f"{self.service.name}: {self._refusal}")
        if not self._stop_asked.is_set():
            self._ended(code)

    async def _may_start(self) -> bool:
        if not self.service.may_start():
            self._enter(ProcessState.WAITING)
        while not self._stop_asked.is_set() and not self.service.may_start():
            await is_set_within(self._stop_asked, LOOK_AGAIN_SECONDS)
        return not self._stop_asked.is_set()

    async def _spawn(self) -> SpawnedProcess:
        command = self.service.command
        with self.log.open() as output:
            process = await self._spawn_process(command, output)
        self._process, self.pid = process, process.pid
        self._step_back(process.pid)
        self._starts += 1
        if self.state is not ProcessState.STARTING:
            self._enter(ProcessState.STARTING)
        if self._stop_asked.is_set():
            # stop() came while there was no process yet that it could ask.
            self._send(command.stop_signal)
        return process

    def _step_back(self, pid: int) -> None:
        """Set the niceness before it starts children, which inherit it."""
        if self.service.niceness:
            ours = os.getpriority(os.PRIO_PROCESS, 0)
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, pid, min(ours + self.service.niceness, NICEST))

    async def _watch_readiness(self) -> None:
        try:
            while not await self.service.is_ready():
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except SettingError as error:
            self._refusal = str(error)
            self._send(self.service.command.stop_signal)
            return
        self._was_ready = True
        if self.state is ProcessState.STARTING:
            self._enter(ProcessState.RUNNING)

    def _ended(self, code: int) -> None:
        if code == EXIT_WRONG_SETTING and self.service.refuses_settings and self.restarts == 0:
            line = self.log.last_line(REFUSAL) or self.log.last_line() or "no reason given"
            raise UnrecoverableExit(f"{self.service.name}: {line.removeprefix(REFUSAL)}")
        how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
        final = not self._was_ready and self._starts >= STARTS_BEFORE_READY_MAX
        # A process that is killed from outside has not written why.
        self._failed(self._with_last_line(how) if code > 0 or final else how, final)

    def _failed(self, how: str, final: bool) -> None:
        self._enter(ProcessState.RESTARTING, how)
        if final:
            name, path = self.service.name, self.log.path
            raise UnrecoverableExit(f"{name} does not start, {how} (see {path})")

    def _with_last_line(self, how: str) -> str:
        """How it ended, and the last line of its log, which ends a traceback with the error."""
        line = self.log.last_line()
        return f"{how}: {line}" if line else how

    def _enter(self, state: ProcessState, detail: str = "") -> None:
        self.state, self.detail, self.since = state, detail, time.time()
        self._changed()

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._is_alive():
            self._process.send_signal(number)

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def _waits(self) -> Iterator[float]:
        return backoff.delays(self._restart_delays.first_seconds, self._restart_delays.most_seconds)
