"""Kraken's instruments in the simulated market, and the names of its assets and pairs.

feed        BTC/USDT    ETH/BTC
REST        XBTUSDT     XETHXXBT, short ETHXBT
wsname      XBT/USDT    ETH/XBT, in AssetPairs
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kit.simulator.listing import Listing
from kit.simulator.market_events import Instrument

INSTRUMENTS = (
    Instrument("BTC", "USDT", 1, 8, 1, 61_800.0, 0.05, 0.030, 4.0),
    Instrument("ETH", "USDT", 2, 8, 1, 2_650.0, 0.8, 0.035, 3.0),
    Instrument("SOL", "USDT", 2, 8, 1, 158.0, 12.0, 0.045, 2.0),
    Instrument("XRP", "USDT", 5, 8, 1, 0.5800, 900.0, 0.045, 1.0),
    Instrument("DOGE", "USDT", 7, 8, 1, 0.10400, 4_000.0, 0.050, 1.0),
    Instrument("ETH", "BTC", 5, 8, 1, 0.04290, 0.8, 0.015, 0.5),
)

SHORT = {"BTC": "XBT", "DOGE": "XDG"}
LONG = {
    **{
        name: f"X{name}" for name in ("ETC", "ETH", "LTC", "MLN", "REP", "XLM", "XMR", "XRP", "ZEC")
    },
    **{name: f"Z{name}" for name in ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")},
    "BTC": "XXBT",
    "DOGE": "XXDG",
}
"""The oldest assets have a letter in front: X for a coin, Z for a currency of a state."""


@dataclass(frozen=True, slots=True)
class KrakenPair:
    """The names of one pair."""

    listing: Listing
    base: str
    quote: str
    altname: str
    wsname: str

    @property
    def key(self) -> str:
        """Its name in answers: of long names where both assets have one."""
        listing = self.listing
        both = listing.base in LONG and listing.quote in LONG
        return self.base + self.quote if both else self.altname


def pair_of(listing: Listing) -> KrakenPair:
    """The names of a listed instrument."""
    base, quote = (SHORT.get(name, name) for name in (listing.base, listing.quote))
    return KrakenPair(
        listing,
        base=LONG.get(listing.base, listing.base),
        quote=LONG.get(listing.quote, listing.quote),
        altname=base + quote,
        wsname=f"{base}/{quote}",
    )


def by_name(listings: Iterable[Listing]) -> Mapping[str, KrakenPair]:
    """Pairs by each name that a REST call may use."""
    found: dict[str, KrakenPair] = {}
    for pair in map(pair_of, listings):
        for name in (pair.altname, pair.wsname, pair.listing.symbol, pair.key):
            found[name] = pair
    return found


def native_symbol(instrument: Instrument) -> str:
    """``BTC/USDT``"""
    return f"{instrument.base}/{instrument.quote}"


def listing(instrument: Instrument) -> Listing:
    """A simulated instrument as Kraken lists it."""
    return Listing(
        native_symbol(instrument),
        instrument.base,
        instrument.quote,
        tick_size=instrument.price_text(1),
        lot_size=instrument.size_text(1),
        minimum_notional="0.00002" if instrument.quote == "BTC" else "0.5",
    )
