"""The checks of an order before anything is written or sent.

Each error names the field, its value, what is allowed, and the nearest valid value where there is
one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting import amounts, instruments
from kit.accounting.amounts import ZERO, plain
from kit.accounting.stop_triggers import triggers_on_rise
from kit.base.errors import InvalidOrder, NotSupported
from kit.execution.contract import OrderCapabilities, VenueBalance
from kit.execution.order_types import (
    CONDITIONAL,
    IMMEDIATE,
    TAKE_PROFITS,
    TYPES,
    WITH_PRICE,
    WITH_STOP_PRICE,
    is_protective,
)
from kit.execution.orders.request_reader import time_in_force_of
from kit.execution.prices.reference_prices import BestPrices

AMOUNT = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?")
GOOD_TILL_CANCEL = orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
GOOD_TILL_TIME = orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME
TIMES_IN_FORCE = frozenset(orders_pb2.TimeInForce.values())


@dataclass(frozen=True, slots=True)
class PreTradeCheckInputs:
    """What an order is checked against."""

    instrument: types_pb2.Instrument
    capabilities: OrderCapabilities
    now_ns: int
    best: BestPrices | None = None
    balances: Mapping[str, VenueBalance] | None = None
    band_percent: int = 0
    """0: any limit price is allowed, and limit orders need no reference."""
    market_band_percent: int = 0
    """0: market orders need no reference."""
    has_prices: bool = False
    """Whether the process has prices by which orders can be held here."""
    data_problem: str = ""
    """Why an order held here could not be triggered now; "" while the market data is live."""


def check(
    content: orders_pb2.OrderContent,
    inputs: PreTradeCheckInputs,
    *,
    is_amendment: bool = False,
    is_reduction: bool = False,
) -> bool:
    """Check an order. Returns whether it must be held here, because the venue has no such type.
    ``is_amendment``: balances are not checked, as the order itself reserves some. ``is_reduction``:
    only its form is checked, and for one that is held here that it can be triggered; whether it is
    traded now, is large enough and has a sensible price is left to the venue. Raises InvalidOrder,
    NotSupported."""
    _check_words(content)
    size = amount("size", content.size)
    held_here = _check_types(content, inputs)
    _check_time(content, inputs.now_ns)
    price = _check_prices(content, inputs.instrument)
    _check_size(size, inputs.instrument)
    if held_here and not is_amendment:
        check_live_data(inputs)
    if content.stop_price and not is_amendment:
        check_stop_side(content, inputs)
    if is_reduction:
        return held_here
    _check_instrument(inputs.instrument)
    reference = price if price is not None else _reference(content, inputs.best)
    if reference is not None:
        _check_notional(size, reference, inputs.instrument)
    _check_reference(content, inputs)
    if price is not None:
        _check_band(content, price, inputs)
    if not held_here and not is_amendment and content.type not in CONDITIONAL:
        _check_balance(content, size, reference, inputs)
    return held_here


def is_supported(content: orders_pb2.OrderContent, capabilities: OrderCapabilities) -> bool:
    """Whether the venue has this order type, and for a stop also these terms."""
    time_in_force = time_in_force_of(content)
    is_plain = time_in_force == GOOD_TILL_CANCEL and not content.post_only
    any_terms = content.type not in CONDITIONAL or not capabilities.plain_stops_only
    return content.type in capabilities.types and (any_terms or is_plain)


def _check_words(content: orders_pb2.OrderContent) -> None:
    if content.side not in (types_pb2.SIDE_BUY, types_pb2.SIDE_SELL):
        raise _invalid("side", str(content.side), "SIDE_BUY, SIDE_SELL")
    if content.type not in TYPES:
        allowed = ", ".join(sorted(map(orders_pb2.OrderType.Name, TYPES)))
        raise _invalid("type", str(content.type), allowed)
    if content.time_in_force not in TIMES_IN_FORCE:
        allowed = ", ".join(orders_pb2.TimeInForce.keys())
        raise _invalid("time_in_force", str(content.time_in_force), allowed)


def _check_types(content: orders_pb2.OrderContent, inputs: PreTradeCheckInputs) -> bool:
    capabilities = inputs.capabilities
    name = orders_pb2.OrderType.Name(content.type)
    time_in_force = time_in_force_of(content)
    held_here = content.type in CONDITIONAL and not is_supported(content, capabilities)
    if held_here and not inputs.has_prices:
        text = f"the venue has no such {name}, and this process has no prices to hold it here"
        raise NotSupported(text, service="TradeFlow", wanted=name)
    if not held_here and content.type not in capabilities.types:
        raise NotSupported(f"the venue has no {name}", service="TradeFlow", wanted=name)
    can_expire_here = held_here and time_in_force == GOOD_TILL_TIME
    if time_in_force not in capabilities.times_in_force and not can_expire_here:
        name = orders_pb2.TimeInForce.Name(time_in_force)
        raise NotSupported(f"the venue has no {name}", service="TradeFlow", wanted=name)
    if content.reduce_only and not capabilities.reduce_only:
        text = "the venue has no reduce-only orders"
        raise NotSupported(text, service="TradeFlow", wanted="reduce_only")
    if content.post_only:
        if content.type not in WITH_PRICE:
            raise _invalid("post_only", "true", f"false for {name}", "false")
        if content.time_in_force in IMMEDIATE:
            raise _invalid("post_only", "true", "false for an immediate order", "false")
    if content.type == orders_pb2.ORDER_TYPE_MARKET and content.time_in_force not in (
        orders_pb2.TIME_IN_FORCE_UNSPECIFIED,
        *IMMEDIATE,
    ):
        value = orders_pb2.TimeInForce.Name(content.time_in_force)
        nearest = "TIME_IN_FORCE_IMMEDIATE_OR_CANCEL"
        raise _invalid("time_in_force", value, f"{nearest} for a market order", nearest)
    return held_here


def _check_time(content: orders_pb2.OrderContent, now_ns: int) -> None:
    value = content.expire_time_ns
    if content.time_in_force == GOOD_TILL_TIME:
        if value <= now_ns:
            raise _invalid("expire_time_ns", str(value), f"after {now_ns}, which is now")
    elif value:
        raise _invalid("expire_time_ns", str(value), "0 without GOOD_TILL_TIME", "0")


def _check_instrument(instrument: types_pb2.Instrument) -> None:
    if instrument.status not in (
        types_pb2.INSTRUMENT_STATUS_TRADING,
        types_pb2.INSTRUMENT_STATUS_UNSPECIFIED,
    ):
        status = types_pb2.InstrumentStatus.Name(instrument.status)
        allowed = f"an instrument that trades; {instrument.symbol} is {status}"
        raise _invalid("symbol", instrument.symbol, allowed)


def _check_prices(
    content: orders_pb2.OrderContent, instrument: types_pb2.Instrument
) -> Decimal | None:
    tick = _limit(instrument.price_tick)
    price = _price("price", content.price, content.type in WITH_PRICE, content.type)
    stop_price = _price(
        "stop_price", content.stop_price, content.type in WITH_STOP_PRICE, content.type
    )
    trails = content.type == orders_pb2.ORDER_TYPE_TRAILING_STOP
    offset = _price("trailing_offset", content.trailing_offset, trails, content.type)
    for field, amount in (
        ("price", price),
        ("stop_price", stop_price),
        ("trailing_offset", offset),
    ):
        if amount is not None and tick is not None and not amounts.is_multiple(amount, tick):
            nearest = max(amounts.nearest_to(amount, tick), tick)
            raise _invalid(field, plain(amount), f"a multiple of {plain(tick)}", plain(nearest))
    return price


def _price(
    field: str, text: str, is_required: bool, kind: "orders_pb2.OrderType.ValueType"
) -> Decimal | None:
    if is_required:
        return amount(field, text)
    if text:
        raise _invalid(field, text[:80], f"empty for {orders_pb2.OrderType.Name(kind)}", "")
    return None


def _check_size(size: Decimal, instrument: types_pb2.Instrument) -> None:
    step = _limit(instrument.size_step)
    least = _limit(instrument.size_min) or step
    if least is not None and size < least:
        valid = amounts.ceil_to(least, step) if step is not None else least
        allowed = f"at least {plain(least)}{_unit_of_sizes(instrument)}"
        raise _invalid("size", plain(size), allowed, plain(valid))
    if step is not None and not amounts.is_multiple(size, step):
        # The nearest valid size is never more than what was requested.
        nearest = amounts.floor_to(size, step)
        allowed = f"a multiple of {plain(step)}{_unit_of_sizes(instrument)}"
        raise _invalid("size", plain(size), allowed, plain(nearest))


def _unit_of_sizes(instrument: types_pb2.Instrument) -> str:
    """For the end of what is allowed: a size may be invalid because it is in another unit."""
    unit = instruments.size_unit(instrument)
    return f" (sizes of {instrument.symbol} are {unit})" if unit else ""


def _check_notional(size: Decimal, price: Decimal, instrument: types_pb2.Instrument) -> None:
    least = _limit(instrument.notional_min)
    notional = instruments.notional(instrument, size, price)
    if least is None or notional is None or notional >= least:
        return
    allowed = f"a notional of at least {plain(least)} {instrument.quote}; it is {plain(notional)}"
    raise _invalid("size", plain(size), allowed, plain(_size_worth(least, price, instrument)))


def _size_worth(notional: Decimal, price: Decimal, instrument: types_pb2.Instrument) -> Decimal:
    """The smallest size whose value is the notional."""
    step = _limit(instrument.size_step) or Decimal("1e-8")
    value_of_step = instruments.notional(instrument, step, price)
    if not value_of_step:
        return ZERO
    return amounts.product(amounts.steps_up(notional, value_of_step), step)


def size_min_of(instrument: types_pb2.Instrument, price: Decimal | None) -> Decimal:
    """Return the venue's minimum size at a price; 0 where it publishes none."""
    least = _limit(instrument.size_min) or _limit(instrument.size_step) or ZERO
    notional = _limit(instrument.notional_min)
    if notional is None or price is None:
        return least
    return max(least, _size_worth(notional, price, instrument))


def _check_reference(content: orders_pb2.OrderContent, inputs: PreTradeCheckInputs) -> None:
    """Check that the price of an entry can be judged: without a proven book there is no entry.
    Orders that reduce, stops and take-profits, and exits of a group need none."""
    is_market = content.type == orders_pb2.ORDER_TYPE_MARKET
    band_percent = inputs.market_band_percent if is_market else inputs.band_percent
    if (
        inputs.best is not None
        or inputs.capabilities.waits_for_book
        or not band_percent
        or is_protective(content)
    ):
        return
    symbol = inputs.instrument.symbol
    allowed = f"a symbol with a proven order book: subscribe to BOOK of {symbol}"
    raise _invalid("symbol", symbol, allowed)


def _check_band(
    content: orders_pb2.OrderContent, price: Decimal, inputs: PreTradeCheckInputs
) -> None:
    """Check the distance of a limit price from the best price, or from the stop price of its
    order."""
    if not inputs.band_percent:
        return
    if content.stop_price:
        ask = bid = Decimal(content.stop_price)
    elif inputs.best is not None:
        bid, ask = inputs.best
    else:
        return
    best = BestPrices(bid, ask)
    buys = content.side == types_pb2.SIDE_BUY
    bound = band_price(best, buys, inputs.band_percent)
    nearest = plain(_to_tick(bound, buys, inputs.instrument))
    if buys and price > bound:
        raise _invalid("price", plain(price), f"at most {plain(bound)}", nearest)
    if not buys and price < bound:
        raise _invalid("price", plain(price), f"at least {plain(bound)}", nearest)


def check_live_data(inputs: PreTradeCheckInputs) -> None:
    """Check that an order that waits here can be triggered. Raises InvalidOrder."""
    if inputs.data_problem:
        symbol = inputs.instrument.symbol
        allowed = f"a symbol with live market data, as the order waits here: {inputs.data_problem}"
        raise _invalid("symbol", symbol, allowed)


def check_stop_side(content: orders_pb2.OrderContent, inputs: PreTradeCheckInputs) -> None:
    """Check that the market has not reached the stop price yet: such an order would be triggered at
    once, or be taken for the opposite type. Raises InvalidOrder."""
    best = inputs.best
    if best is None:
        return
    stop_price = Decimal(content.stop_price)
    buys = content.side == types_pb2.SIDE_BUY
    on_rise = triggers_on_rise(buys, content.type in TAKE_PROFITS)
    name = orders_pb2.OrderType.Name(content.type)
    if on_rise and stop_price <= best.ask:
        allowed = f"above the best ask {plain(best.ask)} for this {name}"
        raise _invalid("stop_price", plain(stop_price), allowed)
    if not on_rise and stop_price >= best.bid:
        allowed = f"below the best bid {plain(best.bid)} for this {name}"
        raise _invalid("stop_price", plain(stop_price), allowed)


def worst_price(
    best: BestPrices, buys: bool, percent: int, instrument: types_pb2.Instrument
) -> Decimal:
    """Return the price beyond which a market order is not to trade: a multiple of the tick."""
    return _to_tick(band_price(best, buys, percent), buys, instrument)


def band_price(best: BestPrices, buys: bool, percent: int) -> Decimal:
    """Return the price that is so much worse than the best price of the other side."""
    part = Decimal(percent).scaleb(-2)
    if buys:
        return amounts.product(best.ask, amounts.add(Decimal(1), part))
    return amounts.product(best.bid, amounts.subtract(Decimal(1), part))


def _to_tick(price: Decimal, buys: bool, instrument: types_pb2.Instrument) -> Decimal:
    tick = _limit(instrument.price_tick) or Decimal("1e-8")
    return amounts.floor_to(price, tick) if buys else amounts.ceil_to(price, tick)


def _check_balance(
    content: orders_pb2.OrderContent,
    size: Decimal,
    price: Decimal | None,
    inputs: PreTradeCheckInputs,
) -> None:
    """Check the balance of a spot order; the margin of a derivative is the venue's calculation.
    Fees are left out, and the total balance counts: the last report may still show the reservation
    of an order that was just cancelled."""
    instrument = inputs.instrument
    if inputs.balances is None or instrument.kind != types_pb2.INSTRUMENT_KIND_SPOT:
        return
    sells = content.side == types_pb2.SIDE_SELL
    asset = instrument.base if sells else instrument.quote
    if not sells and price is None:
        return
    needed = size if sells or price is None else amounts.product(size, price)
    balance = inputs.balances.get(asset)
    # A report has every balance that is not zero: one that is missing in it is zero, and not
    # unlimited.
    owned = ZERO if balance is None else balance.total
    if needed <= owned:
        return
    step = _limit(instrument.size_step) or Decimal("1e-8")
    affordable = owned
    if not sells and price is not None:
        affordable = amounts.quotient(owned, price)
    nearest = amounts.floor_to(affordable, step)
    allowed = f"at most what {plain(owned)} {asset} can pay; {plain(needed)} are needed"
    raise _invalid("size", plain(size), allowed, plain(nearest) if nearest > ZERO else "")


def _reference(content: orders_pb2.OrderContent, best: BestPrices | None) -> Decimal | None:
    """The price at which an order without a limit price will roughly be filled."""
    if content.stop_price:
        return Decimal(content.stop_price)
    if best is None:
        return None
    return best.ask if content.side == types_pb2.SIDE_BUY else best.bid


def amount(field: str, text: str) -> Decimal:
    """Return the amount of a decimal text above zero, without sign or exponent. Raises
    InvalidOrder."""
    allowed = "decimal text above zero, without an exponent, of up to 40 digits"
    if not AMOUNT.fullmatch(text):
        raise _invalid(field, text[:80], allowed)
    found = Decimal(text)
    if found <= ZERO:
        raise _invalid(field, text[:80], allowed)
    return found


def _limit(text: str) -> Decimal | None:
    """A limit of an instrument; None where it has none."""
    limit = Decimal(text) if text else ZERO
    return limit if limit > ZERO else None


def _invalid(field: str, value: str, allowed: str, nearest: str = "") -> InvalidOrder:
    text = f"{field} is {value!r}; allowed is {allowed}"
    if nearest:
        text += f"; the nearest is {nearest}"
    return InvalidOrder(text, field=field, value=value, allowed=allowed, nearest=nearest)
