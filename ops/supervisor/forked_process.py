"""Starts processes of ours by the fork server, and all others as programs."""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import BinaryIO

import msgspec

from kit.base.secret_files import PIPES
from ops.embedded.server_command import ServerCommand
from ops.supervisor.fork_request import CLI, ForkRequest
from ops.supervisor.spawned_process import SpawnedProcess, spawn_program

PR_SET_CHILD_SUBREAPER = 36
PROCESS_ID_BYTES_MAX = 16
FORK_SERVER = {"OPENBLAS_NUM_THREADS": "1", "SPT_NOENV": "1"}
"""NumPy would start a thread for each core, for products of matrices, which nothing here needs. And
setproctitle would write over the environment, by which the processes of a mesh are recognised."""


class ForkedProcess:
    """Implements SpawnedProcess for a child that asyncio has not started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor = os.pidfd_open(pid)
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._reap)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, signal: signal.Signals) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()


class ForkServer:
    """The fork server of one supervisor, and how it is asked."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self._requests: socket.socket | None = None
        """None: it does not run."""
        self._forking = 0

    async def start(self, environment: Mapping[str, str], log: BinaryIO) -> None:
        """Start it. On systems other than Linux nothing is forked."""
        if sys.platform != "linux":
            return
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            arguments = (sys.executable, "-m", "ops.supervisor.fork_server", str(its.fileno()))
            command = ServerCommand(arguments, environment={**environment, **FORK_SERVER})
            self.process = await asyncio.create_subprocess_exec(
                *arguments,
                stdout=log,
                stderr=subprocess.STDOUT,
                **(command.spawn_options() | {"pass_fds": (its.fileno(),)}),
            )
        self._requests = ours

    def close(self) -> None:
        """Let it end. What it has forked goes on."""
        if self._requests is not None:
            self._requests.close()
            self._requests = None

    async def spawn(self, command: ServerCommand, output: BinaryIO) -> SpawnedProcess:
        """Fork a process of ours, or start another program. Raises OSError."""
        if self._requests is not None and command.arguments[: len(CLI)] == CLI:
            # It has ended, or it could not fork: then the process is started as a program.
            with suppress(OSError):
                return ForkedProcess(await self._fork(self._requests, command, output))
        return await spawn_program(command, output)

    async def _fork(self, requests: socket.socket, command: ServerCommand, output: BinaryIO) -> int:
        """The process id of the new child. Raises OSError."""
        answer, reply = os.pipe()
        try:
            with command.spawning() as options, self._adopting():
                try:
                    pipes = options.get("pass_fds", ())
                    content = msgspec.json.encode(_request(command, options["env"], pipes))
                    socket.send_fds(requests, [content], [reply, output.fileno(), *pipes])
                finally:
                    os.close(reply)
                said = await _read(answer)
        finally:
            os.close(answer)
        if not said:
            raise ChildProcessError("nothing was forked")
        return int(said)

    @contextmanager
    def _adopting(self) -> Iterator[None]:
        """Become the parent of what the fork server forks, and of nothing later."""
        self._forking += 1
        _adopt(self._forking)
        try:
            yield
        finally:
            self._forking -= 1
            _adopt(self._forking)


def _adopt(forking: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(forking > 0))


def _request(
    command: ServerCommand, environment: Mapping[str, str], pipes: tuple[int, ...]
) -> ForkRequest:
    variables = {value: variable for variable, value in environment.items()}
    return ForkRequest(
        arguments=command.arguments[len(CLI) :],
        environment=dict(environment),
        pipes=tuple(variables[f"{PIPES}{pipe}"] for pipe in pipes),
        stop_signal=int(command.stop_signal),
        parent_pid=os.getpid(),
    )


async def _read(descriptor: int) -> bytes:
    """What is written into a pipe, once."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, PROCESS_ID_BYTES_MAX)
