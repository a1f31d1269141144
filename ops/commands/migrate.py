"""``./venuemesh migrate``: bring the database to the schema of this version."""

import argparse
import asyncio

from kit.base import migration
from kit.base.database import database_name
from kit.base.errors import StoreUnavailable
from ops import record_database
from ops.errors import OperationsError
from ops.output import print_json

MIGRATION_NEEDED = "MIGRATION_NEEDED"
"""Reason of the error of ``--check``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit code 1 if there is something"
    )
    record_database.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if this version can use the database. Raises SettingError and OperationsError."""
    url = record_database.url_to_write(chosen)
    try:
        done = asyncio.run(_checked(url) if chosen.check else migration.migrate(url))
    except StoreUnavailable as error:
        raise OperationsError(f"{error.message}; does PostgreSQL run?") from None
    if chosen.json:
        schemas = {"before": done.before, "after": done.after, "wanted": done.wanted}
        print_json({"database": database_name(url), **schemas, "applied": list(done.applied)})
    else:
        print(f"database {database_name(url)}: {_text(done)}")
    return 0


async def _checked(url: str) -> migration.Migration:
    found = await migration.state(url)
    if found.problem:
        text = f"database {database_name(url)} {found.problem}"
        raise OperationsError(text, reason=MIGRATION_NEEDED)
    return migration.Migration(found.current, found.current, found.wanted, ())


def _text(done: migration.Migration) -> str:
    if done.applied:
        return f"schema {done.before} is now {done.after}: {', '.join(done.applied)}"
    newer = " (newer, and compatible)" if done.after > done.wanted else ""
    return f"schema {done.after}{newer}, wanted {done.wanted}: nothing to do"
