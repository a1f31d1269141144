"""What is known of an instrument in which an account trades."""

from collections.abc import Mapping
from decimal import Decimal
from weakref import WeakKeyDictionary

from kit.simulator.dialect import MarketView
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import MatchingEngine

DOLLARS = frozenset({"USD", "USDT", "USDC"})
"""What stands for US dollars."""
_known: WeakKeyDictionary[MatchingEngine, dict[str, Listing]] = WeakKeyDictionary()


def known_listings(market_view: MarketView) -> Mapping[str, Listing]:
    """By symbol; also what was listed before, since an account still has orders of it."""
    listed = {listing.symbol: listing for listing in market_view.listings()}
    if market_view.engine is None:
        return listed
    known = _known.setdefault(market_view.engine, {})
    known.update(listed)
    return known


def last_price(market_view: MarketView, symbol: str) -> Decimal | None:
    """Of the newest trade in what is listed; None: there was none."""
    newest = market_view.history(symbol).latest(1)
    return Decimal(newest[0].price) if newest else None


def in_dollars(amount: Decimal, asset: str, market: str, market_view: MarketView) -> Decimal:
    """By the last trade in ``market``, where the asset trades against them; 0 where it does not."""
    if asset in DOLLARS:
        return amount
    listed = any(listing.symbol == market for listing in market_view.listings())
    price = last_price(market_view, market) if listed else None
    return amount * price if price is not None else Decimal(0)


def whole_ticks(distance: Decimal, listing: Listing) -> Decimal:
    """A distance in price as the engine takes it: cut to ticks, at least one."""
    tick = Decimal(listing.tick_size)
    return max(distance // tick, Decimal(1)) * tick
