"""A Valkey that a test may kill."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import DEVNULL

import redis

from ops.embedded import valkey
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

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder / "data"
        self._copy = folder / "copy"
        self._port = port
        self.url = valkey.url(port)
        valkey.prepare(self._folder)

    async def start(self) -> None:
        self._process = self._spawn()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not await valkey.is_ready(self._port):
                await asyncio.sleep(0.01)

    def _spawn(self) -> subprocess.Popen:
        # This process has gRPC's threads, so nothing may run between fork and exec in it.
        arguments = valkey.command(self._folder, self._port).arguments
        return subprocess.Popen(
            [sys.executable, "-c", TIED_TO_PARENT, *arguments],
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
