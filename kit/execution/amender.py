"""Changes of an order that is open: its size, its price, where it wakes.

As with an order: written down, synced, sent once. What has become of an amendment that got no clear
answer is told by the order itself, when the venue is asked for it.
"""

import asyncio
from decimal import Decimal
from weakref import WeakValueDictionary

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import InvalidOrder, NotSupported, RequestIdReused
from kit.execution.approval import plain
from kit.execution.calls import act
from kit.execution.contract import Accepted, ExecutionClient, OrderRequest, Rejected
from kit.execution.journal.records import Amending, Record
from kit.execution.orders import states
from kit.execution.orders.account_state import AccountState, ended
from kit.execution.orders.order import Order, Outcome, digest_of, wish_of
from kit.execution.settings import OrdersSettings
from kit.execution.submitter import Commit, Inquiry, OrderSubmitter

REACHED = "its stop price was reached"
AMENDMENTS_MAX = 10_000
"""Of one order: each request is remembered as long as the order."""


class Amender:
    """Of one account."""

    def __init__(
        self,
        desk: ExecutionClient,
        ledger: AccountState,
        commit: Commit,
        inquiry: Inquiry,
        pilot: OrderSubmitter,
        settings: OrdersSettings,
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._commit = commit
        self._inquiry = inquiry
        self._pilot = pilot
        self._settings = settings
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def known(self, entry: Order, content: orders_pb2.OrderContent, request_id: str) -> bool:
        """Whether this amendment was asked for before. Raises RequestIdReused, BadRequest."""
        amending = entry.amendments.get(request_id)
        if amending is not None and amending.digest == digest_of(content, request_id):
            return True
        if amending is not None or self._pilot.known(content, request_id) is not None:
            text = f"the request id {request_id} belongs to something else"
            raise RequestIdReused(text, request_id=request_id)
        return False

    def check(self, entry: Order, content: orders_pb2.OrderContent) -> None:
        """Raises InvalidOrder where more would change than can, or the order cannot be changed any
        more; NotSupported."""
        if _rest_of(entry.content) != _rest_of(content):
            text = "an amendment changes size, price, stop price and trailing offset, nothing else"
            raise InvalidOrder(text, field="content", value="", allowed="as it was", nearest="")
        if entry.group_id and Decimal(content.size) not in (
            entry.size,
            Decimal(entry.content.size),
        ):
            allowed = f"{plain(entry.size)}: in a group only the price is amended"
            text = f"size is {content.size!r}; allowed is {allowed}"
            raise InvalidOrder(text, field="size", value=content.size, allowed=allowed, nearest="")
        if entry.state not in (states.OPEN, states.PARTLY_FILLED) or entry.cancel_wanted:
            state = orders_pb2.OrderState.Name(entry.state).removeprefix("ORDER_STATE_")
            text = f"only an open order can be amended; it is {state}"
            raise InvalidOrder(text, field="state", value=state, allowed="OPEN, PARTLY_FILLED")
        if len(entry.amendments) >= AMENDMENTS_MAX:
            text = f"the order was amended {AMENDMENTS_MAX} times"
            raise InvalidOrder(text, field="request_id", value="", allowed="a new order")
        if not self._desk.capabilities.amends and not entry.held:
            raise NotSupported("the venue amends no orders", service="TradeFlow", wanted="amend")
        self._check_stop(entry, content)

    def _check_stop(self, entry: Order, content: orders_pb2.OrderContent) -> None:
        """Where it wakes can change while it waits: here, or where the venue changes it."""
        field = _changed_stop(entry, content)
        if not field:
            return
        if entry.is_triggered:
            value = getattr(content, field)
            raise InvalidOrder(REACHED, field=field, value=value, allowed="as it was", nearest="")
        can = self._desk.capabilities.amends_stop_price and field == "stop_price"
        if not entry.held and not can:
            text = f"the venue does not change the {field} of an order; cancel it and place another"
            raise NotSupported(text, service="TradeFlow", wanted=field)

    async def amend(
        self, entry: Order, content: orders_pb2.OrderContent, request_id: str, *also: Record
    ) -> None:
        """Change an order; the content has passed the checks. ``also`` is written with it. Raises
        StoreUnavailable, and InvalidOrder with the venue's words when it does not want it."""
        if not self.known(entry, content, request_id):
            work = self._amend(entry, content, request_id, also)
            await asyncio.shield(self._pilot.works.start(work))
        amending = entry.amendments[request_id]
        if amending.outcome in (Outcome.REFUSED, Outcome.LAPSED):
            text = f"it was not amended: {amending.words}"
            raise InvalidOrder(text, field="content", value="", allowed=amending.words)

    async def _amend(
        self,
        entry: Order,
        content: orders_pb2.OrderContent,
        request_id: str,
        also: tuple[Record, ...],
    ) -> None:
        lock = self._locks.setdefault(entry.key, asyncio.Lock())
        async with lock:
            if self.known(entry, content, request_id):
                return
            self.check(entry, content)
            # The size of one in a group is not the caller's to change, and may have become smaller.
            size = entry.size if entry.group_id else None
            wish = wish_of(entry.client_order_id, content, size)
            was_held = entry.held
            amending = Amending(
                key=entry.key,
                request_id=request_id,
                digest=digest_of(content, request_id),
                size=wish.size,
                price=wish.price,
                outcome=Outcome.WANTED,
                words="",
                stop_price=wish.stop_price,
                trailing_offset=wish.trailing_offset,
            )
            await self._commit(*also, amending)
            self._ledger.amendment(entry, amending)
            if entry.held:
                settle_held(self._ledger, entry)
                await self._commit()
            elif was_held:
                words = "it was sent meanwhile"
                self._ledger.amendment(entry, ended(amending, Outcome.LAPSED, words))
            else:
                await self._send(entry, wish, amending)

    async def _send(self, entry: Order, wish: OrderRequest, amending: Amending) -> None:
        if entry.is_final:
            self._ledger.amendment(entry, ended(amending, Outcome.LAPSED, "the order has ended"))
            return
        call = self._desk.amend(entry.venue_key, wish)
        receipt = await act(call, self._settings.place_timeout_s)
        if isinstance(receipt, Accepted):
            self._ledger.name(entry, receipt.venue_order_id)
            self._ledger.amendment(entry, ended(amending, Outcome.DONE))
            if receipt.order is not None:
                self._ledger.order(receipt.order)
        elif isinstance(receipt, Rejected):
            self._ledger.amendment(entry, ended(amending, Outcome.REFUSED, receipt.detail))
        else:
            self._inquiry.watch(entry)


def settle_amendments(ledger: AccountState, entry: Order, *, is_over: bool) -> None:
    """Amendments that got no answer, after the venue was asked for the order. ``is_over``: none of
    them can be on its way any more."""
    for amending in list(entry.amendments.values()):
        if amending.outcome != Outcome.WANTED:
            continue
        if entry.is_told_as(amending):
            ledger.amendment(entry, ended(amending, Outcome.DONE))
        elif is_over:
            words = "the venue has not done it"
            ledger.amendment(entry, ended(amending, Outcome.REFUSED, words))


def settle_held(ledger: AccountState, entry: Order) -> None:
    """Amendments of an order that waits here, when they are on the disk: nobody has to be asked."""
    for amending in list(entry.amendments.values()):
        if amending.outcome != Outcome.WANTED:
            continue
        stop = amending.stop_price, amending.trailing_offset
        if entry.is_triggered and stop != (entry.stop_price, entry.trailing_offset):
            ledger.amendment(entry, ended(amending, Outcome.LAPSED, REACHED))
        else:
            ledger.amendment(entry, ended(amending, Outcome.DONE))


def _rest_of(content: orders_pb2.OrderContent) -> orders_pb2.OrderContent:
    """Without what an amendment can change."""
    rest = orders_pb2.OrderContent()
    rest.CopyFrom(content)
    rest.size = rest.price = rest.stop_price = rest.trailing_offset = ""
    return rest


def _changed_stop(entry: Order, content: orders_pb2.OrderContent) -> str:
    """Which field that says where it wakes would change; "" for none."""
    for field in ("stop_price", "trailing_offset"):
        text = getattr(content, field)
        if bool(text) != (getattr(entry, field) is not None):
            # That the type has it or not is checked with the others.
            continue
        if text and Decimal(text) != getattr(entry, field):
            return field
    return ""
