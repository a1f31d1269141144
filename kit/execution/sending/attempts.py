"""The attempts of stops and of the exits of groups: which of them are made again."""

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import ZERO
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.order_types import CONDITIONAL, TRIGGERED_TYPES
from kit.execution.orders import order_states
from kit.execution.orders.order import Order
from kit.execution.request_ids import ATTEMPT_MARK
from kit.execution.sending.outcome_resolver import NEVER_RECEIVED

PAUSE_MAX_S = 60
RECENT_NS = 600 * NANOSECONDS_PER_SECOND
"""An order that ended longer ago, before the process stopped, is not tried again."""
PASSING = frozenset(
    {
        orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
        orders_pb2.REJECT_REASON_REDUCE_ONLY,
        orders_pb2.REJECT_REASON_INSTRUMENT,
        orders_pb2.REJECT_REASON_RATE_LIMIT,
        orders_pb2.REJECT_REASON_MAINTENANCE,
        orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
        orders_pb2.REJECT_REASON_NEVER_ARRIVED,
        orders_pb2.REJECT_REASON_SELF_TRADE,
        orders_pb2.REJECT_REASON_CLOCK,
    }
)
"""Reasons for which the same order may be accepted a little later: what the entry bought may not be
booked yet, an instrument may be halted, an own order in the way may be cancelled by then. OTHER can
be anything: such an order is published as left open."""


def number_of(order: Order) -> int:
    """The number of the attempt, from 1."""
    _, _, number = order.request_id.partition(ATTEMPT_MARK)
    return int(number) if number else 1


def is_pausing(order: Order, now_ns: int) -> bool:
    """Whether it is too early to send an attempt. One that was made by a clock that has been set
    back since does not wait for that time to come again."""
    number = number_of(order)
    if number == 1:
        return False
    pause_s = min(1 << (number - 2), PAUSE_MAX_S)
    return 0 <= now_ns - order.created_time_ns < pause_s * NANOSECONDS_PER_SECOND


def may_have_attempts(order: Order) -> bool:
    """Whether an order was held here, or is a stand-alone stop that the venue has taken, or that
    was in doubt until it turned out that it never arrived. Its caller has the answer to any other
    one that was sent when it was placed."""
    is_alone = not order.external and not order.group_id
    was_taken = order.was_at_venue or order.detail == NEVER_RECEIVED
    return order.was_held_here or (order.type in CONDITIONAL and is_alone and was_taken)


def ended_unasked(order: Order) -> bool:
    """Whether an order that may have attempts, and was sent, has ended without being filled or
    cancelled by its caller."""
    return (
        order.state in (order_states.REJECTED, order_states.CANCELLED, order_states.EXPIRED)
        and may_have_attempts(order)
        and not order.held_here
        and not order.cancel_requested
    )


def may_pass(order: Order) -> bool:
    """Whether an order was rejected for a reason that may pass. The position of a stand-alone
    reduction is booked: without one there is nothing to reduce."""
    if order.state != order_states.REJECTED:
        return False
    if order.reject_reason == orders_pb2.REJECT_REASON_PRICE:
        # The next attempt has another worst price.
        return _was_triggered(order) and _becomes_market_order(order)
    if order.reject_reason == orders_pb2.REJECT_REASON_STOP_PRICE:
        # The market was there first: the next attempt waits here, and the next trade triggers it.
        return order.takes_turns
    if order.reject_reason not in PASSING:
        return False
    return order.takes_turns or order.reject_reason != orders_pb2.REJECT_REASON_REDUCE_ONLY


def is_rest_of_market_order(order: Order) -> bool:
    """Whether an order was triggered, became a market order, and was not filled in full."""
    is_ended = order.state != order_states.REJECTED and _was_triggered(order)
    return is_ended and _becomes_market_order(order)


def ended_ns(order: Order) -> int:
    """When an order has ended. The venue may have ended a stop while the process was away."""
    is_native = not order.was_held_here and order.venue_time_ns
    return order.venue_time_ns if is_native else order.updated_time_ns


def _becomes_market_order(order: Order) -> bool:
    return TRIGGERED_TYPES.get(order.type) == orders_pb2.ORDER_TYPE_MARKET


def _was_triggered(order: Order) -> bool:
    """Whether an order was triggered here, or at the venue: it has a fill then."""
    return order.is_triggered or (not order.was_held_here and order.filled_size > ZERO)


def inherit_trigger(attempt: Order, before: Order) -> None:
    """Give an attempt what the market has done to the one before it."""
    attempt.is_triggered = attempt.is_triggered or _was_triggered(before)
    if attempt.best_price is None:
        attempt.best_price = before.best_price
