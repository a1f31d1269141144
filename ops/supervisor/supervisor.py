"""Runs all processes of a local mesh: started together, stopped in turns."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from kit.base.waiting import is_set_within
from ops.errors import OperationsError
from ops.supervisor.child import ChildProcess, RestartDelays, UnrecoverableExit
from ops.supervisor.logs import ServiceLog
from ops.supervisor.service_spec import ServiceSpec
from ops.supervisor.spawned_process import Spawn, spawn_program

LOG_INTERVAL_S = 10.0
"""How often the sizes of the logs are looked at."""
STOP_SECONDS_MAX = 10.0
"""A turn that takes longer is ended by force. The processes themselves drain for at most 5 s."""


class Supervisor:
    """Keeps a set of services running until it is stopped."""

    def __init__(
        self,
        services: Sequence[ServiceSpec],
        log_folder: Path,
        changed: Callable[[], None] = lambda: None,
        restart_delays: RestartDelays | None = None,
        spawn: Spawn = spawn_program,
    ) -> None:
        self._log_folder = log_folder
        self._changed = changed
        self._restart_delays = restart_delays
        self._spawn = spawn
        self.children = [self._child(service) for service in services]
        self.killed = False
        """Whether it was stopped by force, not in order."""
        self._group = asyncio.TaskGroup()
        self._stopping = asyncio.Event()
        self._failure = ""

    async def run(self, seconds: float | None = None) -> None:
        """Keep all alive until stop(), or for this long. When it returns or raises, all have ended.

        Raises OperationsError with the words of a process that cannot be started.
        """
        async with self._group as group:
            for child in self.children:
                group.create_task(self._keep(child), name=child.service.name)
            bounding = group.create_task(self._bound_logs(), name="logs")
            if not await is_set_within(self._stopping, seconds):
                self._stopping.set()
            await self._stop_in_turns()
            bounding.cancel()
        if self._failure:
            raise OperationsError(self._failure)

    @property
    def stopping(self) -> bool:
        """Whether it is stopping, so that no service may be added."""
        return self._stopping.is_set()

    def child(self, name: str) -> ChildProcess | None:
        """One of its children, if it has it."""
        return next((child for child in self.children if child.service.name == name), None)

    def add(self, service: ServiceSpec) -> None:
        """Start one more, while the others run. When it cannot be started, it alone ends."""
        child = self._child(service)
        self.children.append(child)
        self._group.create_task(self._keep_apart(child), name=service.name)

    async def remove(self, child: ChildProcess) -> None:
        """Stop one for good, while the others run."""
        await child.stop(STOP_SECONDS_MAX)
        self.children.remove(child)
        self._changed()

    def stop(self) -> None:
        """Stop everything in order; asked a second time, at once."""
        if self._stopping.is_set():
            self.killed = True
            for child in self.children:
                child.kill()
        self._stopping.set()

    def listen_for_signals(self) -> None:
        """Let Ctrl-C, SIGTERM and the end of its terminal stop it."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Otherwise it was started with nohup, to continue without a terminal.
            loop.add_signal_handler(signal.SIGHUP, self.stop)

    async def _keep(self, child: ChildProcess) -> None:
        try:
            await child.keep_running()
        except UnrecoverableExit as error:
            # The first reason counts: what ends after it ends because of it.
            self._failure = self._failure or str(error)
            self._stopping.set()

    async def _keep_apart(self, child: ChildProcess) -> None:
        # The child has the reason while it is listed.
        with suppress(UnrecoverableExit):
            await child.keep_running()

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_INTERVAL_S)
            for child in list(self.children):
                # On a full disk the log grows on, as far as it can.
                with suppress(OSError):
                    await asyncio.to_thread(child.log.bound)

    def _child(self, service: ServiceSpec) -> ChildProcess:
        log = ServiceLog(self._log_folder, service.name)
        return ChildProcess(service, log, self._changed, self._restart_delays, self._spawn)

    async def _stop_in_turns(self) -> None:
        def turn_of(child: ChildProcess) -> int:
            return child.service.stop_turn

        for _, turn in groupby(sorted(self.children, key=turn_of), key=turn_of):
            async with asyncio.TaskGroup() as group:
                for child in turn:
                    group.create_task(child.stop(STOP_SECONDS_MAX))
