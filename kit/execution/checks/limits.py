"""The limits of accounts and keys: a pure check of an order against what is open and held.

Reductions are exempt and do not come here. An order that is labelled reduce_only and is more than
the position is checked by its size, notional and rate only: the venue does not let it open a
position.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO, plain
from kit.accounting.instruments import notional_asset, notional_in_asset
from kit.base.errors import LimitExceeded
from kit.execution.account_terms import OrderLimits
from kit.execution.checks.pre_trade_checks import amount, worst_price
from kit.execution.prices.reference_prices import BestPrices


@dataclass(frozen=True, slots=True)
class LimitState:
    """What an order is compared with, besides its limits."""

    whose: str
    """Whose limits they are, for example "the account binance/main" or "the key desk"."""
    instrument: types_pb2.Instrument
    best: BestPrices | None = None
    market_band_percent: int = 0
    """How far beyond the best price a market order may trade; 0: at any price."""
    open_orders: int = 0
    """How many open orders may open a position."""
    recent_orders: int = 0
    """How many orders were accepted within the last second."""
    exposure: Decimal = ZERO
    """The position on the order's side if all open orders of that side were filled and everything
    on the other side were closed before."""
    filled_size: Decimal = ZERO
    """Of an order that is amended, what is filled; the exposure includes it, not the rest."""
    orders: int = 1
    """How many open orders it would be: the alternatives of a group count each."""
    is_amendment: bool = False
    """An amendment adds no open order."""


def check(limits: OrderLimits, state: LimitState, content: orders_pb2.OrderContent) -> None:
    """Check an order, or an amendment that enlarges one. Raises LimitExceeded, InvalidOrder."""
    size, symbol = amount("size", content.size), content.symbol
    _check_counts(limits, state, content)
    largest = limits.order_size_max.get(symbol)
    if largest is not None and size > largest:
        raise _exceeded("order_size_max", "size", plain(size), plain(largest), state)
    price = highest_price(content, state)
    _check_notional("order_notional_max", limits.order_notional_max, size, price, state)
    if not opens_position(content, state.instrument):
        return
    left = amounts.subtract(size, state.filled_size)
    position = amounts.add(state.exposure, left)
    largest = limits.position_size_max.get(symbol)
    if largest is not None and position > largest:
        name = "the position with all open orders"
        raise _exceeded("position_size_max", name, plain(position), plain(largest), state)
    if state.best is not None and price is not None:
        # The position is valued at the market, which may be above a limit price.
        price = max(price, state.best.ask)
    _check_notional("position_notional_max", limits.position_notional_max, position, price, state)


def opens_position(content: orders_pb2.OrderContent, instrument: types_pb2.Instrument) -> bool:
    """Whether an order may open or enlarge a position. A sale on spot, an exit of a bracket and an
    order that the venue holds to reduce_only cannot."""
    is_spot = instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT
    is_sale = is_spot and content.side == types_pb2.SIDE_SELL
    is_exit = content.group.role == orders_pb2.GROUP_ROLE_EXIT
    return not (content.reduce_only or is_exit or is_sale)


def highest_price(content: orders_pb2.OrderContent, state: LimitState) -> Decimal | None:
    """Return the highest price at which an order may be filled, as far as it is known: of a
    purchase its limit or worst price, of a sale at least the best bid."""
    best, buys = state.best, content.side == types_pb2.SIDE_BUY
    if content.price:
        price = Decimal(content.price)
        return price if buys or best is None else max(price, best.bid)
    stop_price = Decimal(content.stop_price) if content.stop_price else None
    if stop_price is not None:
        best = BestPrices(stop_price, stop_price)
    if best is None:
        return None
    if buys and state.market_band_percent:
        return worst_price(best, buys, state.market_band_percent, state.instrument)
    return best.ask if buys else best.bid


def _check_counts(limits: OrderLimits, state: LimitState, content: orders_pb2.OrderContent) -> None:
    per_second, open_max = limits.orders_per_second_max, limits.open_orders_max
    recent = state.recent_orders + state.orders
    if per_second is not None and recent > per_second:
        name = "the number of orders within a second"
        raise _exceeded("orders_per_second_max", name, str(recent), str(per_second), state)
    count = state.open_orders + state.orders
    if state.is_amendment or not opens_position(content, state.instrument):
        return
    if open_max is not None and count > open_max:
        name = "the number of open orders"
        raise _exceeded("open_orders_max", name, str(count), str(open_max), state)


def _check_notional(
    limit: str,
    largest_by_asset: Mapping[str, Decimal],
    size: Decimal,
    price: Decimal | None,
    state: LimitState,
) -> None:
    if not largest_by_asset:
        return
    instrument = state.instrument
    asset, found = notional_asset(instrument), notional_in_asset(instrument, size, price)
    largest = largest_by_asset.get(asset)
    name = "the notional" if limit == "order_notional_max" else "the notional of the position"
    if largest is None:
        known = ", ".join(sorted(largest_by_asset))
        raise _exceeded(limit, "the quote asset", asset, f"one of {known}", state)
    if found is None:
        allowed = f"{plain(largest)} {asset}; subscribe to BOOK of {instrument.symbol}"
        value = "unknown, as there is no price"
        raise _exceeded(limit, name, value, allowed, state)
    if found > largest:
        value = f"{plain(found)} {asset}"
        raise _exceeded(limit, name, value, f"{plain(largest)} {asset}", state)


def _exceeded(limit: str, field: str, value: str, allowed: str, state: LimitState) -> LimitExceeded:
    symbol, whose = state.instrument.symbol, state.whose
    text = f"{field} would be {value}; {limit} of {whose} allows {allowed} for {symbol}"
    is_rate = limit == "orders_per_second_max"
    text += "; try again in a second" if is_rate else "; place a smaller one, or cancel open orders"
    metadata = {"limit_name": limit, "field": field, "value": value, "limit": allowed}
    return LimitExceeded(text, whose=whose, **metadata)
