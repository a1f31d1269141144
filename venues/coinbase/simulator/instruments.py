"""Coinbase's instruments in the simulated market, and the names of its assets."""

from collections.abc import Mapping

from kit.simulator.dialect import MarketView
from kit.simulator.listing import Listing
from kit.simulator.market_events import Instrument

INSTRUMENTS = (
    Instrument("BTC", "USD", 2, 8, 1, 61_800.0, 0.05, 0.030, 4.0),
    Instrument("ETH", "USD", 2, 8, 1, 2_650.0, 0.8, 0.035, 3.0),
    Instrument("SOL", "USD", 2, 8, 1, 158.0, 12.0, 0.045, 2.0),
    Instrument("XRP", "USD", 4, 6, 1, 0.5800, 900.0, 0.045, 1.0),
    Instrument("DOGE", "USD", 5, 1, 1, 0.10400, 4_000.0, 0.050, 1.0),
    Instrument("ETH", "BTC", 5, 8, 1, 0.04290, 0.8, 0.015, 0.5),
)
FIAT = ("USD", "EUR", "GBP")
ASSET_NAMES: Mapping[str, str] = {
    "USD": "US Dollar",
    "EUR": "Euro",
    "GBP": "British Pound",
    "BTC": "Bitcoin",
    "ETH": "Ethereum",
    "SOL": "Solana",
    "DOGE": "Dogecoin",
}
"""Any other asset has its symbol for a name."""


def product_id(instrument: Instrument) -> str:
    """``BTC-USD``"""
    return f"{instrument.base}-{instrument.quote}"


def listing(instrument: Instrument) -> Listing:
    """A simulated instrument as Coinbase lists it."""
    return Listing(
        product_id(instrument),
        instrument.base,
        instrument.quote,
        tick_size=instrument.price_text(1),
        lot_size=instrument.size_text(1),
        minimum_notional="0.000016" if instrument.quote == "BTC" else "1",
    )


def asset_name(asset: str) -> str:
    """``Bitcoin`` for ``BTC``."""
    return ASSET_NAMES.get(asset, asset)


def assets(market_view: MarketView) -> list[str]:
    """The assets of all listed instruments, sorted."""
    return sorted({name for one in market_view.listings() for name in (one.base, one.quote)})


def assets_of(symbol: str) -> tuple[str, str]:
    """Base and quote of ``BTC-USD``."""
    base, _, quote = symbol.partition("-")
    return base, quote
