"""An order's way to the venue.

It is written down that it is wanted and that it is being sent, in one piece, and synced; then it is
sent, once. Whatever happens then but a clear answer makes it UNKNOWN, and is for the resolver. The
work goes on in a task of its own: the caller may leave.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import BadRequest, RequestIdReused, StoreUnavailable, VenueUnavailable
from kit.base.request_budget import Priority
from kit.execution.calls import Works, act, ask
from kit.execution.contract import Accepted, ExecutionClient, Rejected, VenueOrder, Verdict
from kit.execution.ids import REQUEST_ID, client_order_id
from kit.execution.journal.records import Grouped, Intended, Record, Sent
from kit.execution.orders import states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order, digest_of, wish_of
from kit.execution.orders.order_index import intended_of
from kit.execution.settings import OrdersSettings

FINDS_AT_ONCE = 8

Commit = Callable[..., Awaitable[None]]


class Inquiry(Protocol):
    """Who asks the venue about orders."""

    async def look(self, entry: Order) -> None:
        """Ask once, now. Raises VenueUnavailable."""

    def watch(self, entry: Order, *, is_missing: bool = False) -> None:
        """Go on asking until it is settled. ``is_missing``: it was open, and the venue did not name
        it any more."""


class Wanted(NamedTuple):
    """An order that has passed the checks."""

    content: orders_pb2.OrderContent
    request_id: str
    approval_ends_ns: int
    held: bool
    """Whether it waits here."""


class OrderSubmitter:
    """Places and cancels the orders of one account."""

    def __init__(
        self,
        desk: ExecutionClient,
        ledger: AccountState,
        commit: Commit,
        inquiry: Inquiry,
        clock: Clock,
        settings: OrdersSettings,
    ) -> None:
        """``commit`` has records on the disk, or raises StoreUnavailable."""
        self._desk = desk
        self._ledger = ledger
        self._commit = commit
        self._inquiry = inquiry
        self._clock = clock
        self._settings = settings
        self.works = Works()
        self._placing: dict[str, asyncio.Task[None]] = {}

    def known(self, content: orders_pb2.OrderContent, request_id: str) -> Order | None:
        """The order of a request that was made before. Raises RequestIdReused for one with another
        content, BadRequest."""
        if not REQUEST_ID.fullmatch(request_id):
            allowed = "1 to 64 of A-Z a-z 0-9 . _ : -"
            raise BadRequest(
                "not a request id", field="request_id", value=request_id[:80], allowed=allowed
            )
        index = self._ledger.index
        entry = index.orders.get(self._key(request_id))
        if entry is None and request_id not in index.by_amendment:
            return None
        if entry is not None and entry.external and _is_alike(entry, content):
            # A journal that was lost: the id can only be made of this request.
            return entry
        if entry is None or entry.digest != digest_of(content, request_id):
            text = f"the request id {request_id} belongs to another order"
            raise RequestIdReused(text, request_id=request_id)
        return entry

    async def place(
        self,
        content: orders_pb2.OrderContent,
        request_id: str,
        approval_ends_ns: int,
        *records: Record,
        held: bool = False,
    ) -> Order:
        """Send an order that has passed the checks, or hold it. ``records`` are written with it.
        Raises StoreUnavailable; nothing was sent then."""
        entry = self.known(content, request_id)
        if entry is None:
            intended = self._intended(Wanted(content, request_id, approval_ends_ns, held))
            entry = self._ledger.index.put_intended(intended)
            work = self._hold(entry, records) if held else self._send(entry, records)
            self._placing[entry.key] = self.works.start(work)
        await self.answered(entry)
        return entry

    async def place_together(self, wanted: Sequence[Wanted], *records: Record) -> list[Order]:
        """Place the orders of a group that is new: all are written down in one piece, then those
        that do not wait here are sent. Raises StoreUnavailable; nothing was sent then."""
        intended = tuple(map(self._intended, wanted))
        entries = list(map(self._ledger.index.put_intended, intended))
        work = self.works.start(self._send_together(entries, (*records, Grouped(intended))))
        self._placing.update((entry.key, work) for entry in entries)
        await asyncio.shield(work)
        return entries

    async def answered(self, entry: Order) -> None:
        """Until an order that is being placed has an answer. Raises StoreUnavailable."""
        task = self._placing.get(entry.key)
        if task is not None:
            await asyncio.shield(task)

    def is_placing(self, entry: Order) -> bool:
        """Whether it is on its way to the disk or to the venue, without an answer yet."""
        return entry.key in self._placing

    async def release(self, entry: Order) -> None:
        """Send an order that was held here; once, however often it is asked for. Raises
        StoreUnavailable; it is still held then."""
        if entry.key not in self._placing and entry.held and not entry.is_final:
            self._placing[entry.key] = self.works.start(self._release(entry))
        await self.answered(entry)

    async def cancel(self, entry: Order) -> None:
        """Take an order back. Raises StoreUnavailable for one that is held: it is cancelled, but a
        restart may know it again."""
        if entry.is_final:
            return
        self._want_cancelled(entry)
        if entry.is_final:
            await self._commit()
            return
        await asyncio.shield(self.works.start(self._cancel(entry)))

    async def cancel_all(self, symbol: str = "") -> list[Order]:
        """Take back everything, of one symbol or of all. Returns what was open. Raises
        VenueUnavailable when it is not sure that nothing is open; it may be called again."""
        entries = [
            entry for entry in self._ledger.index.open.values() if symbol in ("", entry.symbol)
        ]
        for entry in entries:
            self._want_cancelled(entry)
        timeout_s = self._settings.ask_timeout_s
        receipt = await act(self._desk.cancel_all(symbol), timeout_s)
        left = await ask(self._desk.open_orders(symbol), timeout_s)
        await self._each(self._cancel_told(order) for order in left)
        rest = [entry for entry in entries if not entry.is_final]
        await self._each(self._look(entry) for entry in rest)
        for entry in rest:
            self._inquiry.watch(entry)
        if not isinstance(receipt, Accepted) and any(not entry.is_final for entry in rest):
            raise VenueUnavailable(receipt.detail, detail=receipt.detail)
        return entries

    async def cancel_again(self, entry: Order) -> None:
        """Ask the venue once more to take an order back."""
        receipt = await act(self._desk.cancel(entry.venue_key), self._settings.ask_timeout_s)
        if isinstance(receipt, Accepted) and receipt.order is not None:
            self._ledger.order(receipt.order, asked=True)

    def _key(self, request_id: str) -> str:
        return client_order_id(self._ledger.venue, self._ledger.account, request_id)

    def _intended(self, wanted: Wanted) -> Intended:
        return Intended(
            key=self._key(wanted.request_id),
            request_id=wanted.request_id,
            digest=digest_of(wanted.content, wanted.request_id),
            content=wanted.content.SerializeToString(),
            created_time_ns=self._clock.time_ns(),
            approval_ends_ns=wanted.approval_ends_ns,
            held=wanted.held,
        )

    async def _hold(self, entry: Order, records: tuple[Record, ...]) -> None:
        try:
            await self._write([entry], *records, intended_of(entry))
            self._open_here(entry)
        finally:
            self._placing.pop(entry.key, None)

    def _open_here(self, entry: Order) -> None:
        self._ledger.move(entry, states.CANCELLED if entry.cancel_wanted else states.OPEN)

    async def _send(self, entry: Order, records: tuple[Record, ...]) -> None:
        try:
            began_ns = self._clock.monotonic_ns()
            sent = self._leaving(entry)
            await self._write([entry], *records, intended_of(entry), sent)
            if not self._is_late([entry], began_ns):
                await self._launch(entry)
        finally:
            self._placing.pop(entry.key, None)

    async def _send_together(self, entries: list[Order], records: tuple[Record, ...]) -> None:
        begun = entries
        try:
            began_ns = self._clock.monotonic_ns()
            sent = [entry for entry in entries if not entry.held]
            await self._write(entries, *records, *map(self._leaving, sent))
            if self._is_late(entries, began_ns):
                return
            begun = sent
            for entry in entries:
                if entry.held:
                    # From here on it may be released, while another one waits for its answer.
                    self._placing.pop(entry.key, None)
                    self._open_here(entry)
            for entry in sent:
                await self._launch(entry)
        finally:
            for entry in begun:
                self._placing.pop(entry.key, None)

    def _is_late(self, entries: list[Order], began_ns: int) -> bool:
        """Whether it took too long to write them down. They are rejected then."""
        waited_s = (self._clock.monotonic_ns() - began_ns) / NANOSECONDS_PER_SECOND
        now_ns = self._clock.time_ns()
        if waited_s <= self._settings.place_timeout_s and not any(
            0 < entry.approval_ends_ns <= now_ns for entry in entries
        ):
            return False
        words = "writing it down took so long that it was not sent"
        for entry in entries:
            self._ledger.move(entry, states.REJECTED, orders_pb2.REJECT_REASON_OTHER, words)
        return True

    async def _release(self, entry: Order) -> None:
        try:
            if not entry.is_final:
                await self._commit(self._leaving(entry))
            if not entry.is_final:
                entry.held = False
                await self._launch(entry)
        finally:
            entry.is_leaving = False
            self._placing.pop(entry.key, None)

    def _leaving(self, entry: Order) -> Sent:
        """Also a journal that is written anew from here on says that it may have been sent."""
        entry.is_leaving = True
        return Sent(entry.key, self._clock.time_ns())

    async def _write(self, entries: list[Order], *records: Record) -> None:
        try:
            await self._commit(*records)
        except StoreUnavailable:
            for entry in entries:
                self._ledger.index.drop(entry)
            raise

    async def _launch(self, entry: Order) -> None:
        if entry.cancel_wanted:
            self._ledger.move(entry, states.CANCELLED, detail="cancelled before it was sent")
            return
        wish = wish_of(entry.client_order_id, triggered(entry), entry.size, entry.price)
        # The bytes of the order first; nobody can answer them before it is told.
        asyncio.get_running_loop().call_soon(self._tell_sent, entry)
        try:
            receipt = await act(
                self._desk.place(wish, priority_of(entry)), self._settings.place_timeout_s
            )
        except asyncio.CancelledError:
            self._tell_sent(entry)
            self._ledger.move(entry, states.UNKNOWN, detail="the process ended meanwhile")
            raise
        self._tell_sent(entry)
        self._take_receipt(entry, receipt)

    def _tell_sent(self, entry: Order) -> None:
        if entry.is_leaving:
            entry.is_leaving = False
            self._ledger.move(entry, states.SENT)

    def _take_receipt(self, entry: Order, receipt: Verdict) -> None:
        if isinstance(receipt, Accepted):
            self._ledger.accepted(entry, receipt.venue_order_id)
            if receipt.order is not None:
                self._ledger.order(receipt.order)
            if not entry.is_final and (entry.cancel_wanted or entry.state == states.ACKNOWLEDGED):
                self._inquiry.watch(entry)
        elif (
            isinstance(receipt, Rejected)
            and receipt.reason != orders_pb2.REJECT_REASON_DUPLICATE_ID
            and not entry.was_at_venue
        ):
            self._ledger.move(entry, states.REJECTED, receipt.reason, receipt.detail)
        elif not self._ledger.move(entry, states.UNKNOWN, detail=receipt.detail):
            # Its own news were faster, or a refusal contradicts them.
            self._inquiry.watch(entry)

    def _want_cancelled(self, entry: Order) -> None:
        entry.cancel_wanted = True
        if entry.held and entry.state == states.OPEN:
            self._ledger.move(entry, states.CANCELLED)
        else:
            self._ledger.changed(entry)

    async def _cancel(self, entry: Order) -> None:
        if entry.state == states.INTENDED:
            # Not sent yet: it will not be.
            await self.answered(entry)
            if entry.is_final:
                return
        await self.cancel_again(entry)
        if not entry.is_final:
            await self._look(entry)
        if not entry.is_final:
            self._inquiry.watch(entry)

    async def _cancel_told(self, order: VenueOrder) -> None:
        entry = self._ledger.order(order, asked=True)
        if entry is None or entry.is_final:
            return
        self._want_cancelled(entry)
        await self._cancel(entry)

    async def _look(self, entry: Order) -> None:
        try:
            await self._inquiry.look(entry)
        except VenueUnavailable:
            self._inquiry.watch(entry)

    async def _each(self, works: Iterable[Awaitable[None]]) -> None:
        """All of them, a few at a time."""
        room = asyncio.Semaphore(FINDS_AT_ONCE)

        async def one(work: Awaitable[None]) -> None:
            async with room:
                await work

        await asyncio.gather(*map(one, works))


def _is_alike(entry: Order, content: orders_pb2.OrderContent) -> bool:
    """Whether an order that was found at the venue may be this one."""
    return (entry.symbol, entry.content.side) == (content.symbol, content.side)


def priority_of(entry: Order) -> Priority:
    """PROTECT for an order that limits a loss: a reduction, or a stop or take-profit, also after it
    was triggered here and became a market or limit order."""
    protects = entry.content.reduce_only or entry.content.type in BECOMES
    return Priority.PROTECT if protects else Priority.NEW


def triggered(entry: Order) -> orders_pb2.OrderContent:
    """What the venue is to get of an order: of one that waited here for its stop price, what it has
    become."""
    if not (entry.kept_here and entry.is_triggered and entry.content.type in BECOMES):
        return entry.terms() if entry.amendments else entry.content
    content = entry.terms()
    content.type = BECOMES[entry.content.type]
    content.stop_price = content.trailing_offset = ""
    if content.type == orders_pb2.ORDER_TYPE_MARKET:
        content.time_in_force = orders_pb2.TIME_IN_FORCE_UNSPECIFIED
    return content


BECOMES = {
    orders_pb2.ORDER_TYPE_STOP: orders_pb2.ORDER_TYPE_MARKET,
    orders_pb2.ORDER_TYPE_STOP_LIMIT: orders_pb2.ORDER_TYPE_LIMIT,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: orders_pb2.ORDER_TYPE_MARKET,
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: orders_pb2.ORDER_TYPE_LIMIT,
    orders_pb2.ORDER_TYPE_TRAILING_STOP: orders_pb2.ORDER_TYPE_MARKET,
}
"""What an order becomes when its stop price is reached."""
