"""Brings the orders of a journal into a state from which they continue, after a start."""

from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.amendments import settle_here
from kit.execution.orders.order import Order
from kit.execution.sending.outcome_resolver import OutcomeResolver
from kit.execution.tasks import in_parts


async def recover(state: AccountState, resolver: OutcomeResolver, monotonic_ns: int) -> None:
    """Reject what was not sent, mark as UNKNOWN what may have been, hold again what was held here,
    and have the resolver query for the rest that is in doubt."""
    async for members in in_parts(state.index.groups.values()):
        _recover_group(state, members)
    async for order in in_parts(state.index.open.values()):
        if order.state == order_states.INTENDED:
            _recover_intended(state, order)
        elif order.state == order_states.SENT:
            state.transition(order, order_states.UNKNOWN, detail="the process stopped meanwhile")
        elif order.held_here and order.cancel_requested:
            _cancel(state, order)
        elif order.held_here:
            settle_here(state, order)
        elif (
            order.state not in (order_states.OPEN, order_states.PARTLY_FILLED)
            or order.cancel_requested
            or order.is_amending
        ):
            resolver.watch(order)
        order.amended_monotonic_ns = monotonic_ns
        order.amendments_sent_ns = dict.fromkeys(order.amendments, monotonic_ns)


def _recover_group(state: AccountState, members: list[Order]) -> None:
    """Reject a whole group of which an order was to be sent and was not: its caller has no answer
    yet."""
    if any(one.state == order_states.INTENDED and not one.was_held_here for one in members):
        for one in members:
            _reject(state, one, "the process stopped before its group was sent")


def _recover_intended(state: AccountState, order: Order) -> None:
    """Recover an order that was certainly not sent."""
    if order.cancel_requested:
        _cancel(state, order)
    elif order.was_held_here:
        state.transition(order, order_states.OPEN)
    else:
        _reject(state, order, "the process stopped before it was sent")


def _cancel(state: AccountState, order: Order) -> None:
    state.transition(order, order_states.CANCELLED, detail="cancelled before it was sent")


def _reject(state: AccountState, order: Order, detail: str) -> None:
    state.transition(order, order_states.REJECTED, order_states.NEVER_ARRIVED, detail)
