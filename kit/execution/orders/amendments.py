"""Settles amendments whose outcome was not known."""

from kit.execution.journal.records import AmendmentOutcome
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order

STOP_REACHED = "its stop price was reached"


def settle_at_venue(state: AccountState, order: Order, *, is_over: bool) -> None:
    """Settle the amendments of an order after the venue answered a query for it. ``is_over``: none
    of them can still be on its way to the venue."""
    for amendment in list(order.amendments.values()):
        if amendment.outcome != AmendmentOutcome.PENDING:
            continue
        if order.has_terms_of(amendment):
            state.record_amendment(order, amendment.ended(AmendmentOutcome.DONE))
        elif is_over:
            rejected = amendment.ended(AmendmentOutcome.REJECTED, "the venue did not do it")
            state.record_amendment(order, rejected)


def settle_here(state: AccountState, order: Order) -> None:
    """Settle the amendments of an order that is held here, once they are on disk."""
    for amendment in list(order.amendments.values()):
        if amendment.outcome != AmendmentOutcome.PENDING:
            continue
        stop = amendment.stop_price, amendment.trailing_offset
        if order.is_triggered and stop != (order.stop_price, order.trailing_offset):
            lapsed = amendment.ended(AmendmentOutcome.LAPSED, STOP_REACHED)
            state.record_amendment(order, lapsed)
        else:
            state.record_amendment(order, amendment.ended(AmendmentOutcome.DONE))
