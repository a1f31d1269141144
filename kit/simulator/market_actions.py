"""Changes of a simulated market on command. ``fault_commands.py`` describes each."""

from dataclasses import replace
from decimal import Decimal, InvalidOperation

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.fault_commands import FaultCommand, MarketActionKind
from kit.simulator.faults import FaultInjector
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_events import Instrument
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView

BURST_TRADES_USUAL = 2_000
BURST_TRADES_MAX = 100_000
GRAIN_MAX_SHARE = 0.001
"""The coarsest tick size, relative to the price."""


class MarketActionRunner:
    """The actions on one market. Each raises ValueError when it cannot be performed."""

    def __init__(self, market: SimulatedMarket, market_view: SimulatedMarketView) -> None:
        self._market = market
        self._market_view = market_view

    def register_with(self, faults: FaultInjector) -> None:
        faults.register(MarketActionKind.CLOCK_SKEW, self.skew_clock)
        faults.register(MarketActionKind.CALM, self.calm)
        faults.register(MarketActionKind.BURST, self.burst)
        faults.register(MarketActionKind.HALT, self.halt)
        faults.register(MarketActionKind.RESUME, self.resume)
        faults.register(MarketActionKind.DELIST, self.delist)
        faults.register(MarketActionKind.LIST, self.list)
        faults.register(MarketActionKind.TICK_SIZE, self.set_tick_size)

    def skew_clock(self, command: FaultCommand) -> None:
        """Shift the exchange's clock by whole steps, so that streams keep their intervals."""
        self._market_view.skew_ns = (
            round(command.seconds * NANOSECONDS_PER_SECOND / STEP_NS) * STEP_NS
        )

    def calm(self, command: FaultCommand) -> None:
        """Stop all trading for a time."""
        self._market.calm(round(command.seconds * NANOSECONDS_PER_SECOND))

    def burst(self, command: FaultCommand) -> None:
        """Make many trades at one moment."""
        text = command.value or str(BURST_TRADES_USUAL)
        if not text.isdigit() or not 1 <= int(text) <= BURST_TRADES_MAX:
            raise ValueError(f"value must be a number of trades, 1 to {BURST_TRADES_MAX}")
        self._market.burst(self._market_view.instrument(command.symbol), int(text))

    def halt(self, command: FaultCommand) -> None:
        """Stop trading an instrument, which stays listed."""
        self._market.halt(self._market_view.instrument(command.symbol))
        self._market_view.relist(command.symbol, halted=True)

    def resume(self, command: FaultCommand) -> None:
        """Trade a halted instrument again."""
        self._market.resume(self._market_view.instrument(command.symbol))
        self._market_view.relist(command.symbol, halted=False)

    def delist(self, command: FaultCommand) -> None:
        """Remove an instrument from the list, and stop trading it."""
        self._market.halt(self._market_view.instrument(command.symbol))
        self._market_view.delist(command.symbol)

    def list(self, command: FaultCommand) -> None:
        """List a delisted instrument again, or a new one."""
        if not command.value:
            self._market.resume(self._market_view.list_again(command.symbol))
            return
        instrument = replace(self._market_view.instrument(command.symbol), base=command.value)
        self._market_view.enter(instrument)

    def set_tick_size(self, command: FaultCommand) -> None:
        """Change the tick size of new prices; prices in the book stay."""
        instrument = self._market_view.instrument(command.symbol)
        self._market.set_grain(instrument, _ticks(instrument, command.value))
        self._market_view.relist(command.symbol, tick_size=command.value)


def _ticks(instrument: Instrument, text: str) -> int:
    tick = Decimal(instrument.price_text(1))
    try:
        ticks, rest = divmod(Decimal(text), tick)
    except InvalidOperation:
        ticks, rest = Decimal(0), tick
    most = instrument.start_price * GRAIN_MAX_SHARE / float(tick)
    if rest or not 1 <= ticks <= max(1, most):
        raise ValueError(f"value must be a tick size, a multiple of {tick}, small for its price")
    return int(ticks)
