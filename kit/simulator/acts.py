"""What can be ordered to happen to a simulated market. How it is ordered is told in orders.py."""

from dataclasses import replace
from decimal import Decimal, InvalidOperation

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.events import Instrument
from kit.simulator.fault_commands import Act, FaultCommand
from kit.simulator.faults import Faults
from kit.simulator.market import Market
from kit.simulator.simulate import STEP_NS, SimulatedMarketView

BURST_TRADES_USUAL = 2_000
BURST_TRADES_MAX = 100_000
GRAIN_MAX_SHARE = 0.001
"""The coarsest tick size, relative to the price."""


class MarketActs:
    """The acts of one market. Each raises ValueError when it cannot be done."""

    def __init__(self, market: Market, market_view: SimulatedMarketView) -> None:
        self._market = market
        self._market_view = market_view

    def teach(self, faults: Faults) -> None:
        """Let them be ordered."""
        faults.learn(Act.CLOCK_SKEW, self.skew_clock)
        faults.learn(Act.CALM, self.calm)
        faults.learn(Act.BURST, self.burst)
        faults.learn(Act.HALT, self.halt)
        faults.learn(Act.RESUME, self.resume)
        faults.learn(Act.DELIST, self.delist)
        faults.learn(Act.LIST, self.list)
        faults.learn(Act.TICK_SIZE, self.set_tick_size)

    def skew_clock(self, order: FaultCommand) -> None:
        """In whole steps, so that streams go on speaking at their intervals."""
        self._market_view.skew_ns = (
            round(order.seconds * NANOSECONDS_PER_SECOND / STEP_NS) * STEP_NS
        )

    def calm(self, order: FaultCommand) -> None:
        """What is under way still arrives."""
        self._market.calm(round(order.seconds * NANOSECONDS_PER_SECOND))

    def burst(self, order: FaultCommand) -> None:
        """Many trades at one moment."""
        text = order.value or str(BURST_TRADES_USUAL)
        if not text.isdigit() or not 1 <= int(text) <= BURST_TRADES_MAX:
            raise ValueError(f"value must be a number of trades, 1 to {BURST_TRADES_MAX}")
        self._market.burst(self._market_view.instrument(order.symbol), int(text))

    def halt(self, order: FaultCommand) -> None:
        """No trade, no quote; it stays listed."""
        self._market.halt(self._market_view.instrument(order.symbol))
        self._market_view.relist(order.symbol, halted=True)

    def resume(self, order: FaultCommand) -> None:
        """It trades again, as before."""
        self._market.resume(self._market_view.instrument(order.symbol))
        self._market_view.relist(order.symbol, halted=False)

    def delist(self, order: FaultCommand) -> None:
        """It is gone from the list, and silent."""
        self._market.halt(self._market_view.instrument(order.symbol))
        self._market_view.delist(order.symbol)

    def list(self, order: FaultCommand) -> None:
        """A delisted one again, or a new one."""
        if not order.value:
            self._market.resume(self._market_view.list_again(order.symbol))
            return
        instrument = replace(self._market_view.instrument(order.symbol), base=order.value)
        self._market_view.enter(instrument)

    def set_tick_size(self, order: FaultCommand) -> None:
        """New prices follow it; those that are in the book stay."""
        instrument = self._market_view.instrument(order.symbol)
        self._market.set_grain(instrument, _ticks(instrument, order.value))
        self._market_view.relist(order.symbol, tick_size=order.value)


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
