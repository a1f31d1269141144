"""The states of an order, and which transitions are allowed.

    INTENDED -> SENT -> ACKNOWLEDGED -> OPEN -> PARTLY_FILLED -> FILLED, CANCELLED, EXPIRED
                  |  \\
                  |   REJECTED
                  UNKNOWN -> whatever the venue reports

The venue's updates arrive late, twice and in any order. The states are therefore a ladder: an
update may skip steps, and it moves an order up or not at all. A final state stays, with two
exceptions: an order that counted as never arrived, and that the venue then reports; and an order
that the venue shows as open (AccountState).
"""

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import OrderState, RejectReason

INTENDED = orders_pb2.ORDER_STATE_INTENDED
SENT = orders_pb2.ORDER_STATE_SENT
ACKNOWLEDGED = orders_pb2.ORDER_STATE_ACKNOWLEDGED
OPEN = orders_pb2.ORDER_STATE_OPEN
PARTLY_FILLED = orders_pb2.ORDER_STATE_PARTLY_FILLED
UNKNOWN = orders_pb2.ORDER_STATE_UNKNOWN
FILLED = orders_pb2.ORDER_STATE_FILLED
CANCELLED = orders_pb2.ORDER_STATE_CANCELLED
REJECTED = orders_pb2.ORDER_STATE_REJECTED
EXPIRED = orders_pb2.ORDER_STATE_EXPIRED
NEVER_ARRIVED = orders_pb2.REJECT_REASON_NEVER_ARRIVED

FINAL = frozenset({FILLED, CANCELLED, REJECTED, EXPIRED})
AT_VENUE = frozenset({ACKNOWLEDGED, OPEN, PARTLY_FILLED})
"""The venue has the order, and it may still be filled."""
IN_DOUBT = frozenset({SENT, UNKNOWN})
"""The order may be at the venue or not."""
_LADDER = {INTENDED: 0, SENT: 1, UNKNOWN: 2, ACKNOWLEDGED: 3, OPEN: 4, PARTLY_FILLED: 5}

_DECIDED_HERE: dict[int, frozenset[OrderState]] = {
    INTENDED: frozenset({SENT, OPEN, REJECTED, CANCELLED, EXPIRED}),
    SENT: frozenset({UNKNOWN, REJECTED, CANCELLED}),
    # The venue no longer has the order and does not say how it ended; or the order was held here,
    # and is being sent now.
    ACKNOWLEDGED: frozenset({CANCELLED}),
    OPEN: frozenset({SENT, CANCELLED, EXPIRED, REJECTED}),
    PARTLY_FILLED: frozenset({CANCELLED}),
    UNKNOWN: frozenset({REJECTED, CANCELLED}),
    # A fill of an order that was rejected: the venue has to be queried.
    REJECTED: frozenset({UNKNOWN}),
}
"""Transitions that this process decides by itself. From INTENDED, OPEN and EXPIRED are those of an
order that is held here."""


def name_of(state: OrderState) -> str:
    """The state without its prefix, for example "OPEN"."""
    return orders_pb2.OrderState.Name(state).removeprefix("ORDER_STATE_")


def after_update(
    before: OrderState, reported: OrderState, reason: RejectReason, *, is_filled: bool
) -> OrderState:
    """Return the state of an order after the venue reported one. ``reason`` is why the order was
    rejected before; ``is_filled``: any of it is known to be filled."""
    if reported == REJECTED and is_filled:
        reported = CANCELLED
    if before == REJECTED and reason == NEVER_ARRIVED:
        return reported if reported in FINAL or reported in AT_VENUE else before
    if before in FINAL:
        return before
    if reported in FINAL:
        return reported
    if reported in AT_VENUE and _LADDER[reported] > _LADDER[before]:
        return reported
    return before


def may_follow(before: OrderState, after: OrderState) -> bool:
    """Whether this process may make the transition without a report of the venue."""
    return after in _DECIDED_HERE.get(before, frozenset())
