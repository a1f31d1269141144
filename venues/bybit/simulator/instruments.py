"""Bybit's spot instruments in the simulated market."""

from decimal import Decimal

from kit.simulator.listing import Listing
from kit.simulator.market_events import Instrument
from kit.simulator.text_conversion import plain

INSTRUMENTS = (
    Instrument("BTC", "USDT", 1, 6, 1, 61_800.0, 0.05, 0.030, 4.0),
    Instrument("ETH", "USDT", 2, 5, 1, 2_650.0, 0.8, 0.035, 3.0),
    Instrument("SOL", "USDT", 2, 3, 1, 158.0, 12.0, 0.045, 2.0),
    Instrument("XRP", "USDT", 4, 2, 1, 0.5800, 900.0, 0.045, 1.0),
    Instrument("DOGE", "USDT", 5, 1, 1, 0.10400, 4_000.0, 0.050, 1.0),
    Instrument("ETH", "BTC", 6, 3, 1, 0.042900, 0.8, 0.015, 0.5),
)


def native_symbol(instrument: Instrument) -> str:
    """``BTCUSDT``"""
    return instrument.base + instrument.quote


def listing(instrument: Instrument) -> Listing:
    """A simulated instrument as Bybit lists it."""
    return Listing(
        native_symbol(instrument),
        instrument.base,
        instrument.quote,
        tick_size=plain(Decimal(instrument.price_text(1))),
        lot_size=plain(Decimal(instrument.size_text(1))),
        minimum_notional="0.0001" if instrument.quote == "BTC" else "5",
    )
