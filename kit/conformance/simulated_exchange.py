"""A simulated exchange in this process, with fault injection."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from kit.base.clock import SystemClock
from kit.simulator.app import Simulator
from kit.simulator.dialect import Dialect
from kit.simulator.fault_commands import FaultCommand
from kit.simulator.listing import ExchangeBookSnapshot
from kit.simulator.market import MarketStep
from kit.simulator.market_events import Instrument
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.settings import SimulatorSettings

STOP_SECONDS_MAX = 20.0
CALM_SECONDS_MAX = 60.0


class SimulatedExchange:
    """The running simulator of one venue."""

    def __init__(self, venue_id: str, simulator: Simulator) -> None:
        self.venue_id = venue_id
        self.url = f"http://127.0.0.1:{simulator.port}"
        self._simulator = simulator

    @property
    def faults(self) -> list[str]:
        """The names of all faults that can be injected."""
        return self._simulator.venue(self.venue_id).faults.known

    @property
    def connections(self) -> int:
        """Number of clients that are connected."""
        return len(self._simulator.venue(self.venue_id).connections)

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols that the exchange lists."""
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
        """Inject a fault; kit/simulator/fault_commands.py describes them."""
        self._simulator.venue(self.venue_id).faults.add(
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
        self._simulator.venue(self.venue_id).faults.clear()

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Stop trading and quoting for a while, so that delayed messages arrive."""
        self.order("calm", seconds=CALM_SECONDS_MAX)
        try:
            yield
        finally:
            self.order("calm", seconds=0)

    def watch(self, symbol: str, on_step: Callable[[MarketStep], None]) -> Instrument:
        """Call ``on_step`` with each step of the market that trades this symbol; several calls
        register it once. Returns the instrument of the symbol."""
        market_view = self._simulated_market()
        if on_step not in market_view.watchers:
            market_view.watchers.append(on_step)
        return market_view.instrument(symbol)

    def best_levels(self, symbol: str, count: int) -> ExchangeBookSnapshot:
        """The best levels of an instrument now; much cheaper than its book."""
        return self._simulated_market().best_levels(symbol, count)

    async def book(self, symbol: str) -> ExchangeBookSnapshot:
        """The current book of an instrument."""
        book = await self._simulator.market_view(self.venue_id).book(symbol)
        assert book is not None
        return book

    def tick_size(self, symbol: str) -> str:
        """The tick size that the exchange lists."""
        listings = self._simulator.market_view(self.venue_id).listings()
        return next(one.tick_size for one in listings if one.symbol == symbol)

    def _simulated_market(self) -> SimulatedMarketView:
        market_view = self._simulator.market_view(self.venue_id)
        assert isinstance(market_view, SimulatedMarketView)
        return market_view


@asynccontextmanager
async def exchange(
    venue_id: str, make: Callable[[], Dialect], events_per_second: int = 1_000
) -> AsyncIterator[SimulatedExchange]:
    """A simulated market on a free port."""
    chosen = SimulatorSettings(port=0, start_delay_ms=50, events_per_second=events_per_second)
    simulator = Simulator("simulate", chosen, {venue_id: make}, SystemClock())
    await simulator.start("127.0.0.1")
    stopping = asyncio.Event()
    task = asyncio.create_task(simulator.run(stopping))
    try:
        yield SimulatedExchange(venue_id, simulator)
    finally:
        stopping.set()
        await asyncio.wait_for(task, STOP_SECONDS_MAX)
