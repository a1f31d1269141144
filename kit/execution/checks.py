"""What can be refused before anything is written or sent.

Each refusal says the field, its value, what is allowed, and the nearest valid value where there is
one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import InvalidOrder, NotSupported
from kit.execution import amounts
from kit.execution.amounts import ZERO
from kit.execution.approval import plain
from kit.execution.contract import OrderCapabilities, VenueBalance
from kit.execution.local_stops import BestPrices
from kit.execution.orders.order import time_in_force_of

AMOUNT = re.compile(r"[0-9]{1,40}(\.[0-9]{1,40})?")
STOPS = frozenset(
    {
        orders_pb2.ORDER_TYPE_STOP,
        orders_pb2.ORDER_TYPE_STOP_LIMIT,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
        orders_pb2.ORDER_TYPE_TRAILING_STOP,
    }
)
TYPES = STOPS | {orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT}
WITH_PRICE = frozenset(
    {
        orders_pb2.ORDER_TYPE_LIMIT,
        orders_pb2.ORDER_TYPE_STOP_LIMIT,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
    }
)
WITH_STOP_PRICE = STOPS - {orders_pb2.ORDER_TYPE_TRAILING_STOP}
GOOD_TILL_CANCEL = orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
GOOD_TILL_TIME = orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME
TIMES_IN_FORCE = frozenset(orders_pb2.TimeInForce.values())
IMMEDIATE = frozenset(
    {orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL, orders_pb2.TIME_IN_FORCE_FILL_OR_KILL}
)


@dataclass(frozen=True, slots=True)
class Known:
    """What an order is checked against."""

    instrument: types_pb2.Instrument
    rules: OrderCapabilities
    now_ns: int
    best: BestPrices | None = None
    balances: Mapping[str, VenueBalance] | None = None
    band_percent: int = 0
    """0: any price."""
    prices_are_heard: bool = False
    """Whether orders can be held here."""


def check(content: orders_pb2.OrderContent, known: Known, *, is_amendment: bool = False) -> bool:
    """Raises InvalidOrder, NotSupported. Returns whether the order must be held here, as the venue
    has no such type. ``is_amendment``: what the account has is not looked at, as some of it is
    bound in the order itself."""
    _check_words(content)
    size = amount("size", content.size)
    is_held = _check_types(content, known)
    _check_time(content, known.now_ns)
    _check_instrument(known.instrument)
    price = _check_prices(content, known.instrument)
    _check_size(size, known.instrument)
    reference = price if price is not None else _reference(content, known.best)
    if reference is not None:
        _check_notional(size, reference, known.instrument)
    if price is not None and content.type == orders_pb2.ORDER_TYPE_LIMIT:
        _check_band(content.side, price, known)
    if not is_held and not is_amendment and content.type not in STOPS:
        _check_balance(content, size, reference, known)
    return is_held


def is_had(content: orders_pb2.OrderContent, rules: OrderCapabilities) -> bool:
    """Whether the venue has an order of this type, and of a stop one with these terms."""
    time_in_force = time_in_force_of(content)
    is_plain = time_in_force == GOOD_TILL_CANCEL and not content.post_only
    is_free = content.type not in STOPS or is_plain or not rules.plain_stops_only
    return content.type in rules.types and is_free


def _check_words(content: orders_pb2.OrderContent) -> None:
    if content.side not in (types_pb2.SIDE_BUY, types_pb2.SIDE_SELL):
        raise _invalid("side", str(content.side), "SIDE_BUY, SIDE_SELL")
    if content.type not in TYPES:
        allowed = ", ".join(sorted(map(orders_pb2.OrderType.Name, TYPES)))
        raise _invalid("type", str(content.type), allowed)
    if content.time_in_force not in TIMES_IN_FORCE:
        allowed = ", ".join(orders_pb2.TimeInForce.keys())
        raise _invalid("time_in_force", str(content.time_in_force), allowed)


def _check_types(content: orders_pb2.OrderContent, known: Known) -> bool:
    rules = known.rules
    name = orders_pb2.OrderType.Name(content.type)
    time_in_force = time_in_force_of(content)
    is_held = content.type in STOPS and not is_had(content, rules)
    if is_held and not known.prices_are_heard:
        text = f"the venue has no such {name}, and no prices are heard here to hold it by"
        raise NotSupported(text, service="TradeFlow", wanted=name)
    if not is_held and content.type not in rules.types:
        raise NotSupported(f"the venue has no {name}", service="TradeFlow", wanted=name)
    may_wait = is_held and time_in_force == GOOD_TILL_TIME
    if time_in_force not in rules.times_in_force and not may_wait:
        name = orders_pb2.TimeInForce.Name(time_in_force)
        raise NotSupported(f"the venue has no {name}", service="TradeFlow", wanted=name)
    if content.reduce_only and not rules.reduce_only:
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
    return is_held


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
    price = _wanted("price", content.price, content.type in WITH_PRICE, content.type)
    stop_price = _wanted(
        "stop_price", content.stop_price, content.type in WITH_STOP_PRICE, content.type
    )
    trails = content.type == orders_pb2.ORDER_TYPE_TRAILING_STOP
    offset = _wanted("trailing_offset", content.trailing_offset, trails, content.type)
    for field, amount in (
        ("price", price),
        ("stop_price", stop_price),
        ("trailing_offset", offset),
    ):
        if amount is not None and tick is not None and not amounts.is_multiple(amount, tick):
            nearest = max(amounts.nearest_to(amount, tick), tick)
            raise _invalid(field, plain(amount), f"a multiple of {plain(tick)}", plain(nearest))
    return price


def _wanted(
    field: str, text: str, is_wanted: bool, kind: "orders_pb2.OrderType.ValueType"
) -> Decimal | None:
    if is_wanted:
        return amount(field, text)
    if text:
        raise _invalid(field, text[:80], f"empty for {orders_pb2.OrderType.Name(kind)}", "")
    return None


def _check_size(size: Decimal, instrument: types_pb2.Instrument) -> None:
    step = _limit(instrument.size_step)
    least = _limit(instrument.size_min) or step
    if least is not None and size < least:
        valid = amounts.ceil_to(least, step) if step is not None else least
        raise _invalid("size", plain(size), f"at least {plain(least)}", plain(valid))
    if step is not None and not amounts.is_multiple(size, step):
        # Never more than was asked for.
        nearest = amounts.floor_to(size, step)
        raise _invalid("size", plain(size), f"a multiple of {plain(step)}", plain(nearest))


def _check_notional(size: Decimal, price: Decimal, instrument: types_pb2.Instrument) -> None:
    least = _limit(instrument.notional_min)
    contract = _limit(instrument.contract_size) or Decimal(1)
    if least is None:
        return
    notional = amounts.product(amounts.product(size, price), contract)
    if notional >= least:
        return
    allowed = f"price times size at least {plain(least)}; it is {plain(notional)}"
    raise _invalid("size", plain(size), allowed, plain(_worth(least, price, instrument)))


def _worth(notional: Decimal, price: Decimal, instrument: types_pb2.Instrument) -> Decimal:
    """The smallest size that is worth so much."""
    contract = _limit(instrument.contract_size) or Decimal(1)
    step = _limit(instrument.size_step) or Decimal("1e-8")
    unit = amounts.product(amounts.product(step, price), contract)
    return amounts.product(amounts.steps_up(notional, unit), step)


def least_of(instrument: types_pb2.Instrument, price: Decimal | None) -> Decimal:
    """The smallest size that the venue takes at a price; 0 where it does not say."""
    least = _limit(instrument.size_min) or _limit(instrument.size_step) or ZERO
    notional = _limit(instrument.notional_min)
    if notional is None or price is None:
        return least
    return max(least, _worth(notional, price, instrument))


def _check_band(side: int, price: Decimal, known: Known) -> None:
    if known.best is None or not known.band_percent:
        return
    part = Decimal(known.band_percent).scaleb(-2)
    tick = _limit(known.instrument.price_tick) or Decimal("1e-8")
    if side == types_pb2.SIDE_BUY:
        most = amounts.product(known.best.ask, amounts.add(Decimal(1), part))
        if price > most:
            nearest = plain(amounts.floor_to(most, tick))
            raise _invalid("price", plain(price), f"at most {plain(most)}", nearest)
    else:
        least = amounts.product(known.best.bid, amounts.subtract(Decimal(1), part))
        if price < least:
            nearest = plain(amounts.ceil_to(least, tick))
            raise _invalid("price", plain(price), f"at least {plain(least)}", nearest)


def _check_balance(
    content: orders_pb2.OrderContent, size: Decimal, price: Decimal | None, known: Known
) -> None:
    """Only of spot: what a derivative needs is the venue's own calculation. Fees are left out, and
    all that there is counts as free: an order that was cancelled a moment ago may not be freed in
    what the venue said last."""
    instrument = known.instrument
    if known.balances is None or instrument.kind != types_pb2.INSTRUMENT_KIND_SPOT:
        return
    sells = content.side == types_pb2.SIDE_SELL
    asset = instrument.base if sells else instrument.quote
    if not sells and price is None:
        return
    needed = size if sells or price is None else amounts.product(size, price)
    balance = known.balances.get(asset)
    if balance is None or needed <= balance.total:
        return
    step = _limit(instrument.size_step) or Decimal("1e-8")
    affordable = balance.total
    if not sells and price is not None:
        affordable = amounts.quotient(balance.total, price)
    nearest = amounts.floor_to(affordable, step)
    allowed = f"at most what {plain(balance.total)} {asset} pay; {plain(needed)} are needed"
    raise _invalid("size", plain(size), allowed, plain(nearest) if nearest > ZERO else "")


def _reference(content: orders_pb2.OrderContent, best: BestPrices | None) -> Decimal | None:
    """The price at which an order without one will be filled, roughly."""
    if content.stop_price:
        return Decimal(content.stop_price)
    if best is None:
        return None
    return best.ask if content.side == types_pb2.SIDE_BUY else best.bid


def amount(field: str, text: str) -> Decimal:
    """Digits and a point: no exponent, no sign, no NaN. Above zero."""
    allowed = "decimal text above zero, without an exponent, of up to 40 digits"
    if not AMOUNT.fullmatch(text):
        raise _invalid(field, text[:80], allowed)
    found = Decimal(text)
    if found <= ZERO:
        raise _invalid(field, text[:80], allowed)
    return found


def _limit(text: str) -> Decimal | None:
    """A limit of an instrument; None when there is none."""
    limit = Decimal(text) if text else ZERO
    return limit if limit > ZERO else None


def _invalid(field: str, value: str, allowed: str, nearest: str = "") -> InvalidOrder:
    text = f"{field} is {value!r}; allowed is {allowed}"
    if nearest:
        text += f"; the nearest is {nearest}"
    return InvalidOrder(text, field=field, value=value, allowed=allowed, nearest=nearest)
