"""Retries stand-alone stops, held here or at the venue, and the exits of groups held here.

A rejected order stays rejected: updates of it may still arrive. The next attempt is a new order,
with an id made of the first one's request id and the number of the attempt. It is held here at
once, where it can be seen and cancelled, and is sent after a pause. An attempt is made only when
the outcome of the one before is known: an UNKNOWN order waits until the venue was queried for it.
What is not retried is published as left open.
"""

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO, plain
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import StoreUnavailable
from kit.execution.journal.records import OrderIntent
from kit.execution.order_types import CONDITIONAL, TRIGGERED_TYPES
from kit.execution.orders import order_states
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import content_message
from kit.execution.orders.request_reader import digest_of
from kit.execution.sending.submitter import OrderSubmitter
from kit.execution.tasks import await_each

MARK = "~"
"""Between the caller's request id, which cannot contain it, and the number of the attempt."""
ATTEMPTS_MAX = 12
PAUSE_MAX_S = 60
RECENT_NS = 600 * NANOSECONDS_PER_SECOND
"""An order that ended longer ago, before the process stopped, is not tried again."""
PUBLISHED_NS = 24 * 3600 * NANOSECONDS_PER_SECOND
"""After a start, what ended within this time is published as left open again."""
LEFT_OPEN_MAX = 100
POSITION_WAIT_NS = 5 * NANOSECONDS_PER_SECOND
"""A stop that only reduces may have been ended by the venue because its position is closed: that is
known by then."""
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

_log = telemetry.logger("orders.retries")


def number_of(order: Order) -> int:
    """The number of the attempt, from 1."""
    _, _, number = order.request_id.partition(MARK)
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
    """Whether an order was held here, or is a stand-alone stop that the venue has taken. Its caller
    has the answer to any other one that was sent when it was placed."""
    is_alone = not order.external and not order.group_id
    is_native = order.type in CONDITIONAL and is_alone and order.was_at_venue
    return order.was_held_here or is_native


def ended_unasked(order: Order) -> bool:
    """Whether an order that may have attempts, and was sent, has ended without being filled or
    cancelled by its caller."""
    return (
        order.state in (order_states.REJECTED, order_states.CANCELLED, order_states.EXPIRED)
        and may_have_attempts(order)
        and not order.held_here
        and not order.cancel_requested
    )


class OrderRetries:
    """Makes the next attempts of the orders of one account, and publishes what is left open."""

    def __init__(
        self,
        submitter: OrderSubmitter,
        positions: BalancesAndPositions,
        publish: Callable[[differences_pb2.Difference], None],
    ) -> None:
        """``publish`` is given each order that is left open."""
        self._submitter = submitter
        self._state = submitter.state
        self._journal = submitter.journal
        self._clock = submitter.clock
        self._positions = positions
        self._publish = publish
        self._unwritten: dict[str, Order] = {}
        self._writing: set[str] = set()
        self._published: set[str] = set()
        """Keys of orders that were published as left open."""
        self._lost: dict[str, Order] = {}
        """Stops that may be left open, unless the position that they reduce is closed."""
        self.left_open: deque[differences_pb2.Difference] = deque(maxlen=LEFT_OPEN_MAX)
        """What was left open in this run, oldest first."""

    def order_changed(self, order: Order) -> None:
        """Make the next attempt at once, so that a cancellation of all orders from here on includes
        it; or publish a stand-alone order that is left open."""
        if not may_have_attempts(order):
            return
        if self._is_retried(order):
            self._make(order)
        elif not order.takes_turns:
            self._end_later_attempts(order)
            self._publish_lost(order)

    def recover(self) -> None:
        """After a start: make the attempts that are due, and give those that were made what may not
        be on disk."""
        for order in list(self._state.index.orders.values()):
            attempt = self.next_of(order)
            if attempt is not None and attempt.held_here and not attempt.is_final:
                _inherit_trigger(attempt, order)
            self.order_changed(order)

    def continue_pending(self) -> None:
        """Write the attempts that could not be written before, and publish what has turned out to
        be left open."""
        for attempt in list(self._unwritten.values()):
            self.write(attempt)
        for order in list(self._lost.values()):
            self._publish_lost(order)

    def write(self, attempt: Order) -> None:
        """Write an attempt that is not on disk yet. It is not sent until it is."""
        if attempt.key not in self._writing:
            self._writing.add(attempt.key)
            self._submitter.tasks.start(self._write(attempt))

    def next_of(self, order: Order) -> Order | None:
        """Return the attempt after this one; None if there is none."""
        if not may_have_attempts(order):
            return None
        return self._state.index.orders.get(self._key(order, number_of(order) + 1))

    def attempts(self, order: Order) -> Sequence[Order]:
        """All attempts of an order that are known, in their order; itself where none can follow."""
        if not may_have_attempts(order):
            return [order]
        keys = (self._key(order, number) for number in range(1, ATTEMPTS_MAX + 1))
        orders = self._state.index.orders
        return [orders[key] for key in keys if key in orders]

    def newest_open(self, order: Order) -> Order:
        """Return the newest attempt of an order that has not ended; the order if all have."""
        open_attempts = [one for one in self.attempts(order) if not one.is_final]
        return open_attempts[-1] if open_attempts else order

    async def cancel(self, order: Order) -> None:
        """Cancel all attempts of an order; there is no other. Raises VenueUnavailable and
        StoreUnavailable as ``OrderSubmitter.cancel``, the latter also when another attempt may
        follow after a restart."""
        if not may_have_attempts(order):
            await self._submitter.cancel(order)
            return
        attempts = self.attempts(order)
        for one in attempts:
            # One that has ended may turn out to be at the venue, and is cancelled there then.
            one.cancel_requested = True
            self._state.record(one)
        unwritten = [one for one in attempts if one.key in self._unwritten]
        written = [one for one in attempts if one.key not in self._unwritten]
        cancels = [one for one in written if one is order or not one.is_final]
        await await_each(map(self._write, unwritten))
        await await_each(map(self._submitter.cancel, cancels))
        await self._journal.commit()

    def publish_left_open(self, order: Order, left: Decimal, detail: str) -> None:
        """Publish an order that ended and of which a size is left; once in a run."""
        if order.key in self._published:
            return
        self._published.add(order.key)
        difference = differences_pb2.Difference(
            kind=differences_pb2.DIFFERENCE_KIND_LEFT_OPEN,
            symbol=order.symbol,
            client_order_id=order.key,
            expected="0",
            found=plain(left),
            detail=detail,
        )
        self.publish_difference(difference)

    def publish_difference(self, difference: differences_pb2.Difference) -> None:
        """Publish what is left open, and keep it for new readers."""
        self.left_open.append(difference)
        self._publish(difference)
        extra = {
            "client_order_id": difference.client_order_id,
            "symbol": difference.symbol,
            "left": difference.found,
            "detail": difference.detail,
        }
        _log.error("order left open", extra=extra)

    def _is_retried(self, order: Order) -> bool:
        return (
            ended_unasked(order)
            and (_may_pass(order) or _is_rest_of_market_order(order))
            and number_of(order) < ATTEMPTS_MAX
            and self._clock.time_ns() - _ended_ns(order) < RECENT_NS
            and self.next_of(order) is None
            and (order.takes_turns or self._left(order) > ZERO)
        )

    def _publish_lost(self, order: Order) -> None:
        """Publish a stand-alone order that was sent, has ended and is not tried again."""
        self._lost.pop(order.key, None)
        now_ns = self._clock.time_ns()
        is_over = order.state == order_states.EXPIRED and 0 < order.request.expire_time_ns <= now_ns
        may_be_over = order.request.reduce_only and not order.was_held_here
        # Another position may have been opened since.
        published_ns = RECENT_NS if may_be_over else PUBLISHED_NS
        if not ended_unasked(order) or is_over or now_ns - order.updated_time_ns > published_ns:
            return
        if order.state == order_states.REJECTED and self.next_of(order) is not None:
            return
        left = self._left(order)
        if may_be_over:
            if 0 <= now_ns - order.updated_time_ns < POSITION_WAIT_NS:
                self._lost[order.key] = order
                return
            left = min(left, self._reducible(order))
        if left > ZERO and self._is_last(order):
            text = (
                f"the stop is {order_states.name_of(order.state)} after {number_of(order)} attempts"
            )
            self.publish_left_open(order, left, f"{text}: {order.detail}; close it")

    def _end_later_attempts(self, order: Order) -> None:
        """Cancel the attempts after an order that counted as never arrived and is at the venue, and
        those after one of which more was filled than was known when they were made."""
        if order.held_here or order.state in (order_states.REJECTED, order_states.INTENDED):
            return
        for attempt in self.attempts(order):
            if number_of(attempt) <= number_of(order) or attempt.is_final:
                continue
            unfilled = amounts.subtract(attempt.size, attempt.filled_size)
            if order.is_final and unfilled <= self._left(order):
                continue
            detail = "an attempt before it has arrived at the venue, or has filled more"
            if attempt.held_here and attempt.state == order_states.OPEN:
                self._state.transition(attempt, order_states.CANCELLED, detail=detail)
            elif not attempt.cancel_requested:
                self._submitter.tasks.start(self._submitter.cancel(attempt))

    def _is_last(self, order: Order) -> bool:
        """Whether no later attempt is open."""
        return all(one is order or one.is_final for one in self.attempts(order))

    def _reducible(self, order: Order) -> Decimal:
        """The largest position that an order may have to reduce."""
        least, most = self._positions.bounds(order.symbol)
        return amounts.subtract(ZERO, least) if order.buys else most

    def _left(self, order: Order) -> Decimal:
        """The size that the attempts of a stand-alone order have not filled."""
        attempts = self.attempts(order)
        filled_before = ZERO
        target = ZERO
        for place, one in enumerate(attempts):
            if place:
                # An attempt is made with the size that was left then.
                filled_before = amounts.subtract(target, Decimal(one.content.size))
            target = amounts.add(one.size, filled_before)
        return amounts.subtract(target, amounts.total(one.filled_size for one in attempts))

    def _make(self, order: Order) -> None:
        attempt = self._state.index.add_intended(self._intent(order))
        self._unwritten[attempt.key] = attempt
        _inherit_trigger(attempt, order)
        self.write(attempt)

    async def _write(self, attempt: Order) -> None:
        try:
            await self._journal.commit(attempt.intent())
            self._unwritten.pop(attempt.key, None)
            state = order_states.CANCELLED if attempt.cancel_requested else order_states.OPEN
            detail = f"it has ended before; attempt {number_of(attempt)} of {ATTEMPTS_MAX}"
            detail = "" if attempt.cancel_requested else detail
            self._state.transition(attempt, state, detail=detail)
        except StoreUnavailable:
            # It is written again after the pause.
            return
        finally:
            self._writing.discard(attempt.key)

    def _intent(self, order: Order) -> OrderIntent:
        content = content_message(order)
        # The group sets the size of its orders when they are sent.
        content.size = order.content.size if order.takes_turns else plain(self._left(order))
        request_id = _request_id(order, number_of(order) + 1)
        return OrderIntent(
            key=self._submitter.order_key(request_id),
            request_id=request_id,
            digest=digest_of(content, request_id),
            content=content.SerializeToString(),
            created_time_ns=self._clock.time_ns(),
            approval_expires_time_ns=order.approval_expires_time_ns,
            held_here=True,
            key_id=order.key_id,
            signature=order.signature,
            fencing_epoch=order.fencing_epoch,
        )

    def _key(self, order: Order, number: int) -> str:
        return self._submitter.order_key(_request_id(order, number))


def _may_pass(order: Order) -> bool:
    """Whether an order was rejected for a reason that may pass. The position of a stand-alone
    reduction is booked: without one there is nothing to reduce."""
    if order.state != order_states.REJECTED:
        return False
    if order.reject_reason == orders_pb2.REJECT_REASON_PRICE:
        # The next attempt has another worst price.
        return _was_triggered(order) and _becomes_market_order(order)
    if order.reject_reason not in PASSING:
        return False
    return order.takes_turns or order.reject_reason != orders_pb2.REJECT_REASON_REDUCE_ONLY


def _is_rest_of_market_order(order: Order) -> bool:
    """Whether an order was triggered, became a market order, and was not filled in full."""
    is_ended = order.state != order_states.REJECTED and _was_triggered(order)
    return is_ended and _becomes_market_order(order)


def _ended_ns(order: Order) -> int:
    """When an order has ended. The venue may have ended a stop while the process was away."""
    is_native = not order.was_held_here and order.venue_time_ns
    return order.venue_time_ns if is_native else order.updated_time_ns


def _becomes_market_order(order: Order) -> bool:
    return TRIGGERED_TYPES.get(order.type) == orders_pb2.ORDER_TYPE_MARKET


def _was_triggered(order: Order) -> bool:
    """Whether an order was triggered here, or at the venue: it has a fill then."""
    return order.is_triggered or (not order.was_held_here and order.filled_size > ZERO)


def _inherit_trigger(attempt: Order, before: Order) -> None:
    """Give an attempt what the market has done to the one before it."""
    attempt.is_triggered = attempt.is_triggered or _was_triggered(before)
    if attempt.best_price is None:
        attempt.best_price = before.best_price


def _request_id(order: Order, number: int) -> str:
    first, _, _ = order.request_id.partition(MARK)
    return first if number == 1 else f"{first}{MARK}{number}"
