"""Puts together what the costs of an order are computed from."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from google.protobuf.json_format import ParseDict
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2
from venuemesh.history.v1 import order_costs_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.history import order_cost_messages as messages
from core.history.mid_prices import MidPrice, WantedMid
from core.history.stored_orders import StoredOrder, filled_size
from kit.accounting import instruments
from kit.accounting.amounts import add, product
from kit.accounting.costed_orders import (
    CostedFill,
    CostedOrder,
    CostTerms,
    FeeRates,
    Unknown,
)
from kit.accounting.order_costs import OrderCosts, costs_of
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.database import Connection

BID_PRICE, ASK_PRICE = "quote.bid_price", "quote.ask_price"
"""Facts of a decision."""
TRIGGERED = frozenset(
    {
        orders_pb2.ORDER_TYPE_STOP,
        orders_pb2.ORDER_TYPE_STOP_LIMIT,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
        orders_pb2.ORDER_TYPE_TRAILING_STOP,
    }
)
WAITING_ROLES = frozenset({orders_pb2.GROUP_ROLE_ALTERNATIVE, orders_pb2.GROUP_ROLE_EXIT})
LIQUIDITIES = {orders_pb2.LIQUIDITY_MAKER: True, orders_pb2.LIQUIDITY_TAKER: False}
HALF = Decimal("0.5")

# Those of the time at which the order was made; before the first ones are recorded, the first ones.
_TERMS = """
    SELECT wanted.number, found.venue, found.symbol, found.valid_from_ns, found.definition
    FROM unnest(%(venues)s::text[], %(symbols)s::text[], %(times)s::bigint[]) WITH ORDINALITY
        AS wanted (venue, symbol, time_ns, number)
    CROSS JOIN LATERAL (
        SELECT * FROM instrument_terms
        WHERE instrument_terms.venue = wanted.venue AND instrument_terms.symbol = wanted.symbol
        ORDER BY greatest(valid_from_ns - wanted.time_ns, 0), valid_from_ns DESC LIMIT 1
    ) AS found
"""


class Terms(NamedTuple):
    """The terms of an instrument that prices and sizes need."""

    costs: CostTerms
    notional_asset: str


class PricedOrder(NamedTuple):
    """An order with its costs."""

    stored: StoredOrder
    costs: OrderCosts
    strategy: str
    notional_asset: str
    """Empty: not known."""
    message: order_costs_pb2.OrderCosts


Mids = Mapping[WantedMid, MidPrice]


async def terms_of(connection: Connection, orders: Sequence[StoredOrder]) -> list[Terms | None]:
    """The terms of the instrument of each order; None if they are not known."""
    contents = [one.order.content for one in orders]
    values = {
        "venues": [content.venue for content in contents],
        "symbols": [content.symbol for content in contents],
        "times": [one.order.created_time_ns for one in orders],
    }
    found: list[Terms | None] = [None] * len(orders)
    read: dict[tuple[str, str, int], Terms | None] = {}
    async for number, *key, definition in await connection.execute(_TERMS, values):
        name = (*key,)
        if name not in read:
            read[name] = _terms(ParseDict(definition, types_pb2.Instrument()))
        found[number - 1] = read[name]
    return found


def wanted_mids(stored: StoredOrder) -> Iterator[WantedMid]:
    """The mids that the costs of an order need."""
    order = stored.order
    if not waits_for_price(order):
        cause = _cause(stored)
        if cause is not None and _decided_mid(cause) is None:
            yield _mid_at(order, cause.time_ns)
        yield _mid_at(order, order.created_time_ns)
    if is_final(order):
        yield _mid_at(order, order.updated_time_ns)
    for filled in stored.filled:
        for time_ns in _times_after(filled.fill):
            yield _mid_at(order, time_ns)


def priced(
    stored: StoredOrder, mids: Mids, terms: Terms | None, rates: FeeRates | None
) -> PricedOrder:
    """The costs of an order."""
    order = stored.order
    decision_ns, decision = _decision_mid(stored, mids)
    waits = waits_for_price(order)
    arrival = (
        MidPrice(Unknown.WAITS_FOR_PRICE) if waits else _of(order, order.created_time_ns, mids)
    )
    end_ns, end = order.updated_time_ns, MidPrice(Unknown.NOT_YET)
    if is_final(order):
        end = _of(order, end_ns, mids)
    costed = CostedOrder(
        is_buy=order.content.side == types_pb2.SIDE_BUY,
        size=Decimal(order.content.size),
        filled_size=filled_size(order),
        is_final=is_final(order),
        arrival_time_ns=order.created_time_ns,
        end_time_ns=end_ns,
        decision_mid=decision.price,
        arrival_mid=arrival.price,
        end_mid=end.price,
        fills=[_costed_fill(order, filled.fill, mids) for filled in stored.filled],
        waits_for_price=waits,
        trigger_price=Decimal(order.content.stop_price) if order.content.stop_price else None,
    )
    costs = costs_of(costed, terms.costs if terms else None, rates, len(messages.HORIZONS_MS))
    message = messages.costs(costs)
    message.order.CopyFrom(order)
    message.lifecycle_id = stored.lifecycle_id
    message.strategy = _strategy(stored)
    message.waits_for_price = waits
    message.decision_mid.CopyFrom(messages.mid(decision_ns, decision))
    message.arrival_mid.CopyFrom(messages.mid(0 if waits else order.created_time_ns, arrival))
    message.end_mid.CopyFrom(messages.mid(end_ns if is_final(order) else 0, end))
    message.notional_asset = terms.notional_asset if terms else ""
    message.cost_asset = terms.costs.cost_asset if terms else ""
    message.is_partly_filled = is_final(order) and 0 < costed.filled_size < costed.size
    return PricedOrder(stored, costs, message.strategy, message.notional_asset, message)


def waits_for_price(order: orders_pb2.Order) -> bool:
    """Whether nobody has decided when it trades."""
    content = order.content
    return content.type in TRIGGERED or content.group.role in WAITING_ROLES


def is_final(order: orders_pb2.Order) -> bool:
    return order.state >= orders_pb2.ORDER_STATE_FILLED


def _decision_mid(stored: StoredOrder, mids: Mids) -> tuple[int, MidPrice]:
    """The mid of the decision, and the time that it is wanted for."""
    if waits_for_price(stored.order):
        return 0, MidPrice(Unknown.WAITS_FOR_PRICE)
    cause = _cause(stored)
    if cause is None:
        return 0, MidPrice(Unknown.NO_DECISION)
    found = _decided_mid(cause)
    return cause.time_ns, found or _of(stored.order, cause.time_ns, mids)


def _cause(stored: StoredOrder) -> event_pb2.Event | None:
    """The decision or the request that the order follows from."""
    content = stored.order.content
    for event in stored.causes:
        if event.HasField("order_requested"):
            return event
        intent = event.decision_made.intent
        if (intent.venue, intent.symbol) == (content.venue, content.symbol):
            return event
    return None


def _decided_mid(cause: event_pb2.Event) -> MidPrice | None:
    """The mid price of a decision. None: the decision does not record it."""
    facts = {fact.fact_id: fact for fact in cause.decision_made.facts}
    bid, ask = facts.get(BID_PRICE), facts.get(ASK_PRICE)
    if bid is None or ask is None:
        return None
    try:
        prices = Decimal(bid.value), Decimal(ask.value)
    except InvalidOperation:
        return None
    if not all(price.is_finite() and price > 0 for price in prices):
        return None
    return MidPrice(product(add(*prices), HALF), bid.time_ns)


def _costed_fill(order: orders_pb2.Order, fill: orders_pb2.Fill, mids: Mids) -> CostedFill:
    return CostedFill(
        price=Decimal(fill.price),
        size=Decimal(fill.size),
        time_ns=_time_of(fill),
        fee_asset=fill.fee.asset,
        # Fees in several assets have no sum without a rate.
        fee_amount=Decimal(fill.fee.amount) if fill.fee.amount and not fill.further_fees else None,
        is_maker=LIQUIDITIES.get(fill.liquidity),
        mids_after=[_of(order, time_ns, mids).price for time_ns in _times_after(fill)],
    )


def _times_after(fill: orders_pb2.Fill) -> Iterator[int]:
    for horizon_ms in messages.HORIZONS_MS:
        yield _time_of(fill) + horizon_ms * NANOSECONDS_PER_MILLISECOND


def _time_of(fill: orders_pb2.Fill) -> int:
    return fill.venue_time_ns or fill.received_time_ns


def _strategy(stored: StoredOrder) -> str:
    named = [filled.strategy for filled in stored.filled]
    named += [cause.decision_made.intent.strategy for cause in stored.causes]
    return next(filter(None, named), "")


def _mid_at(order: orders_pb2.Order, time_ns: int) -> WantedMid:
    return WantedMid(order.content.venue, order.content.symbol, time_ns)


def _of(order: orders_pb2.Order, time_ns: int, mids: Mids) -> MidPrice:
    return mids[_mid_at(order, time_ns)]


def _terms(instrument: types_pb2.Instrument) -> Terms | None:
    """None if what its sizes are is not known."""
    assets, multiplier = instruments.contract_assets(instrument), instruments.multiplier(instrument)
    if assets is None or multiplier is None:
        return None
    costs = CostTerms(
        multiplier,
        instruments.is_inverse(instrument),
        assets.settle or assets.quote,
        instruments.spot_base(instrument),
    )
    return Terms(costs, instruments.notional_asset(instrument))
