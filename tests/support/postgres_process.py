"""A PostgreSQL that a test may kill."""

import asyncio
import subprocess
from pathlib import Path
from subprocess import DEVNULL

from ops.embedded import postgres
from ops.embedded.store_passwords import StorePasswords
from tests.support.waiting import until


class PostgresProcess:
    """A PostgreSQL of one test's own. Its folder must not be below one that only root may enter."""

    def __init__(self, folder: Path, port: int, **settings: str) -> None:
        self._folder = folder
        self._port = port
        self._settings = settings
        self.passwords = StorePasswords(folder.with_name(f"{folder.name}-keys"))
        self.url = self.passwords.login_url(postgres.url(port))

    async def start(self) -> None:
        await asyncio.to_thread(postgres.prepare, self._folder, self.passwords)
        self._process = self._spawn()
        await until(lambda: postgres.is_ready(self._folder))

    def _spawn(self) -> subprocess.Popen:
        command = postgres.command(self._folder, self._port, **self._settings)
        return subprocess.Popen(
            command.arguments, stdout=DEVNULL, stderr=DEVNULL, cwd="/", **command.spawn_options()
        )

    def kill(self) -> None:
        """Kill all processes, like the out-of-memory killer: without an orderly shutdown."""
        self._process.kill()
        self._process.wait()
