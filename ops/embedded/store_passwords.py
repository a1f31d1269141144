"""The passwords of the users of the embedded stores: one file each in the data folder."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kit.base.secret_files import make_secret, read_secret
from kit.base.store_urls import user_of, with_password

KEYS_FOLDER = Path("keys") / "stores"
"""In the data folder of a mesh."""
USER_PREFIX = "venuemesh_"
OWNER = "venuemesh_owner"
"""May do everything in either store, and is used by no service."""
READER = "venuemesh_reader"
"""May read the record: for people and tools."""
PASSWORD_BYTES = 24


def user_of_service(service: str) -> str:
    """The user of a service, which is the same in both stores."""
    return USER_PREFIX + service


@dataclass(frozen=True, slots=True)
class StorePasswords:
    """The passwords in one folder."""

    folder: Path

    @classmethod
    def of_mesh(cls, data: Path) -> "StorePasswords":
        """The passwords of the stores in a data folder."""
        return cls(data / KEYS_FOLDER)

    def password(self, store: str, user: str) -> str:
        """Return the password of a user of "redis" or "postgresql"; make it the first time.

        Raises OSError.
        """
        path = self.folder / f"{store}-{user.removeprefix(USER_PREFIX)}"
        if not path.exists():
            _make(path)
        return read_secret(str(path))

    def login_url(self, url: str) -> str:
        """Return the URL of a store with the password of its user."""
        return with_password(url, self.password(urlsplit(url).scheme, user_of(url)))


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_secret(path, f"{secrets.token_urlsafe(PASSWORD_BYTES)}\n".encode())
