"""A TigerBeetle that a test may kill; with VENUEMESH_TIGERBEETLE, the path of its program."""

import asyncio
import os
import subprocess
from pathlib import Path
from subprocess import DEVNULL

from tigerbeetle import ClientAsync

from ops.embedded.server_command import LOOPBACK, ServerCommand
from tests.support.waiting import WAIT_SECONDS_MAX

PROGRAM = os.environ.get("VENUEMESH_TIGERBEETLE", "")


class TigerBeetleProcess:
    """A cluster of one replica. Its data file has 1 GiB."""

    def __init__(self, folder: Path, port: int) -> None:
        self._data = folder / "0.tigerbeetle"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"{LOOPBACK}:{port}"

    def format(self) -> None:
        """Make an empty data file."""
        self._data.unlink(missing_ok=True)
        of_replica = ("--cluster=0", "--replica=0", "--replica-count=1", "--development")
        arguments = [PROGRAM, "format", *of_replica, str(self._data)]
        subprocess.run(arguments, check=True, capture_output=True)

    async def start(self) -> None:
        """Returns when it answers."""
        self._process = self._spawn()
        async with asyncio.timeout(WAIT_SECONDS_MAX), ClientAsync(0, self.address) as client:
            await client.lookup_accounts([1])

    def _spawn(self) -> subprocess.Popen[bytes]:
        addresses = f"--addresses={self.address}"
        command = ServerCommand((PROGRAM, "start", addresses, "--development", str(self._data)))
        return subprocess.Popen(
            command.arguments, stdout=DEVNULL, stderr=DEVNULL, **command.spawn_options()
        )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
