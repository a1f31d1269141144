"""Retries stand-alone stops, held here or at the venue, and the exits of groups held here.

A rejected order stays rejected: updates of it may still arrive. The next attempt is a new order
(``attempts``). It is held here at once, where it can be seen and cancelled, and is sent after a
pause. An attempt is made only when the outcome of the one before is known: an UNKNOWN order waits
until the venue was queried for it. What is not retried is published as left open.
"""

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal

from venuemesh.tradeflow.v1 import differences_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO, plain
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import StoreUnavailable
from kit.execution.journal.records import OrderIntent
from kit.execution.orders import order_states
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import content_message
from kit.execution.orders.request_reader import digest_of
from kit.execution.request_ids import ATTEMPTS_MAX, attempt_request_id
from kit.execution.sending.attempts import (
    RECENT_NS,
    ended_ns,
    ended_unasked,
    inherit_trigger,
    is_rest_of_market_order,
    may_have_attempts,
    may_pass,
    number_of,
)
from kit.execution.sending.submitter import OrderSubmitter
from kit.execution.tasks import await_each, in_parts

PUBLISHED_NS = 24 * 3600 * NANOSECONDS_PER_SECOND
"""After a start, what ended within this time is published as left open again."""
LEFT_OPEN_MAX = 100
POSITION_WAIT_NS = 5 * NANOSECONDS_PER_SECOND
"""A stop that only reduces may have been ended by the venue because its position is closed: that is
known by then."""

_log = telemetry.logger("orders.retries")


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

    async def recover(self) -> None:
        """After a start: make the attempts that are due, and give those that were made what may not
        be on disk."""
        async for order in in_parts(self._state.index.orders.values()):
            attempt = self.next_of(order)
            if attempt is not None and attempt.held_here and not attempt.is_final:
                inherit_trigger(attempt, order)
            self.order_changed(order)

    def continue_pending(self, *, is_reconciled: bool) -> None:
        """Write the attempts that could not be written before, and publish what has turned out to
        be left open. ``is_reconciled``: whether the position is known to be the venue's."""
        for attempt in list(self._unwritten.values()):
            self.write(attempt)
        for order in list(self._lost.values()):
            self._compare_with_position(order, is_reconciled=is_reconciled)

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

    async def cancel(self, order: Order, requested_by: str = "") -> None:
        """Cancel all attempts of an order; there is no other. Raises VenueUnavailable and
        StoreUnavailable as ``OrderSubmitter.cancel``, the latter also when another attempt may
        follow after a restart."""
        if not may_have_attempts(order):
            await self._submitter.cancel(order, requested_by)
            return
        attempts = self.attempts(order)
        for one in attempts:
            # One that has ended may turn out to be at the venue, and is cancelled there then.
            one.request_cancel(requested_by)
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
            and (may_pass(order) or is_rest_of_market_order(order))
            and number_of(order) < ATTEMPTS_MAX
            and self._clock.time_ns() - ended_ns(order) < RECENT_NS
            and self.next_of(order) is None
            and (order.takes_turns or self._left(order) > ZERO)
        )

    def _publish_lost(self, order: Order) -> None:
        """Publish a stand-alone order that was sent, has ended and is not tried again."""
        self._lost.pop(order.key, None)
        now_ns = self._clock.time_ns()
        is_over = order.state == order_states.EXPIRED and 0 < order.request.expire_time_ns <= now_ns
        if not ended_unasked(order):
            order.is_without_position = False
            return
        if is_over or order.is_without_position:
            return
        if now_ns - order.updated_time_ns > PUBLISHED_NS or not self._is_last(order):
            return
        if order.state == order_states.REJECTED and self.next_of(order) is not None:
            return
        if order.request.reduce_only and not order.was_held_here:
            self._lost[order.key] = order
        else:
            self._publish_stop(order, self._left(order))

    def _compare_with_position(self, order: Order, *, is_reconciled: bool) -> None:
        """Publish a stop that only reduced, unless the venue has ended it because its position is
        closed: that is kept, as another position may be opened later."""
        if 0 <= self._clock.time_ns() - order.updated_time_ns < POSITION_WAIT_NS:
            return
        left = min(self._left(order), self._reducible(order))
        if left > ZERO or is_reconciled:
            del self._lost[order.key]
            order.is_without_position = left <= ZERO
            self._state.record(order)
            self._publish_stop(order, left)

    def _publish_stop(self, order: Order, left: Decimal) -> None:
        if left > ZERO:
            state, number = order_states.name_of(order.state), number_of(order)
            text = f"the stop is {state} after {number} attempts: {order.detail}; close it"
            self.publish_left_open(order, left, text)

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
        inherit_trigger(attempt, order)
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
        request_id = attempt_request_id(order.request_id, number_of(order) + 1)
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
        return self._submitter.order_key(attempt_request_id(order.request_id, number))
