"""An empty PostgreSQL that syncs to disk, for one measurement."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from conftest import free_port
from tests.support.postgres_process import PostgresProcess


@asynccontextmanager
async def empty_database() -> AsyncIterator[str]:
    """The URL of the database."""
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-bench-", dir="/var/tmp"))
    # PostgreSQL does not run as root and cannot enter a folder that only root can.
    folder.chmod(0o711)
    postgres = PostgresProcess(folder / "postgres", free_port())
    try:
        await postgres.start()
        yield postgres.url
    finally:
        postgres.kill()
        shutil.rmtree(folder, ignore_errors=True)
