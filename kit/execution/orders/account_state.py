"""The orders and fills of one account in memory: every update of the venue is applied here.

Updates may arrive late, twice and in any order. What changes is written to the journal and given to
a listener. An update that matches no order is kept while an order is being sent that it may belong
to.
"""

from decimal import Decimal
from enum import Enum, auto
from typing import Protocol

from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO, plain
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.execution.contract import OrderState, RejectReason, VenueFill, VenueOrder
from kit.execution.journal.records import (
    Amendment,
    AmendmentOutcome,
    ExternalOrder,
    OrderFill,
    Record,
)
from kit.execution.orders import order_states
from kit.execution.orders.fill_coverage import FillCoverage
from kit.execution.orders.order import Order
from kit.execution.orders.order_index import OrderIndex
from kit.execution.orders.order_messages import difference_message, external_content_message
from kit.execution.orders.order_records import order_fill
from kit.execution.prices.reference_prices import FindInstrument, not_listed

UNMATCHED_ORDERS_MAX = 10_000
AMENDED_TERMS_AFTER_NS = 60 * NANOSECONDS_PER_SECOND
"""For this long after an amendment the venue may still report the terms before it."""
OLD_ANSWERS_NS = 60 * NANOSECONDS_PER_SECOND
"""For this long after an order has ended the venue may still answer that it is open."""

_log = telemetry.logger("orders.state")


class FillUpdateResult(Enum):
    """What ``apply_fill`` did with a fill."""

    NEW = auto()
    KNOWN = auto()
    FEE_CHANGED = auto()
    """It was known with another fee."""
    UNMATCHED = auto()
    """No known order has its ids."""


class JournalRecordWriter(Protocol):
    """Where records are written without waiting: the account's journal."""

    def append(self, record: Record) -> None:
        """Write a record soon."""


class AccountStateListener(Protocol):
    """What an account does when its state changes."""

    def order_changed(self, order: Order) -> None:
        """An order is new, or has changed."""

    def fill_added(self, fill: OrderFill) -> None:
        """A fill is new. Its order changes next."""

    def order_in_doubt(self, order: Order) -> None:
        """The venue has to be queried for an order."""

    def update_unmatched(self, symbol: str, venue_order_id: str) -> None:
        """The venue has to be queried for an order that is not known here."""

    def difference_found(self, difference: differences_pb2.Difference) -> None:
        """The venue shows something else than was expected here."""


class AccountState:
    """The orders and fills of one account. Not thread-safe."""

    def __init__(
        self,
        venue: str,
        account: str,
        clock: Clock,
        journal: JournalRecordWriter,
        listener: AccountStateListener,
        find_instrument: FindInstrument = not_listed,
    ) -> None:
        self.venue, self.account = venue, account
        self._clock, self._journal, self._listener = clock, journal, listener
        self.index = OrderIndex(find_instrument)
        self.fill_coverage = FillCoverage()
        self.unmatched: dict[tuple[str, str], list[VenueOrder | VenueFill]] = {}
        """Updates of orders that are not known, by symbol and venue order id."""

    def unknown_count(self) -> int:
        """How many orders have the state UNKNOWN."""
        return sum(order.state == order_states.UNKNOWN for order in self.index.open.values())

    def transition(
        self,
        order: Order,
        state: OrderState,
        reason: RejectReason = orders_pb2.REJECT_REASON_UNSPECIFIED,
        detail: str = "",
    ) -> bool:
        """Set the state of an order, by a decision of this process. Returns False, and changes
        nothing, where the transition is not allowed."""
        if not order_states.may_follow(order.state, state):
            return False
        order.reject_reason, order.detail = reason, detail
        self._set_state(order, state)
        self.record_change(order)
        if state == order_states.UNKNOWN:
            self._listener.order_in_doubt(order)
        return True

    def set_venue_order_id(self, order: Order, venue_order_id: str) -> None:
        """Take over the venue's id of an order, and the updates that were kept for it."""
        if not venue_order_id or order.venue_order_id == venue_order_id:
            return
        self.index.set_venue_order_id(order, venue_order_id)
        for update in self.unmatched.pop((order.symbol, venue_order_id), ()):
            if isinstance(update, VenueOrder):
                self.apply_order(update)
            else:
                self.apply_fill(update)

    def end_missing(self, order: Order, detail: str) -> None:
        """End an order that the venue had and no longer knows: its fills say how it ended."""
        self._set_state(order, order_states.FILLED if order.is_full else order_states.CANCELLED)
        order.detail = detail
        self.record_change(order)

    def report(self, difference: differences_pb2.Difference) -> None:
        self._listener.difference_found(difference)

    def record(self, order: Order) -> None:
        """Write an order to the journal without publishing it."""
        self._journal.append(order.update())

    def record_change(self, order: Order) -> None:
        """Write an order to the journal, and publish it."""
        order.updated_time_ns = self._clock.time_ns()
        self._journal.append(order.update())
        self._listener.order_changed(order)

    def resize(self, order: Order, size: Decimal) -> None:
        """Set the size with which an order held here will be sent."""
        if order.size != size:
            order.set_terms(size, order.price, order.stop_price)
            self.record_change(order)

    def apply_accepted(self, order: Order, venue_order_id: str) -> None:
        """Apply the venue's acknowledgement of an order."""
        before = order.update()
        self.set_venue_order_id(order, venue_order_id)
        state = order_states.after_update(
            order.state,
            order_states.ACKNOWLEDGED,
            order.reject_reason,
            is_filled=order.filled_size > ZERO,
        )
        self._set_state(order, state)
        if order.update() != before:
            self.record_change(order)

    def apply_order(self, update: VenueOrder, *, is_answer: bool = False) -> Order | None:
        """Apply an order as the venue reports it; None while it is not known whose it is.
        ``is_answer``: it answers a query, and is not an update that may be old."""
        order = self.index.find(update.symbol, update.client_order_id, update.venue_order_id)
        if order is None:
            may_be_ours = self.index.may_be_ours(update.symbol, is_answer=is_answer)
            if not update.client_order_id and may_be_ours:
                self._keep_unmatched(update)
                return None
            order = self.add_external(update)
        elif order.held_here or self._is_of_replaced_order(order, update):
            return order
        before = order.update()
        if self._is_alive(order, update, is_answer=is_answer):
            self._revive(order, update)
        if is_answer or not order.venue_order_id or update.venue_time_ns > order.venue_time_ns:
            self.set_venue_order_id(order, update.venue_order_id)
        self._apply_amounts(order, update, is_answer=is_answer)
        self._apply_state(order, update)
        if update.venue_time_ns > order.venue_time_ns:
            order.venue_time_ns = update.venue_time_ns
        if order.update() != before:
            self.record_change(order)
        if order.lacks_fills or (order.cancel_requested and not order.is_final):
            self._listener.order_in_doubt(order)
        return order

    def apply_fill(self, update: VenueFill) -> FillUpdateResult:
        order = self.index.find(update.symbol, update.client_order_id, update.venue_order_id)
        if order is None:
            if update.venue_time_ns < self.fill_coverage.until_ns(update.symbol):
                # Of an order that was forgotten since: the venue's stream shows old fills again.
                return FillUpdateResult.KNOWN
            self._keep_unmatched(update)
            return FillUpdateResult.UNMATCHED
        if not order.venue_order_id:
            self.set_venue_order_id(order, update.venue_order_id)
        known = self.index.find_fill(order, update.fill_id)
        if known is not None:
            return self._apply_known_fill(order, known, update)
        fill = order_fill(order, update, self._clock.time_ns())
        self.index.add_fill(order, fill)
        self._journal.append(fill)
        self._listener.fill_added(fill)
        if fill.size < ZERO:
            self._reverse(order, fill)
        if order.state == order_states.REJECTED:
            _log.error("rejected order has a fill", extra={"client_order_id": order.key})
            self._set_state(order, order_states.UNKNOWN)
            self._listener.order_in_doubt(order)
        elif not order.is_final:
            # Only the venue can say when an order that was amended is filled.
            is_filled = order.is_full and not order.amendments
            is_empty = order.filled_size <= ZERO
            partly = order_states.OPEN if is_empty else order_states.PARTLY_FILLED
            self._set_state(order, order_states.FILLED if is_filled else partly)
            order.is_end_proven = is_filled
            if order.is_full and not is_filled:
                self._listener.order_in_doubt(order)
        self.record_change(order)
        return FillUpdateResult.NEW

    def _reverse(self, order: Order, fill: OrderFill) -> None:
        """Report a fill that takes back an earlier one; the venue's sum includes that too."""
        reported = amounts.add(order.reported_filled_size, fill.size)
        order.reported_filled_size = max(ZERO, reported)
        _log.error("fill was taken back", extra={"client_order_id": order.key})
        kind = differences_pb2.DIFFERENCE_KIND_REVERSED_FILL
        found = f"{plain(fill.size)} at {plain(fill.price)}"
        self.report(difference_message(kind, order, "", found, fill.fill_id))

    def add_external(self, update: VenueOrder) -> Order:
        """Add an order that another program placed."""
        content = external_content_message(self.venue, self.account, update)
        record = ExternalOrder(
            key=update.client_order_id or f"{update.symbol}/{update.venue_order_id}",
            client_order_id=update.client_order_id,
            content=content.SerializeToString(),
            created_time_ns=self._clock.time_ns(),
        )
        self._journal.append(record)
        return self.index.add_external(record)

    def record_amendment(self, order: Order, amendment: Amendment) -> None:
        """Write an amendment, or its outcome, and take over its terms if it was done."""
        self.index.add_amendment(amendment)
        self._journal.append(amendment)
        holds = not order.is_final or order.was_filled_by(amendment)
        if amendment.outcome == AmendmentOutcome.DONE and holds:
            order.amend(amendment)
            order.amended_monotonic_ns = self._clock.monotonic_ns()
            if order.is_full:
                self._listener.order_in_doubt(order)
        self.record_change(order)

    def _apply_amounts(self, order: Order, update: VenueOrder, *, is_answer: bool) -> None:
        filled_size = update.filled_size
        if update.state == order_states.FILLED:
            filled_size = filled_size or order.size
        if update.average_price is not None and filled_size >= order.reported_filled_size:
            order.reported_average_price = update.average_price
        order.reported_filled_size = max(order.reported_filled_size, filled_size)
        if update.amendment_rejection and len(order.pending_amendments) == 1:
            # With several, only a query says which of them was done.
            self._end_amendments(order, AmendmentOutcome.REJECTED, update.amendment_rejection)
        if self._has_current_terms(order, update, is_answer=is_answer):
            price = update.price if order.price is not None else None
            stop_price = update.stop_price if order.stop_price is not None else None
            order.set_terms(update.size, order.price if price is None else price, stop_price)

    def _has_current_terms(self, order: Order, update: VenueOrder, *, is_answer: bool) -> bool:
        """Whether the size and prices of an update are not older than an amendment."""
        if order.is_amending or order.is_final or update.size <= ZERO:
            return False
        is_newest = is_answer and update.venue_time_ns in (
            0,
            max(update.venue_time_ns, order.venue_time_ns),
        )
        if not order.awaits_amended_terms:
            return is_newest or update.venue_time_ns > order.venue_time_ns
        has_terms = (update.size, update.price) == (order.size, order.price)
        has_terms = has_terms and update.stop_price in (None, order.stop_price)
        since_ns = self._clock.monotonic_ns() - order.amended_monotonic_ns
        is_late = is_newest and since_ns > AMENDED_TERMS_AFTER_NS
        # An answer that is not dated may be followed by an older one.
        is_shown = has_terms and update.venue_time_ns > order.venue_time_ns
        if is_late or is_shown:
            order.awaits_amended_terms = False
        return has_terms or is_late

    def _is_alive(self, order: Order, update: VenueOrder, *, is_answer: bool) -> bool:
        """Whether an update shows that an order is open which has ended here, and is not older
        than its end."""
        if not order.is_final or update.state not in (
            order_states.OPEN,
            order_states.PARTLY_FILLED,
        ):
            return False
        if is_answer and self._clock.time_ns() - order.updated_time_ns > OLD_ANSWERS_NS:
            return True
        if update.filled_size < order.fill_size:
            return False
        if update.venue_time_ns > order.venue_time_ns:
            return True
        is_undated = update.venue_time_ns in (0, order.venue_time_ns)
        return is_undated and not order.is_end_proven

    def _revive(self, order: Order, update: VenueOrder) -> None:
        """Open an order again that the venue shows as open, whatever was believed of it."""
        ended = order_states.name_of(order.state)
        detail = f"the venue reports an order as open that has ended here: {order.detail}"
        kind = differences_pb2.DIFFERENCE_KIND_OTHER
        found = order_states.name_of(update.state)
        _log.error("order that has ended is open", extra={"client_order_id": order.key})
        self.report(difference_message(kind, order, ended, found, detail))
        order.is_end_proven = False
        order.reject_reason = orders_pb2.REJECT_REASON_UNSPECIFIED
        order.detail = ""
        order.reported_filled_size = max(update.filled_size, order.fill_size)
        self._set_state(
            order, order_states.PARTLY_FILLED if order.filled_size else order_states.OPEN
        )
        self._listener.order_in_doubt(order)

    def _apply_state(self, order: Order, update: VenueOrder) -> None:
        before = order.state
        if update.state in order_states.FINAL:
            order.is_end_proven = True
        is_filled = order.filled_size > ZERO
        state = order_states.after_update(
            before, update.state, order.reject_reason, is_filled=is_filled
        )
        if state in (order_states.ACKNOWLEDGED, order_states.OPEN) and is_filled:
            state = order_states.PARTLY_FILLED
        if state == before:
            return
        if before == order_states.REJECTED:
            _log.error("order that never arrived is there", extra={"client_order_id": order.key})
        order.reject_reason = orders_pb2.REJECT_REASON_UNSPECIFIED
        if state == order_states.REJECTED:
            order.reject_reason = update.reject_reason or orders_pb2.REJECT_REASON_OTHER
        order.detail = update.detail
        self._set_state(order, state)

    def _set_state(self, order: Order, state: OrderState) -> None:
        before, order.state = order.state, state
        self.index.state_changed(order, before)
        if order.is_final:
            for amendment in filter(order.was_filled_by, order.pending_amendments):
                self.record_amendment(order, amendment.ended(AmendmentOutcome.DONE))
            self._end_amendments(order, AmendmentOutcome.LAPSED, "the order has ended")

    def _end_amendments(self, order: Order, outcome: AmendmentOutcome, detail: str) -> None:
        for amendment in order.pending_amendments:
            ended = amendment.ended(outcome, detail)
            order.amendments[amendment.request_id] = ended
            self._journal.append(ended)

    def _apply_known_fill(self, order: Order, number: int, update: VenueFill) -> FillUpdateResult:
        before = self.index.fills[number]
        fees = tuple((fee.asset, fee.amount) for fee in update.fees)
        if not fees or sorted(fees) == sorted(before.fees):
            return FillUpdateResult.KNOWN
        after = order_fill(order, update, before.received_time_ns)
        order.replace_fees(before, after)
        self.index.fills[number] = after
        self._journal.append(after)
        self.record_change(order)
        return FillUpdateResult.FEE_CHANGED if before.fees else FillUpdateResult.KNOWN

    def _is_of_replaced_order(self, order: Order, update: VenueOrder) -> bool:
        """Whether an update is of the order that an amendment has replaced at the venue: where an
        amendment makes a new order, the venue reports the old one as cancelled."""
        known = order.venue_order_id
        return bool(
            known
            and update.venue_order_id not in ("", known)
            and update.state == order_states.CANCELLED
            and order.amendments
        )

    def _keep_unmatched(self, update: VenueOrder | VenueFill) -> None:
        ids = update.symbol, update.venue_order_id
        if ids not in self.unmatched and len(self.unmatched) >= UNMATCHED_ORDERS_MAX:
            _log.error("too many unmatched updates", extra={"venue_order_id": ids[1]})
            return
        kept = self.unmatched.setdefault(ids, [])
        if update not in kept:
            kept.append(update)
        self._listener.update_unmatched(*ids)
