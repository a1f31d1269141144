"""What Kraken calls an asset and a pair, in three ways.

feed        BTC/USDT    ETH/BTC
REST        XBTUSDT     XETHXXBT, short ETHXBT
wsname      XBT/USDT    ETH/XBT, in AssetPairs
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kit.simulator.listing import Listing

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
class Pair:
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


def pair_of(listing: Listing) -> Pair:
    """The names of a listed instrument."""
    base, quote = (SHORT.get(name, name) for name in (listing.base, listing.quote))
    return Pair(
        listing,
        base=LONG.get(listing.base, listing.base),
        quote=LONG.get(listing.quote, listing.quote),
        altname=base + quote,
        wsname=f"{base}/{quote}",
    )


def by_name(listings: Iterable[Listing]) -> Mapping[str, Pair]:
    """Pairs by each name that a REST call may use."""
    found: dict[str, Pair] = {}
    for pair in map(pair_of, listings):
        for name in (pair.altname, pair.wsname, pair.listing.symbol, pair.key):
            found[name] = pair
    return found
