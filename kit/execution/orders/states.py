"""Where an order stands, and what may follow.

    INTENDED -> SENT -> ACKNOWLEDGED -> OPEN -> PARTLY_FILLED -> FILLED, CANCELLED, EXPIRED
                  |  \\
                  |   REJECTED
                  UNKNOWN -> whatever the venue says

News of the venue comes late, twice and in any order. The states are therefore a ladder: news may
leave steps out, and moves an order up or not at all. What is final stays, with one exception: an
order that was taken for lost on the way, and that the venue then shows to be there.
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
"""The venue has it, and it may still be filled."""
IN_DOUBT = frozenset({SENT, UNKNOWN})
"""It may be at the venue or not."""
_LADDER = {INTENDED: 0, SENT: 1, UNKNOWN: 2, ACKNOWLEDGED: 3, OPEN: 4, PARTLY_FILLED: 5}

_BY_US: dict[int, frozenset[OrderState]] = {
    INTENDED: frozenset({SENT, OPEN, REJECTED, CANCELLED, EXPIRED}),
    SENT: frozenset({UNKNOWN, REJECTED, CANCELLED}),
    # Gone from the venue, which does not say how; or held here, and now on its way.
    ACKNOWLEDGED: frozenset({CANCELLED}),
    OPEN: frozenset({SENT, CANCELLED, EXPIRED, REJECTED}),
    PARTLY_FILLED: frozenset({CANCELLED}),
    UNKNOWN: frozenset({REJECTED, CANCELLED}),
    # A fill of what was said to be rejected: the venue has to say more.
    REJECTED: frozenset({UNKNOWN}),
}
"""What this process may decide by itself; OPEN and what follows it from INTENDED: held here."""


def after_news(
    before: OrderState, told: OrderState, reason: RejectReason, *, is_filled: bool
) -> OrderState:
    """Where an order stands after the venue has told a state. ``reason``: why it was rejected;
    ``is_filled``: whether any of it is known to be filled."""
    if told == REJECTED and is_filled:
        told = CANCELLED
    if before == REJECTED and reason == NEVER_ARRIVED:
        return told if told in FINAL or told in AT_VENUE else before
    if before in FINAL:
        return before
    if told in FINAL:
        return told
    if told in AT_VENUE and _LADDER[told] > _LADDER[before]:
        return told
    return before


def may_follow(before: OrderState, after: OrderState) -> bool:
    """Whether this process may move an order so by itself, without word of the venue."""
    return after in _BY_US.get(before, frozenset())
