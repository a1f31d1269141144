"""What the supervisor needs of a process that it has started, and the start of a program."""

import asyncio
import signal
import subprocess
from collections.abc import Awaitable, Callable
from typing import BinaryIO, Protocol

from ops.embedded.server_command import ServerCommand


class SpawnedProcess(Protocol):
    """A child of this process."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None:
        """None while it runs. Below 0: the signal that killed it, negated."""

    async def wait(self) -> int:
        """Wait for its end. Returns its exit code."""

    def send_signal(self, signal: signal.Signals) -> None: ...


Spawn = Callable[[ServerCommand, BinaryIO], Awaitable[SpawnedProcess]]
"""Starts a command that writes its output and errors to a file. Raises OSError."""


async def spawn_program(command: ServerCommand, output: BinaryIO) -> SpawnedProcess:
    """Start a program with its own memory."""
    with command.spawning() as options:
        return await asyncio.create_subprocess_exec(
            *command.arguments, stdout=output, stderr=subprocess.STDOUT, **options
        )
