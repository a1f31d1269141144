"""One pretended exchange in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from kit.base.clock import SystemClock
from kit.simulator.app import Simulator
from kit.simulator.dialect import Dialect
from kit.simulator.events import Instrument
from kit.simulator.fault_commands import FaultCommand
from kit.simulator.listing import BookSnapshot
from kit.simulator.market import Step
from kit.simulator.settings import SimulatorSettings
from kit.simulator.simulate import SimulatedMarketView

STOP_SECONDS_MAX = 20.0
CALM_SECONDS_MAX = 60.0


class Exchange:
    """A running simulator of one venue."""

    def __init__(self, venue_id: str, simulator: Simulator) -> None:
        self.venue_id = venue_id
        self.url = f"http://127.0.0.1:{simulator.port}"
        self._simulator = simulator

    @property
    def faults(self) -> list[str]:
        """The names of all that can be ordered."""
        return self._simulator.venue(self.venue_id).faults.known

    @property
    def connections(self) -> int:
        """Clients that are connected."""
        return len(self._simulator.venue(self.venue_id).connections)

    @property
    def symbols(self) -> tuple[str, ...]:
        """All that it lists."""
        listings = self._simulator.market_view(self.venue_id).listings()
        return tuple(one.symbol for one in listings)

    def order(
        self,
        fault: str,
        symbol: str = "",
        channel: str = "",
        *,
        path: str = "",
        value: str = "",
        count: int = 1,
        seconds: float = 1.0,
        probability: float = 1.0,
    ) -> None:
        """Let something go wrong; see kit/simulator/fault_commands.py."""
        self._simulator.venue(self.venue_id).faults.order(
            FaultCommand(
                venue=self.venue_id,
                fault=fault,
                symbol=symbol,
                channel=channel,
                path=path,
                value=value,
                count=count,
                seconds=seconds,
                probability=probability,
            )
        )

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._simulator.venue(self.venue_id).faults.clear()

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Nobody trades or quotes for a while, so that what is behind can come up with it."""
        self.order("calm", seconds=CALM_SECONDS_MAX)
        try:
            yield
        finally:
            self.order("calm", seconds=0)

    def watch(self, symbol: str, told: Callable[[Step], None]) -> Instrument:
        """Be told each step of the market that trades this symbol, once however often it is asked
        for. Returns what is traded under it."""
        market_view = self._simulator.market_view(self.venue_id)
        assert isinstance(market_view, SimulatedMarketView)
        if told not in market_view.watchers:
            market_view.watchers.append(told)
        return market_view.instrument(symbol)

    async def book(self, symbol: str) -> BookSnapshot:
        """The book as it is at the exchange now."""
        book = await self._simulator.market_view(self.venue_id).book(symbol)
        assert book is not None
        return book

    def tick_size(self, symbol: str) -> str:
        """As the exchange lists it."""
        listings = self._simulator.market_view(self.venue_id).listings()
        return next(one.tick_size for one in listings if one.symbol == symbol)


@asynccontextmanager
async def exchange(
    venue_id: str, make: Callable[[], Dialect], events_per_second: int = 1_000
) -> AsyncIterator[Exchange]:
    """A market of the world simulate, on a free port."""
    chosen = SimulatorSettings(port=0, start_delay_ms=50, events_per_second=events_per_second)
    simulator = Simulator("simulate", chosen, {venue_id: make}, SystemClock())
    await simulator.start("127.0.0.1")
    stopping = asyncio.Event()
    task = asyncio.create_task(simulator.run(stopping))
    try:
        yield Exchange(venue_id, simulator)
    finally:
        stopping.set()
        await asyncio.wait_for(task, STOP_SECONDS_MAX)
