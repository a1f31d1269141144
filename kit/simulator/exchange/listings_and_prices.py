"""Listings and prices of the instruments that accounts trade."""

from collections.abc import Mapping
from decimal import Decimal
from weakref import WeakKeyDictionary

from kit.simulator.dialect import MarketView
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import MatchingEngine

DOLLARS = frozenset({"USD", "USDT", "USDC"})
"""Assets that count as US dollars."""
_known: WeakKeyDictionary[MatchingEngine, dict[str, Listing]] = WeakKeyDictionary()


def known_listings(market_view: MarketView) -> Mapping[str, Listing]:
    """Listings by symbol, also of delisted instruments: accounts still have orders of them."""
    listed = {listing.symbol: listing for listing in market_view.listings()}
    if market_view.engine is None:
        return listed
    known = _known.setdefault(market_view.engine, {})
    known.update(listed)
    return known


def last_price(market_view: MarketView, symbol: str) -> Decimal | None:
    """The price of the newest trade of a listed symbol; None: there was none."""
    newest = market_view.history(symbol).latest(1)
    return Decimal(newest[0].price) if newest else None


def in_dollars(amount: Decimal, asset: str, market: str, market_view: MarketView) -> Decimal:
    """The value by the last trade in ``market``, a symbol; 0 when it is not listed."""
    if asset in DOLLARS:
        return amount
    listed = any(listing.symbol == market for listing in market_view.listings())
    price = last_price(market_view, market) if listed else None
    return amount * price if price is not None else Decimal(0)


def whole_ticks(distance: Decimal, listing: Listing) -> Decimal:
    """A distance in price for the engine: cut to ticks, at least one."""
    tick = Decimal(listing.tick_size)
    return max(distance // tick, Decimal(1)) * tick
