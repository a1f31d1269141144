"""A Valkey that a test may kill."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import DEVNULL

import redis

from conftest import free_port
from ops.embedded import valkey
from ops.embedded.store_passwords import StorePasswords
from tests.support.waiting import WAIT_SECONDS_MAX

TIED_TO_PARENT = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a program that Linux kills when this process ends."""


class ValkeyProcess:
    """A Valkey of one test's own, that can lose its newest entries."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        """``options``: more arguments of the server."""
        self._folder = folder / "data"
        self._copy = folder / "copy"
        self._port = port
        self._options = options
        self.passwords = StorePasswords(folder / "keys")
        self.url = self.passwords.login_url(valkey.url(port))
        valkey.prepare(self._folder, self.passwords)

    async def start(self) -> None:
        self._process = self._spawn()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not await valkey.is_ready(self._port, self.passwords):
                await asyncio.sleep(0.01)

    def _spawn(self) -> subprocess.Popen:
        # This process has gRPC's threads, so nothing may run between fork and exec in it.
        arguments = valkey.command(self._folder, self._port).arguments
        return subprocess.Popen(
            [sys.executable, "-c", TIED_TO_PARENT, *arguments, *self._options],
            stdout=DEVNULL,
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def remember(self) -> None:
        """Copy the files on disk, to which ``forget`` returns."""
        with redis.Redis.from_url(self.url) as client:
            # The answer to a write that waits for the append-only file comes after its sync.
            client.execute_command("WAITAOF", 1, 0, 5000)
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._folder, self._copy)

    def forget(self) -> None:
        shutil.rmtree(self._folder)
        shutil.copytree(self._copy, self._folder)


def cluster_node(folder: Path) -> ValkeyProcess:
    """The only node of a Redis Cluster. It has no slots, so it refuses every command on a key."""
    port, bus_port = free_port(), free_port()
    return ValkeyProcess(folder, port, "--cluster-enabled", "yes", "--cluster-port", str(bus_port))
