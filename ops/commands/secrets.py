"""``./venuemesh secrets``: make the passwords of the stores in containers, each in a file."""

import argparse
from pathlib import Path

from ops.embedded import postgres, valkey
from ops.embedded.store_passwords import StorePasswords
from ops.errors import OperationsError
from ops.output import print_json
from ops.project import ROOT

REDIS_USERS_FILE = "redis-users.acl"
POSTGRES_ROLES_FILE = "postgresql-roles.sql"
OTHERS = ((postgres.STORE, "superuser"), ("grafana", "admin"))
"""Users that no process of the mesh is."""
FOLDER_MODE = 0o700
FILE_MODE = 0o444
"""Compose mounts a file as it is, and containers have users of their own. On this machine the
folder keeps everybody else out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "secrets", metavar="DIR", help="default: secrets"
    )


def run(chosen: argparse.Namespace) -> int:
    """Return 0 if every file is there. A password that exists stays. Raises OperationsError."""
    folder: Path = chosen.folder
    try:
        made = make(folder)
    except OSError as error:
        reason = error.strerror or error
        raise OperationsError(f"{error.filename or folder} cannot be used: {reason}") from None
    if chosen.json:
        print_json({"folder": str(folder), "made": made})
    else:
        print(f"{folder}: {', '.join(made) or 'nothing to do'}")
    return 0


def make(folder: Path) -> list[str]:
    """Make the files that are missing. Returns their names. Raises OSError."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    before = _names(folder)
    passwords = StorePasswords(folder)
    for store, user in OTHERS:
        passwords.password(store, user)
    users, statements = valkey.users(passwords), postgres.role_statements(passwords)
    made = _names(folder) - before
    is_new = any(name.startswith(postgres.STORE) for name in made)
    _replace(folder / REDIS_USERS_FILE, users)
    if is_new or not (folder / POSTGRES_ROLES_FILE).exists():
        _replace(folder / POSTGRES_ROLES_FILE, statements)
    for name in _names(folder):
        (folder / name).chmod(FILE_MODE)
    return sorted(_names(folder) - before)


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def _replace(file: Path, text: str) -> None:
    """A container keeps the file that it was started with."""
    if not file.exists() or file.read_text() != text:
        file.unlink(missing_ok=True)
        file.write_text(text)
