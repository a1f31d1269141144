"""Settles amendments whose outcome was not known."""

from dataclasses import dataclass

from kit.execution.contract import VenueOrder
from kit.execution.journal.records import Amendment, AmendmentOutcome
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order
from kit.execution.orders.request_reader import read_request

STOP_REACHED = "its stop price was reached"


@dataclass(frozen=True, slots=True)
class TermsAnswer:
    """The venue's answer to a query for an order."""

    report: VenueOrder
    asked_ns: int
    """When the venue was asked, by a clock that never jumps."""
    lag_ns: int
    """How old the answer may be."""
    arrival_ns: int
    """How long after the last sending an amendment may arrive and still not be in an answer."""

    def shows(self, order: Order, amendment: Amendment) -> bool:
        """Whether it shows the terms of an amendment. A stop price that the amendment keeps need
        not be in it: a venue may leave it out once the stop is triggered."""
        shown = self.report.size, self.report.price
        if shown != (amendment.size, amendment.price):
            return False
        return amendment.stop_price in (None, order.stop_price, self.report.stop_price)


def settle_at_venue(state: AccountState, order: Order, answer: TermsAnswer) -> None:
    """Settle the amendments of an order after the venue answered a query for it. The answer may be
    old: each amendment is judged by the time since it was sent, one that is being sent not yet."""
    for amendment in order.pending_amendments:
        sent_ns = order.amendments_sent_ns.get(amendment.request_id)
        if sent_ns is None:
            continue
        if answer.shows(order, amendment):
            if _is_proven(order, amendment, answer, sent_ns):
                state.record_amendment(order, amendment.ended(AmendmentOutcome.DONE))
        elif answer.asked_ns >= sent_ns + answer.arrival_ns:
            rejected = amendment.ended(AmendmentOutcome.REJECTED, "the venue did not do it")
            state.record_amendment(order, rejected)


def _is_proven(order: Order, amendment: Amendment, answer: TermsAnswer, sent_ns: int) -> bool:
    """Whether an answer with the terms of an amendment proves that it was done and holds. Terms
    that the order had before, or until a later amendment, may be those of an old answer."""
    *_, newest = order.amendments
    if amendment.request_id == newest and not _had_terms_of(order, amendment):
        return True
    # Another one that is on its way may change the terms again.
    is_alone = len(order.pending_amendments) == 1
    wait_ns = answer.lag_ns if is_alone else answer.arrival_ns
    return answer.asked_ns >= max(sent_ns, order.amended_monotonic_ns) + wait_ns


def _had_terms_of(order: Order, amendment: Amendment) -> bool:
    """Whether an order had the terms of an amendment before, or may have had them."""
    requested = read_request(order.content, order.client_order_id)
    others = [one for one in order.amendments.values() if one is not amendment]
    had = [(one.size, one.price, one.stop_price) for one in others]
    had += [(one.size, one.price, one.stop_price) for one in (requested, order.request)]
    # In the journal of an older version an amendment has no stop price.
    stop_prices = (None, amendment.stop_price)
    return any(
        (size, price) == (amendment.size, amendment.price) and stop_price in stop_prices
        for size, price, stop_price in had
    )


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
