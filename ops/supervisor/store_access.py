"""Which store each process of a local mesh uses, as whom, and how it gets the password."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from kit.base.settings import MeshSettings
from kit.base.store_urls import password_of, without_password
from ops.embedded import postgres, valkey
from ops.embedded.store_passwords import StorePasswords, user_of_service
from ops.supervisor import data_folder, state

EVENT_SERVICES = frozenset({"ledger", "audit", "detector", "advisor", "inspector", "notifier"})
"""Services that make events, or read them from where they have stopped."""
REDIS_SERVICES = frozenset({"ingest", "recorder", "bars", "bridge", "repair"}) | EVENT_SERVICES
DATABASE_SERVICES = frozenset({"recorder", "bars", "history", "repair"}) | EVENT_SERVICES
EMBEDDED_REDIS_URLS = frozenset({MeshSettings().redis_url})
EMBEDDED_DATABASE_URLS = frozenset(
    # The second was the default before there were roles.
    {MeshSettings().database_url, "postgresql://postgres@127.0.0.1:8432/venuemesh"}
)


def has_embedded_valkey(settings: MeshSettings) -> bool:
    """Whether no other server is named."""
    return settings.redis_url in EMBEDDED_REDIS_URLS


def has_embedded_postgres(settings: MeshSettings) -> bool:
    """Whether no other server is named."""
    return settings.database_url in EMBEDDED_DATABASE_URLS


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """The stores of one local mesh."""

    settings: MeshSettings
    data: Path
    ports: Mapping[str, int]

    @property
    def passwords(self) -> StorePasswords:
        """Those of the embedded stores."""
        return StorePasswords.of_mesh(self.data)

    def environment(self, service: str) -> dict[str, str]:
        """The URLs for a service, without passwords."""
        user = user_of_service(service)
        settings, own = self.settings, self.ports
        redis_url, database_url = settings.redis_url, settings.database_url
        if has_embedded_valkey(settings):
            redis_url = valkey.url(own["valkey"], user if service in REDIS_SERVICES else "")
        if has_embedded_postgres(settings):
            role = user if service in DATABASE_SERVICES else ""
            database_url = postgres.url(own["postgres"], role=role)
        return {
            "VENUEMESH_REDIS_URL": without_password(redis_url),
            "VENUEMESH_REDIS_PASSWORD_FILE": "",
            "VENUEMESH_DATABASE_URL": without_password(database_url),
            "VENUEMESH_DATABASE_PASSWORD_FILE": "",
        }

    def secrets(self, service: str) -> dict[str, Callable[[], str]]:
        """The passwords for a service, by the variable that names their file."""
        user, settings = user_of_service(service), self.settings
        found: dict[str, Callable[[], str]] = {}
        if service in REDIS_SERVICES:
            found["VENUEMESH_REDIS_PASSWORD_FILE"] = (
                partial(self.passwords.password, valkey.STORE, user)
                if has_embedded_valkey(settings)
                else partial(password_of, settings.redis_login_url)
            )
        if service in DATABASE_SERVICES:
            found["VENUEMESH_DATABASE_PASSWORD_FILE"] = (
                partial(self.passwords.password, postgres.STORE, user)
                if has_embedded_postgres(settings)
                else partial(password_of, settings.database_login_url)
            )
        return found


def record_url(settings: MeshSettings, data: Path, role: str) -> str:
    """Return the URL, with the password, of the database of the mesh in a data folder.

    ``role`` is the role at an embedded server; another server has the one in its URL. Raises
    OSError when the folder has no passwords, and SettingError.
    """
    if not has_embedded_postgres(settings):
        return settings.database_login_url
    running = state.read(data) if data_folder.in_use(data) else None
    port = running.ports["postgres"] if running else urlsplit(settings.database_url).port
    passwords = StorePasswords.of_mesh(data)
    if not passwords.folder.is_dir():
        raise FileNotFoundError(f"{passwords.folder} is not there; start the mesh once")
    return passwords.login_url(postgres.url(port or 0, role=role))
