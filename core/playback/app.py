"""Wires a playback: record, windows, hub, and the services of a venue."""

import hashlib
from pathlib import Path

import psycopg

from core.playback.books import PlaybackBooks
from core.playback.controller import PlaybackController
from core.playback.epochs import PlaybackEpochFile, PlaybackEpochManager
from core.playback.market_data import PlaybackMarketData
from core.playback.paper_accounts import paper_accounts
from core.playback.publisher import PlaybackPublisher
from core.playback.record_windows import CHANNELS, PlaybackContent, PlaybackSelection, windows
from core.playback.recorded_market_data import RecordedMarketData
from core.playback.settings import PlaybackSettings, parse_speed
from kit.base import backoff, telemetry
from kit.base import settings as setting_files
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.errors import (
    ProcessDraining,
    SettingError,
    StoreUnavailable,
    UnknownInstrument,
    UnknownVenue,
)
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings
from kit.connector.process import services
from kit.connector.process.market_data import MarketDataServicer
from kit.connector.publishing.hub import Hub
from kit.execution.account_registry import paper_names
from kit.execution.settings import OrdersSettings
from kit.storage.archive.archive import Archive

SERVICE = "playback"

_log = telemetry.logger("playback.app")


def main() -> int:
    """Play until stopped. Returns the exit code."""
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    settings = setting_files.load(PlaybackSettings, SERVICE)
    orders = setting_files.load(OrdersSettings, "orders")
    return run_process(settings.venue or SERVICE, mesh, lambda: run(settings, mesh, orders))


async def run(settings: PlaybackSettings, mesh: MeshSettings, orders: OrdersSettings) -> None:
    """Play in this event loop."""
    for key in ("venue", "database_url"):
        if not getattr(settings, key):
            raise SettingError(f"playback.{key}", "", "must be named")
    await PlaybackService(settings, mesh, orders).run()


class PlaybackService:
    """The parts of the process."""

    def __init__(
        self, settings: PlaybackSettings, mesh: MeshSettings, orders: OrdersSettings
    ) -> None:
        venue = settings.venue
        self._settings = settings
        self._mesh = mesh
        self._orders = orders
        self._clock = SystemClock()
        self._runtime = Runtime(ProcessIdentity(venue, "venue", venue, settings.port), mesh)
        self._archive = Archive(settings.database_login_url, accepts_older_schema=True)
        self._database = Database(settings.database_login_url, accepts_older_schema=True)

    async def run(self) -> None:
        """Read what the record has, then serve it."""
        content = await self._when_there()
        selection, symbols, terms, booked = content
        runtime, settings, mesh = self._runtime, self._settings, self._mesh
        epochs = PlaybackEpochFile(
            Path(mesh.data_dir) / "epochs" / f"{selection.venue}-playback",
            _fingerprint(settings, selection),
            selection.start_ns,
        )
        hub = Hub(
            selection.venue,
            epochs.epoch,
            self._clock,
            runtime.meter,
            settings.held_bytes_max,
            keeps_unread=True,
        )
        books = PlaybackBooks(booked if paper_names(selection.venue, mesh, self._orders) else ())
        player = PlaybackPublisher(
            hub, books, parse_speed(settings.speed), runtime.meter, self._clock
        )
        past = RecordedMarketData(self._archive, self._database, content, player)
        source = PlaybackMarketData(hub, player, past, books)
        servicer = MarketDataServicer(hub, PlaybackEpochManager(hub, epochs, player), source, past)
        accounts = paper_accounts(hub, player, past, books, mesh, self._orders)
        services.serve(runtime, servicer, accounts, PlaybackController(selection, symbols, player))
        rows_max = settings.window_rows_max
        record_windows = windows(self._archive, selection, terms, settings.window_ns, rows_max)
        runtime.when_draining(lambda: hub.end(ProcessDraining("the playback is stopping")))

        async def play() -> None:
            # What is published before an order is read from disk cannot fill it.
            await accounts.wait_until_read()
            await player.run(record_windows, symbols)

        runtime.run_task("player", play)
        runtime.at_end(self._archive.close)
        runtime.at_end(self._database.close)
        runtime.meter.serving()
        await runtime.run()

    async def _when_there(self) -> PlaybackContent:
        """Wait while the store is away: its server may be starting."""
        waits = backoff.delays()
        logged = ""
        while True:
            try:
                return await self._found()
            except StoreUnavailable as error:
                if error.message != logged:
                    logged = error.message
                    _log.warning("the store of the record is away", extra={"detail": logged})
                await self._clock.sleep(next(waits))

    async def _found(self) -> PlaybackContent:
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
        selection = PlaybackSelection(venue, symbols, start_ns, end_ns, channels)
        booked = await archive.symbols_with_books(venue, end_ns, symbols)
        return PlaybackContent(selection, list(instruments.names), terms, booked)


def _fingerprint(settings: PlaybackSettings, selection: PlaybackSelection) -> str:
    """Return a hash of everything that the batches depend on."""
    parts = (
        settings.database_url,
        selection,
        settings.speed,
        settings.window_ms,
        settings.window_rows_max,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()
