"""Tries an exit again that the venue rejected for a reason that may pass.

A rejected order stays rejected: updates of it may still arrive. The next attempt is a new order,
with an id made of the first one's request id and the number of the attempt. It is held here at
once, where it can be seen and cancelled, and is sent after a pause when it is its turn.
"""

from collections.abc import Iterator, Sequence

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import StoreUnavailable
from kit.execution.journal.records import OrderIntent
from kit.execution.orders import order_states
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import content_message
from kit.execution.orders.request_reader import digest_of
from kit.execution.submitter import OrderSubmitter

MARK = "~"
"""Between the caller's request id, which cannot contain it, and the number of the attempt."""
ATTEMPTS_MAX = 12
PAUSE_MAX_S = 60
RECENT_NS = 600 * NANOSECONDS_PER_SECOND
"""An exit that was rejected longer ago, before the process stopped, is not tried again."""
PASSING = frozenset(
    {
        orders_pb2.REJECT_REASON_OTHER,
        orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
        orders_pb2.REJECT_REASON_REDUCE_ONLY,
        orders_pb2.REJECT_REASON_INSTRUMENT,
        orders_pb2.REJECT_REASON_RATE_LIMIT,
        orders_pb2.REJECT_REASON_MAINTENANCE,
        orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
        orders_pb2.REJECT_REASON_NEVER_ARRIVED,
    }
)
"""Reasons for which the same order may be accepted a little later: what the entry bought may not be
booked yet, an instrument may be halted, and OTHER can be anything."""


def number_of(order: Order) -> int:
    """The number of the attempt, from 1."""
    _, _, number = order.request_id.partition(MARK)
    return int(number) if number else 1


def is_pausing(order: Order, now_ns: int) -> bool:
    """Whether it is too early to send an attempt."""
    number = number_of(order)
    if number == 1:
        return False
    pause_s = min(1 << (number - 2), PAUSE_MAX_S)
    return now_ns < order.created_time_ns + pause_s * NANOSECONDS_PER_SECOND


def is_retried(order: Order, members: Sequence[Order], now_ns: int) -> bool:
    """Whether there is to be another attempt: for an exit that was held here, sent and rejected.
    The caller has the answer to one that was sent when its group was placed."""
    return bool(
        order.takes_turns
        and order.state == order_states.REJECTED
        and order.reject_reason in PASSING
        and order.was_held_here
        and not order.held_here
        and not order.cancel_requested
        and number_of(order) < ATTEMPTS_MAX
        and now_ns - order.updated_time_ns < RECENT_NS
        and _next_of(order, members) is None
    )


def missing_exits(members: Sequence[Order], now_ns: int) -> Iterator[Order]:
    """Yield the exits that ended lately against the will of their caller and are not tried again.
    While other exits are open, these are only those that the venue rejected."""
    exits = [one for one in members if one.takes_turns]
    is_open = any(not one.is_final for one in exits)
    for one in exits:
        is_lost = one.state == order_states.REJECTED or not is_open
        is_recent = now_ns - one.updated_time_ns < RECENT_NS
        if is_lost and is_recent and _ended_by_itself(one) and _next_of(one, members) is None:
            yield one


class ExitOrderRetries:
    """Makes the next attempts for the exits of one account."""

    def __init__(self, submitter: OrderSubmitter) -> None:
        self._submitter = submitter
        self._state = submitter.state
        self._journal = submitter.journal
        self._clock = submitter.clock
        self._writing: set[str] = set()

    def make(self, order: Order, members: Sequence[Order]) -> None:
        """Hold the next attempt of an exit here, if there is to be one."""
        if is_retried(order, members, self._clock.time_ns()):
            attempt = self._state.index.add_intended(self._intent(order))
            _inherit_trigger(attempt, order)
            self.write(attempt)

    def write(self, attempt: Order) -> None:
        """Write an attempt that is not on disk yet. Its group waits until it is."""
        if attempt.key not in self._writing:
            self._writing.add(attempt.key)
            self._submitter.tasks.start(self._write(attempt))

    def recover(self, members: Sequence[Order]) -> None:
        """After a start: make the attempts that are due, and give those that were made what may not
        be on disk."""
        for one in list(members):
            attempt = _next_of(one, members)
            if attempt is not None and attempt.held_here and not attempt.is_final:
                _inherit_trigger(attempt, one)
            self.make(one, members)

    async def _write(self, attempt: Order) -> None:
        try:
            await self._journal.commit(attempt.intent())
            state = order_states.CANCELLED if attempt.cancel_requested else order_states.OPEN
            detail = f"rejected before; attempt {number_of(attempt)} of {ATTEMPTS_MAX}"
            detail = "" if attempt.cancel_requested else detail
            self._state.transition(attempt, state, detail=detail)
        except StoreUnavailable:
            # The group is planned again after the pause, and writes it again.
            return
        finally:
            self._writing.discard(attempt.key)

    def _intent(self, order: Order) -> OrderIntent:
        content = content_message(order)
        content.size = order.content.size
        request_id = _next_id(order)
        return OrderIntent(
            key=self._submitter.order_key(request_id),
            request_id=request_id,
            digest=digest_of(content, request_id),
            content=content.SerializeToString(),
            created_time_ns=self._clock.time_ns(),
            approval_expires_time_ns=order.approval_expires_time_ns,
            held_here=True,
        )


def _ended_by_itself(order: Order) -> bool:
    """Whether neither a fill, its caller nor its group ended an exit, and whether the answer to the
    caller did not say so."""
    if not order.is_final or order.cancel_requested or order.state == order_states.FILLED:
        return False
    if order.state == order_states.REJECTED:
        return order.was_held_here and not order.held_here
    return not (order.held_here and order.state == order_states.CANCELLED)


def _inherit_trigger(attempt: Order, before: Order) -> None:
    """Give an attempt what the market has done to the one before it."""
    attempt.is_triggered = attempt.is_triggered or before.is_triggered
    if attempt.best_price is None:
        attempt.best_price = before.best_price


def _next_id(order: Order) -> str:
    first, _, _ = order.request_id.partition(MARK)
    return f"{first}{MARK}{number_of(order) + 1}"


def _next_of(order: Order, members: Sequence[Order]) -> Order | None:
    next_id = _next_id(order)
    return next((one for one in members if one.request_id == next_id), None)
