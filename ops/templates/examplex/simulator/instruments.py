"""Examplex's instruments in the simulated market.

To change: the instruments, their symbols, and the smallest order.
"""

from kit.simulator.listing import Listing
from kit.simulator.market_events import Instrument

INSTRUMENTS = (
    Instrument("BTC", "USD", 2, 5, 1, 61_800.0, 0.05, 0.030, 4.0),
    Instrument("ETH", "USD", 2, 4, 1, 2_650.0, 0.8, 0.035, 3.0),
    Instrument("SOL", "USD", 2, 3, 1, 158.0, 12.0, 0.045, 2.0),
    Instrument("ETH", "BTC", 5, 4, 1, 0.04290, 0.8, 0.015, 0.5),
)


def native_symbol(instrument: Instrument) -> str:
    """``BTC-USD``"""
    return f"{instrument.base}-{instrument.quote}"


def listing(instrument: Instrument) -> Listing:
    """A simulated instrument as Examplex lists it."""
    return Listing(
        native_symbol(instrument),
        instrument.base,
        instrument.quote,
        tick_size=instrument.price_text(1),
        lot_size=instrument.size_text(1),
        minimum_notional="0.0001" if instrument.quote == "BTC" else "5",
    )
