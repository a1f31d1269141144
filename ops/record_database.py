"""The database that a command reads or writes: options, and the URL with its password."""

import argparse
from pathlib import Path

from kit.base import settings
from kit.base.settings import MeshSettings
from ops.embedded.store_passwords import OWNER, READER
from ops.errors import OperationsError
from ops.supervisor import store_access


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database", metavar="URL", help="default: from the settings, or of the mesh in --data"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="of the mesh; default: data")


def url_to_read(chosen: argparse.Namespace) -> str:
    """Return the URL for a command that only reads. Raises OperationsError and SettingError."""
    return _url(chosen, READER)


def url_to_write(chosen: argparse.Namespace) -> str:
    """Return the URL for a command that writes or changes the schema. Raises as ``url_to_read``."""
    return _url(chosen, OWNER)


def _url(chosen: argparse.Namespace, role: str) -> str:
    if chosen.database:
        return str(chosen.database)
    mesh = settings.load(MeshSettings, settings.MESH_SECTION)
    data = (chosen.data or Path(mesh.data_dir)).expanduser().absolute()
    try:
        return store_access.record_url(mesh, data, role)
    except OSError as error:
        raise OperationsError(f"no password for the database of {data}: {error}") from None
