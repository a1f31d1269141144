"""Wires a playback: record, tape, hub, and the services of a venue."""

import hashlib
from pathlib import Path

import psycopg

from core.playback.books import PlayedBooks
from core.playback.control import PlaybackController
from core.playback.epochs import PlayEpoch, PlayEpochManager
from core.playback.market_data import PlaybackMarketData
from core.playback.paper_accounts import paper_accounts
from core.playback.past_record import PastRecord
from core.playback.player import Player
from core.playback.settings import PlaybackSettings, parse_speed
from core.playback.tape import CHANNELS, Play, PlayContent, windows
from kit.base import backoff, telemetry
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.errors import (
    Draining,
    SettingError,
    StoreUnavailable,
    UnknownInstrument,
    UnknownVenue,
)
from kit.base.runtime import Identity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.connector.host.hub import Hub
from kit.connector.process import services
from kit.connector.process.market_data import MarketDataServicer
from kit.execution.accounts import paper_names
from kit.execution.settings import OrdersSettings
from kit.storage.archive.archive import Archive

SERVICE = "playback"

_log = telemetry.logger("playback.app")


def main() -> int:
    """Play until told to stop. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(PlaybackSettings, SERVICE)
    orders = setting_files.load(OrdersSettings, "orders")
    return run_process(settings.venue or SERVICE, mesh, lambda: run(settings, mesh, orders))


async def run(settings: PlaybackSettings, mesh: MeshSettings, orders: OrdersSettings) -> None:
    """Play in this event loop."""
    for key in ("venue", "database_url"):
        if not getattr(settings, key):
            raise SettingError(f"playback.{key}", "", "must be named")
    await Playback(settings, mesh, orders).run()


class Playback:
    """The parts of the process."""

    def __init__(
        self, settings: PlaybackSettings, mesh: MeshSettings, orders: OrdersSettings
    ) -> None:
        venue = settings.venue
        self._settings = settings
        self._mesh = mesh
        self._orders = orders
        self._clock = SystemClock()
        self._runtime = Runtime(Identity(venue, "venue", venue, settings.port), mesh)
        self._archive = Archive(settings.database_url)
        self._database = Database(settings.database_url)

    async def run(self) -> None:
        """Read what the record has, then serve it."""
        content = await self._when_there()
        play, symbols, terms, booked = content
        runtime, settings, mesh = self._runtime, self._settings, self._mesh
        epochs = PlayEpoch(
            Path(mesh.data_dir) / "epochs" / f"{play.venue}-playback",
            _fingerprint(settings, play),
            play.start_ns,
        )
        hub = Hub(
            play.venue,
            epochs.epoch,
            self._clock,
            runtime.meter,
            settings.held_bytes_max,
            keeps_unread=True,
        )
        books = PlayedBooks(booked if paper_names(play.venue, mesh, self._orders) else ())
        player = Player(hub, books, parse_speed(settings.speed), runtime.meter, self._clock)
        past = PastRecord(self._archive, self._database, content, player)
        source = PlaybackMarketData(hub, player, past, books)
        servicer = MarketDataServicer(hub, PlayEpochManager(hub, epochs, player), source, past)
        accounts = paper_accounts(hub, player, past, books, mesh, self._orders)
        services.serve(runtime, servicer, accounts, PlaybackController(play, symbols, player))
        rows_max = settings.window_rows_max
        tape = windows(self._archive, play, terms, settings.window_ns, rows_max)
        runtime.when_draining(lambda: hub.end(Draining("the playback is stopping")))
        runtime.run_task("player", lambda: player.run(tape, symbols))
        runtime.at_end(self._archive.close)
        runtime.at_end(self._database.close)
        runtime.meter.serving()
        await runtime.run()

    async def _when_there(self) -> PlayContent:
        """Wait while the store is away: its server may be starting."""
        waits = backoff.delays()
        told = ""
        while True:
            try:
                return await self._found()
            except StoreUnavailable as error:
                if error.message != told:
                    told = error.message
                    _log.warning("the store of the record is away", extra={"detail": told})
                await self._clock.sleep(next(waits))

    async def _found(self) -> PlayContent:
        """Raises SettingError when there is nothing to play."""
        settings, archive = self._settings, self._archive
        venue, symbols = settings.venue, tuple(settings.symbols)
        try:
            instruments = await archive.instruments(venue, symbols)
            terms = await archive.terms(venue, symbols)
            bounds = {
                channel: await archive.bounds(venue, channel, symbols) for channel in CHANNELS
            }
        except UnknownVenue as error:
            raise SettingError("playback.venue", venue, error.message) from None
        except UnknownInstrument as error:
            raise SettingError("playback.symbols", ",".join(symbols), error.message) from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            allowed = "has no record of this version: start a mesh on it once, which brings it up"
            raise SettingError("playback.database_url", settings.database_url, allowed) from None
        channels = tuple(name for name in CHANNELS if bounds[name] != (0, -1))
        first_ns = min((bounds[name][0] for name in channels), default=0)
        last_ns = max((bounds[name][1] for name in channels), default=-1)
        if not settings.start_ns:
            first_ns = min([first_ns, *(term.from_ns for term in terms)])
        start_ns, end_ns = settings.start_ns or first_ns, settings.end_ns or last_ns + 1
        if start_ns >= end_ns or start_ns > last_ns or end_ns <= first_ns:
            span = f"{settings.from_time or 'the first'} to {settings.to_time or 'the last'}"
            allowed = (
                f"nothing of {venue} was recorded then; the record has {first_ns} to {last_ns}"
            )
            raise SettingError("playback.from_time", span, allowed)
        play = Play(venue, symbols, start_ns, end_ns, channels)
        booked = await archive.symbols_with_books(venue, end_ns, symbols)
        return PlayContent(play, list(instruments.names), terms, booked)


def _fingerprint(settings: PlaybackSettings, play: Play) -> str:
    """Return a hash of everything that the batches depend on."""
    parts = (
        settings.database_url,
        play,
        settings.speed,
        settings.window_ms,
        settings.window_rows_max,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()
