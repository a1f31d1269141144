"""What is known of an account's orders, found by every id, and rebuilt from the journal."""

from collections.abc import Iterator
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.journal.records import (
    Amending,
    Filled,
    Foreign,
    Grouped,
    Intended,
    Record,
    Sent,
    Stood,
)
from kit.execution.orders import states
from kit.execution.orders.order import Order, Outcome, given

FORGET_AFTER_NS = 3600 * NANOSECONDS_PER_SECOND
"""However many there are, an order that ended is known for so long: news of it may come late."""


class OrderIndex:
    """Of one account."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        """Those that are not final."""
        self.fills: dict[int, Filled] = {}
        """By number, in the order in which they were heard of."""
        self.by_amendment: dict[str, Order] = {}
        """By the request id of an amendment."""
        self.groups: dict[str, list[Order]] = {}
        """Those that were placed together, by the id of their group, as they were asked for."""
        self.last_fill_time_ns = 0
        self._fill_number = 0
        self._by_venue_id: dict[tuple[str, str], Order] = {}
        self._by_fill_id: dict[tuple[str, str], tuple[Order, int]] = {}

    def find(self, symbol: str, client_order_id: str, venue_order_id: str) -> Order | None:
        """The order of these ids, one of which may be empty."""
        if client_order_id and client_order_id in self.orders:
            return self.orders[client_order_id]
        return self._by_venue_id.get((symbol, venue_order_id)) if venue_order_id else None

    def find_fill(self, symbol: str, fill_id: str) -> tuple[Order, int] | None:
        """The order and the number of a fill that is known."""
        return self._by_fill_id.get((symbol, fill_id))

    def name(self, entry: Order, venue_order_id: str) -> None:
        """Find an order by this id too."""
        entry.venue_order_id = venue_order_id
        self._by_venue_id[entry.symbol, venue_order_id] = entry

    def drop(self, entry: Order) -> None:
        """An order that could not be written, and was not sent."""
        self.orders.pop(entry.key, None)
        self.open.pop(entry.key, None)
        self.groups.pop(entry.group_id, None)

    def put(self, entry: Order) -> None:
        """An order that is new."""
        self.orders[entry.key] = entry
        self.open[entry.key] = entry

    def put_intended(self, intended: Intended) -> Order:
        """An order that is wanted."""
        content = orders_pb2.OrderContent.FromString(intended.content)
        entry = Order(
            key=intended.key,
            client_order_id=intended.key,
            content=content,
            created_time_ns=intended.created_time_ns,
            size=Decimal(content.size),
            price=given(content.price),
            stop_price=given(content.stop_price),
            trailing_offset=given(content.trailing_offset),
            request_id=intended.request_id,
            digest=intended.digest,
            approval_ends_ns=intended.approval_ends_ns,
            kept_here=intended.held,
            held=intended.held,
            updated_time_ns=intended.created_time_ns,
            group_id=content.group.group_id,
        )
        self.put(entry)
        if entry.group_id:
            self.groups.setdefault(entry.group_id, []).append(entry)
        return entry

    def put_foreign(self, foreign: Foreign) -> Order:
        """An order that was placed elsewhere."""
        content = orders_pb2.OrderContent.FromString(foreign.content)
        entry = Order(
            key=foreign.key,
            client_order_id=foreign.client_order_id,
            content=content,
            created_time_ns=foreign.created_time_ns,
            size=Decimal(content.size),
            price=given(content.price),
            stop_price=given(content.stop_price),
            external=True,
            state=states.ACKNOWLEDGED,
        )
        self.put(entry)
        return entry

    def put_amending(self, amending: Amending) -> None:
        """An amendment is wanted, or has ended so."""
        entry = self.orders[amending.key]
        entry.amendments[amending.request_id] = amending
        self.by_amendment[amending.request_id] = entry

    def put_fill(self, entry: Order, filled: Filled) -> None:
        """A fill that is new."""
        entry.add(filled)
        self._fill_number += 1
        self.fills[self._fill_number] = filled
        self._by_fill_id[filled.symbol, filled.fill_id] = entry, self._fill_number
        self.last_fill_time_ns = max(self.last_fill_time_ns, filled.venue_time_ns)

    def records(self) -> Iterator[Record]:
        """All of it, for the journal."""
        for entry in self.orders.values():
            if entry.external:
                content = entry.content.SerializeToString()
                yield Foreign(entry.key, entry.client_order_id, content, entry.created_time_ns)
            else:
                yield intended_of(entry)
            # After them, as it may have changed since.
            yield from entry.amendments.values()
            yield entry.stood()
            if entry.is_leaving and not entry.is_final:
                yield Sent(entry.key, entry.updated_time_ns)
        yield from self.fills.values()

    def replay(self, record: Record) -> None:
        """Take in a record of the journal."""
        if isinstance(record, Intended) and record.key not in self.orders:
            self.put_intended(record)
        elif isinstance(record, Grouped):
            for intended in record.orders:
                self.replay(intended)
        elif isinstance(record, Foreign) and record.key not in self.orders:
            self.put_foreign(record)
        elif isinstance(record, Filled):
            self._replay_fill(record)
        elif isinstance(record, Sent | Stood | Amending):
            entry = self.orders.get(record.key)
            if entry is not None:
                self._replay_step(entry, record)

    def forget(self, now_ns: int, older_than_ns: int, final_max: int) -> int:
        """Drop orders that ended before a time, and the oldest of those that are more than may be
        kept; never one whose approval holds, or whose group goes on. Returns how many."""
        final = [entry for entry in self.orders.values() if entry.is_final]
        final.sort(key=lambda entry: entry.updated_time_ns)
        excess = len(final) - final_max
        gone = {
            entry.key
            for place, entry in enumerate(final)
            if entry.approval_ends_ns < now_ns
            and entry.updated_time_ns
            < (now_ns - FORGET_AFTER_NS if place < excess else older_than_ns)
        }
        gone -= self._needed(gone)
        for key in gone:
            entry = self.orders.pop(key)
            self.groups.pop(entry.group_id, None)
            self._by_venue_id.pop((entry.symbol, entry.venue_order_id), None)
            for request_id in entry.amendments:
                self.by_amendment.pop(request_id, None)
            for fill in entry.fills.values():
                _, number = self._by_fill_id.pop((fill.symbol, fill.fill_id))
                del self.fills[number]
        return len(gone)

    def _needed(self, gone: set[str]) -> set[str]:
        """Those whose group has a member that stays: what it has done is part of the sum."""
        return {
            entry.key
            for members in self.groups.values()
            if any(member.key not in gone for member in members)
            for entry in members
        }

    def _replay_fill(self, filled: Filled) -> None:
        known = self._by_fill_id.get((filled.symbol, filled.fill_id))
        if known is not None:
            entry, number = known
            entry.recount(self.fills[number], filled)
            self.fills[number] = filled
        elif filled.key in self.orders:
            entry = self.orders[filled.key]
            self.put_fill(entry, filled)
            if filled.venue_order_id and not entry.venue_order_id:
                self.name(entry, filled.venue_order_id)

    def _replay_step(self, entry: Order, record: Sent | Stood | Amending) -> None:
        if isinstance(record, Amending):
            self.put_amending(record)
            if record.outcome == Outcome.DONE and not entry.is_final:
                entry.amend(record)
            return
        if isinstance(record, Sent):
            # Written before it was sent: whether it was is not known any more.
            entry.held = False
            entry.state = states.UNKNOWN
            return
        if record.held and not entry.held and record.state not in states.FINAL:
            # Told while it was leaving: what was said of that before holds.
            entry.size, entry.price = record.size, record.price
            if record.stop_price is not None:
                entry.stop_price = record.stop_price
            return
        entry.restore(record)
        if entry.venue_order_id:
            self._by_venue_id[entry.symbol, entry.venue_order_id] = entry
        if entry.is_final:
            self.open.pop(entry.key, None)
        else:
            self.open[entry.key] = entry


def intended_of(entry: Order) -> Intended:
    """What was wanted, for the journal."""
    return Intended(
        key=entry.key,
        request_id=entry.request_id,
        digest=entry.digest,
        content=entry.content.SerializeToString(),
        created_time_ns=entry.created_time_ns,
        approval_ends_ns=entry.approval_ends_ns,
        held=entry.kept_here,
    )
