"""Builds Studio if its sources have changed."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ops.embedded.server_command import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
STUDIO = ROOT / "studio"
GENERATED = frozenset({"node_modules", "dist", "gen"})
LOCK = "package-lock.json"
STAMP = ".built-from"
BUILD_LOCK = ".build.lock"
"""Locked during a build: the gateway then says that Studio is being built."""
BUILD_SECONDS_MAX = 300.0
CHECK_SECONDS_MAX = 900.0
"""Beside all other tests."""


class StudioBuild:
    """The sources of the web app and its build."""

    def __init__(self, folder: Path = STUDIO, contracts: Path = ROOT / "proto") -> None:
        self._folder = folder
        self._contracts = contracts

    def is_current(self) -> bool:
        """Whether the build is current."""
        return _stamp(self._folder / "dist") == self._fingerprint()

    async def build(self, log: Path, say: Callable[[str], None]) -> None:
        """Build it if possible. Reports progress, or what is missing, in one line.

        Never fails: a mesh runs without its pages too.
        """
        if self.is_current():
            return
        if not _has_npm():
            say("Studio is not built: npm is missing, install Node.js 24")
            return
        say("Studio is being built (once)")
        # Taken before the build, so that a change during the build causes another one.
        fingerprint = self._fingerprint()
        with (self._folder / BUILD_LOCK).open("w") as lock:
            # Another mesh may build it too.
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            done = await self._install_and_run("build", log, BUILD_SECONDS_MAX)
        if done:
            (self._folder / "dist" / STAMP).write_text(fingerprint)
        say("Studio is built" if done else f"Studio could not be built, see {log}")

    async def check(self, log: Path, say: Callable[[str], None]) -> bool:
        """Check its types and style, and play its unit tests. Returns whether they pass, also if
        npm is missing; the log says what failed."""
        if not _has_npm():
            say("Studio is not checked: npm is missing, install Node.js 24")
            return True
        return await self._install_and_run("check", log, CHECK_SECONDS_MAX)

    async def _install_and_run(self, script: str, log: Path, seconds_max: float) -> bool:
        try:
            async with asyncio.timeout(seconds_max):
                return await self._install(log) and await self._npm(log, "run", script)
        except TimeoutError:
            return False

    async def _install(self, log: Path) -> bool:
        modules = self._folder / "node_modules"
        wanted = hashlib.sha256((self._folder / LOCK).read_bytes()).hexdigest()
        if _stamp(modules) == wanted:
            return True
        if not await self._npm(log, "ci"):
            return False
        (modules / STAMP).write_text(wanted)
        return True

    async def _npm(self, log: Path, *arguments: str) -> bool:
        command: Sequence[str] = ("npm", *arguments)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                # It is in the checkout, which others may use, and has no secret.
                umask=0o022,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        try:
            return await process.wait() == 0
        finally:
            if process.returncode is None:
                # If cancelled, the children of npm must end as well.
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for file in (*_sources(self._folder), *_sources(self._contracts)):
            digest.update(f"{file.name}\0".encode())
            digest.update(file.read_bytes())
        return digest.hexdigest()


def _has_npm() -> bool:
    return shutil.which("npm") is not None


def _sources(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in GENERATED or path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _sources(path)
        elif path.is_file():
            yield path


def _stamp(folder: Path) -> str:
    try:
        return (folder / STAMP).read_text()
    except OSError:
        return ""
