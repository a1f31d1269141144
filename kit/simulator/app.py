"""Wiring of the simulator: settings, worlds, server."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, web

from kit.base import settings, telemetry
from kit.base.access.settings import AccessSettings
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock, SystemClock
from kit.base.errors import SettingError
from kit.base.runtime import call_guard, run_process, watch_parent
from kit.base.settings import MeshSettings
from kit.simulator.capture_files import CaptureFiles
from kit.simulator.capture_player import BOOK_WAIT_S_MAX, CapturePlayer, ReplayMarketView
from kit.simulator.control_access import ControlAccess
from kit.simulator.dialect import Dialect, MarketView, find_dialects
from kit.simulator.fault_commands import FaultCommand, FaultKind, MarketActionKind, read_script
from kit.simulator.faults import FaultInjector
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_actions import MarketActionRunner
from kit.simulator.market_runner import LEAD_IN_NS, MarketRunner, SimulatedMarketView
from kit.simulator.server import SimulatorServer
from kit.simulator.settings import SimulatorSettings, parse_speed
from kit.simulator.venue import SimulatedVenue

SHUTDOWN_SECONDS_MAX = 1.0

_log = telemetry.logger("simulator")


class Simulator:
    """The server, and the markets or captures of its venues."""

    def __init__(
        self,
        world: str,
        chosen: SimulatorSettings,
        dialects: Mapping[str, Callable[[], Dialect]],
        clock: Clock,
        access: ControlAccess | None = None,
    ) -> None:
        """``access`` admits the callers of /faults; None, in tests, admits everybody. Raises
        SettingError for a world or a venue that cannot be played."""
        self.port = chosen.port
        self._clock = clock
        self._script = read_script(Path(chosen.faults)) if chosen.faults else []
        self._players: list[CapturePlayer] = []
        self._runs: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._venues: dict[str, tuple[SimulatedVenue, MarketView]] = {}
        if world == "replay":
            self._build_replay(chosen, dialects)
        elif world == "simulate":
            self._build_markets(chosen, dialects)
        else:
            raise SettingError("mesh.world", world, "the simulator plays simulate and replay")
        server = SimulatorServer(self._venues, clock, self._replay_status, access)
        self._runner = web.AppRunner(
            server.application(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS_MAX
        )

    async def start(self, host: str) -> None:
        """Listen, on ``port``. Raises SettingError when it is in use."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, self.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise SettingError("simulator.port", self.port, f"cannot be used: {error}") from None
        self.port = self._runner.addresses[0][1]
        _log.info("serving", extra={"port": self.port, "venues": sorted(self._venues)})

    async def run(self, stopping: asyncio.Event) -> None:
        """Play until ``stopping`` is set."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(run()) for run in self._runs]
                await stopping.wait()
                for task in tasks:
                    task.cancel()
        finally:
            for venue, _ in self._venues.values():
                await venue.close_all(WSCloseCode.GOING_AWAY, "the simulator stops")
            await self._runner.cleanup()

    def venue(self, venue_id: str) -> SimulatedVenue:
        """One of the simulated venues."""
        return self._venues[venue_id][0]

    def market_view(self, venue_id: str) -> MarketView:
        """The market of a venue."""
        return self._venues[venue_id][1]

    def _build_replay(
        self, chosen: SimulatorSettings, dialects: Mapping[str, Callable[[], Dialect]]
    ) -> None:
        captures = chosen.captures()
        if not captures:
            raise SettingError("simulator.replay", "", "the world replay needs VENUE=FILE")
        for venue_id, files in captures.items():
            if venue_id not in dialects:
                known = f"no such venue; allowed are {', '.join(sorted(dialects))}"
                raise SettingError("simulator.replay", venue_id, known)
            dialect = dialects[venue_id]()
            venue = self._venue(venue_id, dialect, chosen)
            capture_files = CaptureFiles(files)
            speed = parse_speed(chosen.speed)
            market_view = ReplayMarketView(
                capture_files, dialect.capture, BOOK_WAIT_S_MAX, keeps_first=speed is None
            )
            player = CapturePlayer(venue, market_view, capture_files, speed, self._clock)
            self._players.append(player)
            self._runs.append(player.run)
            self._open(venue, market_view)

    def _build_markets(
        self, chosen: SimulatorSettings, dialects: Mapping[str, Callable[[], Dialect]]
    ) -> None:
        speed = parse_speed(chosen.speed)
        for venue_id in sorted(dialects):
            dialect = dialects[venue_id]()
            seed = f"{chosen.seed}/{venue_id}"
            opening_ns = self._clock.time_ns() - LEAD_IN_NS
            rate, instruments = chosen.events_per_second, dialect.instruments
            market = SimulatedMarket(
                seed, opening_ns, rate, instruments, price_seed=str(chosen.seed)
            )
            venue = self._venue(venue_id, dialect, chosen)
            market_view = SimulatedMarketView(
                market, dialect, chosen.funding_interval_s * NANOSECONDS_PER_SECOND
            )
            MarketActionRunner(market, market_view).register_with(venue.faults)
            self._runs.append(MarketRunner(venue, market_view, market, speed, self._clock).run)
            self._open(venue, market_view)

    def _venue(self, venue_id: str, dialect: Dialect, chosen: SimulatorSettings) -> SimulatedVenue:
        faults = FaultInjector(venue_id, chosen.seed, own=dialect.faults)
        venue = SimulatedVenue(venue_id, dialect, faults, self._clock, chosen.start_delay_ms / 1000)
        faults.register(MarketActionKind.SERVER_SHUTDOWN, venue.shut_down)
        return venue

    def _open(
        self, venue: SimulatedVenue, market_view: SimulatedMarketView | ReplayMarketView
    ) -> None:
        """Serve a venue, and begin its fault script."""

        def keep_books(command: FaultCommand) -> None:
            venue.old_books.update(market_view.books())

        venue.faults.register(FaultKind.STALE_SNAPSHOT, keep_books)
        self._venues[venue.venue_id] = (venue, market_view)
        for command in self._script:
            if command.venue == venue.venue_id:
                try:
                    venue.faults.add(command)
                except ValueError as error:
                    raise SettingError("simulator.faults", command.fault, str(error)) from None

    def _replay_status(self) -> Sequence[Mapping[str, object]]:
        return [player.status() for player in self._players]


def main() -> int:
    """The process ``./venuemesh run simulator``."""
    mesh = settings.load(MeshSettings, "mesh")
    chosen = settings.load(SimulatorSettings, "simulator")
    permitted = settings.load(AccessSettings, "access")

    async def run() -> None:
        clock = SystemClock()
        access = ControlAccess(
            call_guard(permitted, mesh), permitted.trusted_keys_file(mesh), clock
        )
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        simulator = Simulator(mesh.world, chosen, find_dialects(), clock, access)
        await simulator.start(mesh.host)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch_parent(stopping.set))
            await simulator.run(stopping)
            watching.cancel()

    return run_process("simulator", mesh, run)
