"""A recorded past that is to be played: where it is, and what of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from kit.base.errors import VenuemeshError
from kit.base.store_urls import password_of, without_password
from kit.storage.archive.archive import Archive
from kit.storage.archive.time_text import ALLOWED, parse_time
from ops.embedded import postgres
from ops.embedded.store_passwords import READER, StorePasswords
from ops.errors import OperationsError
from ops.supervisor import data_folder, state

PREFIX = "store:"
SCHEMES = ("postgresql://", "postgres://")
PARTS = ("from", "to", "symbols")
SERVICE = "record"
"""The PostgreSQL that is started on the data folder of another mesh."""


@dataclass(frozen=True, slots=True)
class PlaybackSource:
    """``VENUE=store:<URL or data folder>[?from=…&to=…&symbols=…]``."""

    venue: str
    store: "str | Path"
    """The URL of a PostgreSQL, or the data folder of a mesh, absolute."""
    from_time: str = ""
    to_time: str = ""
    symbols: str = ""
    """Separated by commas. Empty: all."""

    @classmethod
    def parse(cls, venue: str, text: str) -> "PlaybackSource":
        """Parse the text after ``store:``. Raises OperationsError."""
        parts = urlsplit(text)
        asked = dict(parse_qsl(parts.query))
        for name in ("from", "to"):
            _check_time(name, asked.get(name, ""))
        others = {name: value for name, value in asked.items() if name not in PARTS}
        store: str | Path = urlunsplit(parts._replace(query=urlencode(others)))
        if not text.startswith(SCHEMES):
            if others:
                known = ", ".join(PARTS)
                raise OperationsError(f"{next(iter(others))}: of a store there are {known}")
            store = Path(text.partition("?")[0]).expanduser().absolute()
        return cls(venue, store, *(asked.get(name, "") for name in PARTS))

    @property
    def own_folder(self) -> "Path | None":
        """The data folder that needs a PostgreSQL to be started on it, if it does."""
        if isinstance(self.store, str) or data_folder.in_use(self.store):
            return None
        return self.store

    def url(self, own_port: int) -> str:
        """URL, with the password, of the PostgreSQL with the record; ``own_port``: the port of a
        server started for it. Raises OSError."""
        if isinstance(self.store, str):
            return self.store
        return StorePasswords.of_mesh(self.store).login_url(self._embedded_url(own_port))

    def _embedded_url(self, own_port: int) -> str:
        assert isinstance(self.store, Path)
        running = state.read(self.store) if data_folder.in_use(self.store) else None
        port = running.ports["postgres"] if running is not None else own_port
        return postgres.url(port, role=READER)

    def secrets(self, own_port: int) -> dict[str, Callable[[], str]]:
        """The password for the playback process, by the variable that names its file."""
        return {
            "VENUEMESH_PLAYBACK_DATABASE_PASSWORD_FILE": lambda: password_of(self.url(own_port))
        }

    def environment(self, own_port: int, port: int, speed: "str | None") -> dict[str, str]:
        """Settings of the playback process."""
        variables = {
            "PORT": str(port),
            "VENUE": self.venue,
            "DATABASE_URL": without_password(
                self.store if isinstance(self.store, str) else self._embedded_url(own_port)
            ),
            "FROM_TIME": self.from_time,
            "TO_TIME": self.to_time,
            "SYMBOLS": self.symbols,
        }
        if speed is not None:
            variables["SPEED"] = speed
        return {f"VENUEMESH_PLAYBACK_{name}": value for name, value in variables.items()}

    def check(self) -> None:
        """Raises OperationsError when it is not there; a folder is looked into when it runs."""
        if isinstance(self.store, Path) and not (self.store / "postgres").is_dir():
            raise OperationsError(f"{self.store} is no data folder of a mesh: it has no postgres")
        if self.own_folder is None:
            asyncio.run(self._check_running())

    async def _check_running(self) -> None:
        archive = Archive(self.url(0), accepts_older_schema=True)
        try:
            await archive.instruments(
                self.venue, [name for name in self.symbols.split(",") if name]
            )
        except VenuemeshError as error:
            raise OperationsError(f"--replay {self.venue}=store: {error.message}") from None
        finally:
            await archive.close()


def _check_time(name: str, text: str) -> None:
    try:
        if text:
            parse_time(text)
    except ValueError:
        raise OperationsError(f"{name}={text}: {ALLOWED}") from None
