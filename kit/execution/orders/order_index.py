"""The orders and fills of an account by every id, rebuilt from the journal."""

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol, TypeVar

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.contract import NO_END_NS, OrderState
from kit.execution.journal.records import (
    Amendment,
    AmendmentOutcome,
    ExternalOrder,
    GroupIntent,
    OrderFill,
    OrderIntent,
    OrderSent,
    OrderUpdate,
    Record,
)
from kit.execution.orders import order_states
from kit.execution.orders.order import Order
from kit.execution.orders.order_records import external_order, intended_order
from kit.execution.prices.reference_prices import FindInstrument, not_listed

FORGET_AFTER_NS = 3600 * NANOSECONDS_PER_SECOND
"""An ended order is kept at least this long, however many there are: updates of it may be late."""

AT_ONCE = 100
REJECTED_MAX = 1000
"""Of the orders that were rejected last, so many may turn out to be at the venue by an update
without our id."""

ValueT = TypeVar("ValueT")


class OrderObserver(Protocol):
    """Counts what happens to orders. What is read from the journal is not shown to it."""

    def state_changed(self, order: Order, before: OrderState) -> None:
        """An order has another state than before."""

    def fill_added(self, fill: OrderFill) -> None:
        """A fill is new."""


class OrderIndex:
    """The orders of one account."""

    def __init__(self, find_instrument: FindInstrument = not_listed) -> None:
        self._find_instrument = find_instrument
        self.observers: list[OrderObserver] = []
        self.orders: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        """Orders that are not final."""
        self.fills: dict[int, OrderFill] = {}
        """By a number that grows, in the order in which they were received."""
        self.by_amendment: dict[str, Order] = {}
        """By the request id of an amendment."""
        self.groups: dict[str, list[Order]] = {}
        """By group id, the orders of a group in the order of the request."""
        self._rejected: dict[str, Order] = {}
        """The orders that were rejected last and whose venue id is not known, oldest first."""
        self.last_fill_time_ns = 0
        self._fill_number = 0
        self._by_venue_id: dict[tuple[str, str], Order] = {}
        self._venue_order_ids: dict[str, set[str]] = {}
        """By order key, all its ids in ``_by_venue_id``: an amendment may replace the order."""
        self._fill_numbers: dict[tuple[str, str], int] = {}
        """By order key and fill id: both orders of a self-trade have a fill of the same id."""

    def find(self, symbol: str, client_order_id: str, venue_order_id: str) -> Order | None:
        """Return the order with these ids, one of which may be empty."""
        if client_order_id and client_order_id in self.orders:
            return self.orders[client_order_id]
        return self._by_venue_id.get((symbol, venue_order_id)) if venue_order_id else None

    def may_be_ours(self, symbol: str, *, is_answer: bool) -> bool:
        """Whether an order of the symbol that has no client order id may be one whose venue id is
        not known here yet: one in doubt; or, until the venue was queried for it, one that it
        rejected and has nevertheless. ``is_answer``: the venue was."""
        in_doubt = (one for one in self.open.values() if one.state in order_states.IN_DOUBT)
        rejected = () if is_answer else self._rejected.values()
        return any(
            one.symbol == symbol and not one.venue_order_id for one in (*in_doubt, *rejected)
        )

    def find_fill(self, order: Order, fill_id: str) -> int | None:
        """Return the number of a known fill of an order."""
        return self._fill_numbers.get((order.key, fill_id))

    def set_venue_order_id(self, order: Order, venue_order_id: str) -> None:
        """Make the order found by this id too."""
        order.venue_order_id = venue_order_id
        self._add_venue_order_id(order, venue_order_id)

    def add(self, order: Order) -> None:
        self.orders[order.key] = order
        self.open[order.key] = order
        if order.group_id:
            self.groups.setdefault(order.group_id, []).append(order)

    def add_intended(self, intent: OrderIntent) -> Order:
        """Add an order that is to be placed."""
        order = intended_order(intent, self._find_instrument)
        self.add(order)
        return order

    def add_external(self, record: ExternalOrder) -> Order:
        """Add an order that another program placed."""
        order = external_order(record, self._find_instrument)
        self.add(order)
        return order

    def state_changed(self, order: Order, before: OrderState) -> None:
        """Keep an order among those that are open, or no longer. ``before``: its last state."""
        if order.state != before:
            for observer in self.observers:
                observer.state_changed(order, before)
        self._rejected.pop(order.key, None)
        if not order.is_final:
            self.open[order.key] = order
            return
        self.open.pop(order.key, None)
        if order.state == order_states.REJECTED and not order.venue_order_id:
            self._rejected[order.key] = order
            if len(self._rejected) > REJECTED_MAX:
                del self._rejected[next(iter(self._rejected))]

    def remove(self, order: Order) -> None:
        """Remove an order that was neither written to disk nor sent, and its group."""
        self.orders.pop(order.key, None)
        self.open.pop(order.key, None)
        self.groups.pop(order.group_id, None)

    def add_amendment(self, amendment: Amendment) -> None:
        """Add an amendment, or replace it by one with its outcome."""
        order = self.orders[amendment.key]
        order.amendments[amendment.request_id] = amendment
        self.by_amendment[amendment.request_id] = order

    def add_fill(self, order: Order, fill: OrderFill) -> None:
        """Add a fill that the venue has reported."""
        self._keep_fill(order, fill)
        for observer in self.observers:
            observer.fill_added(fill)

    def _keep_fill(self, order: Order, fill: OrderFill) -> None:
        order.add_fill(fill)
        self._fill_number += 1
        self.fills[self._fill_number] = fill
        self._fill_numbers[order.key, fill.fill_id] = self._fill_number
        if fill.venue_order_id and (fill.symbol, fill.venue_order_id) not in self._by_venue_id:
            # Of an order that an amendment has replaced: the journal has its id only here.
            self._add_venue_order_id(order, fill.venue_order_id)
        self.last_fill_time_ns = max(self.last_fill_time_ns, fill.venue_time_ns)

    def records(self) -> Iterator[Record]:
        """Yield the records from which ``replay`` rebuilds the index. It may change meanwhile:
        what is recorded of that has to be replayed afterwards."""
        for order in list(self.orders.values()):
            if order.external:
                content = order.content.SerializeToString()
                yield ExternalOrder(
                    order.key, order.client_order_id, content, order.created_time_ns
                )
            else:
                yield order.intent()
            # The update follows the amendments: the terms may have changed since.
            yield from list(order.amendments.values())
            yield order.update()
            if order.is_sending and not order.is_final:
                yield OrderSent(order.key, order.updated_time_ns)
        yield from list(self.fills.values())

    def replay(self, record: Record) -> None:
        """Apply a record of the journal."""
        match record:
            case OrderIntent():
                if record.key not in self.orders:
                    self.add_intended(record)
            case GroupIntent():
                for intent in record.orders:
                    self.replay(intent)
            case ExternalOrder():
                if record.key not in self.orders:
                    self.add_external(record)
            case OrderFill():
                self._replay_fill(record)
            case OrderSent() | OrderUpdate() | Amendment():
                order = self.orders.get(record.key)
                if order is not None:
                    self._replay_step(order, record)

    def forget(
        self, now_ns: int, older_than_ns: int, final_max: int, known_ns: int = NO_END_NS
    ) -> Iterator[int]:
        """Remove orders that ended before a time, and the oldest of those above ``final_max``.
        Keeps an order whose approval is still valid, whose group is open, or that has changed after
        ``known_ns``. Looks at a part of the orders, or removes one, for each count that it
        yields."""
        # Ids and times, not the orders: all of them would be freed at the end, in one step.
        final: list[tuple[int, str, int]] = []
        for part in _parts(list(self.orders)):
            orders = (self.orders[key] for key in part if key in self.orders)
            final += [
                (one.updated_time_ns, one.key, one.approval_expires_time_ns)
                for one in orders
                if one.is_final
            ]
            yield 0
        final.sort()
        yield 0
        excess = len(final) - final_max
        surplus_ns = now_ns - FORGET_AFTER_NS
        gone: dict[str, None] = {}
        for place, ended in enumerate(_parts(final)):
            for number, (updated_ns, key, expires_ns) in enumerate(ended, place * AT_ONCE):
                ended_by_ns = surplus_ns if number < excess else older_than_ns
                if updated_ns < min(known_ns, ended_by_ns) and expires_ns < now_ns:
                    gone[key] = None
            yield 0
        needed = self._needed(gone)
        for keys in _parts([key for key in gone if key not in needed]):
            for key in keys:
                self._forget(key)
            yield len(keys)

    def _forget(self, key: str) -> None:
        order = self.orders.get(key)
        if order is None or not order.is_final:
            # It changed between two parts.
            return
        del self.orders[key]
        self._rejected.pop(key, None)
        self.groups.pop(order.group_id, None)
        for venue_order_id in self._venue_order_ids.pop(key, ()):
            self._by_venue_id.pop((order.symbol, venue_order_id), None)
        for request_id in order.amendments:
            self.by_amendment.pop(request_id, None)
        for fill in order.fills.values():
            del self.fills[self._fill_numbers.pop((key, fill.fill_id))]

    def _needed(self, gone: Collection[str]) -> set[str]:
        """Orders of groups of which a member stays: their fills count in the group's sums."""
        return {
            order.key
            for members in self.groups.values()
            if any(member.key not in gone for member in members)
            for order in members
        }

    def _add_venue_order_id(self, order: Order, venue_order_id: str) -> None:
        self._by_venue_id[order.symbol, venue_order_id] = order
        self._venue_order_ids.setdefault(order.key, set()).add(venue_order_id)

    def _replay_fill(self, fill: OrderFill) -> None:
        order = self.orders.get(fill.key)
        if order is None:
            return
        number = self.find_fill(order, fill.fill_id)
        if number is not None:
            order.replace_fees(self.fills[number], fill)
            self.fills[number] = fill
        else:
            self._keep_fill(order, fill)
            if fill.venue_order_id and not order.venue_order_id:
                self.set_venue_order_id(order, fill.venue_order_id)

    def _replay_step(self, order: Order, record: OrderSent | OrderUpdate | Amendment) -> None:
        if isinstance(record, Amendment):
            self.add_amendment(record)
            if record.outcome == AmendmentOutcome.DONE and not order.is_final:
                order.amend(record)
            return
        if isinstance(record, OrderSent):
            # It was written before the order was sent: whether it was sent is not known.
            order.held_here = False
            order.state = order_states.UNKNOWN
            return
        if record.held_here and not order.held_here and record.state not in order_states.FINAL:
            # It was written while the order was being sent: the ``OrderSent`` before it holds.
            order.set_terms(record.size, record.price, record.stop_price)
            return
        order.restore(record)
        if order.venue_order_id:
            self._add_venue_order_id(order, order.venue_order_id)
        self.state_changed(order, order.state)


def _parts(values: Sequence[ValueT]) -> Iterator[Sequence[ValueT]]:
    """Yield the values, so many at once that handling them does not hold up other tasks."""
    for first in range(0, len(values), AT_ONCE):
        yield values[first : first + AT_ONCE]
