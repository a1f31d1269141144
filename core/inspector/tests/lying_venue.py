"""The orders of a venue whose process times out, forgets to answer and answers late."""

from collections.abc import Sequence
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2, signed_pb2

from core.inspector.venue_processes import CallRefused, NoAnswer, order_id
from kit.accounting.amounts import ZERO, plain

OPEN = orders_pb2.ORDER_STATE_OPEN
UNKNOWN = orders_pb2.ORDER_STATE_UNKNOWN
FILLED = orders_pb2.ORDER_STATE_FILLED
CANCELLED = orders_pb2.ORDER_STATE_CANCELLED
EXPIRED = orders_pb2.ORDER_STATE_EXPIRED
MARKET = orders_pb2.ORDER_TYPE_MARKET
FEE = Decimal("0.001")
STEP = Decimal("0.00001")


class LyingVenue:
    """VenueOrders without a network. It makes one order of one request id, as TradeFlow does."""

    def __init__(self, clock, points=None):
        self.clock = clock
        self.orders: dict[str, orders_pb2.Order] = {}
        self.made: list[str] = []
        """Request ids of the orders that were made, in their order."""
        self.amendments: list[str] = []
        """Request ids of the amendments that were made."""
        self.all_fills: list[orders_pb2.Fill] = []
        self.faults: list[str] = []
        """What happens to the next calls that change something: "lost", "unanswered", "late", or
        the reason of a refusal; "": nothing."""
        self.always: dict[str, str] = {}
        """What happens to all calls of a name, once ``faults`` is empty."""
        self.late: list[tuple[signed_pb2.ApprovedOrder, ...]] = []
        """Calls that arrive after their caller has given up."""
        self.fill_part = Decimal(1)
        """Of a market order that closes something."""
        self.closing_state = FILLED
        self.points = points
        self.calls: list[str] = []
        self.instruments: dict[tuple[str, str], types_pb2.Instrument] = {}
        self.best = Decimal(60_000)
        """The best price, on both sides; None: no good book is there."""
        self.free: dict[str, Decimal] = {}
        self.entry_fence = 0
        self.account_state = accounts_pb2.ACCOUNT_STATE_READY
        self.is_silent = False
        """Whether it says nothing of its accounts."""

    async def place(self, approved):
        return await self._call("place", lambda: self._place(tuple(approved)), tuple(approved))

    async def amend(self, approved):
        return await self._call("amend", lambda: self._amend(approved))

    async def cancel(self, approved):
        return await self._call("cancel", lambda: self._cancel(approved))

    async def fence(self, approved):
        return await self._call("fence", lambda: self._fence(approved))

    async def instrument(self, venue, symbol):
        return self.instruments.get((venue, symbol))

    async def best_price(self, venue, symbol, *, is_buy):
        return self.best

    async def free_balance(self, venue, account, asset):
        return self.free.get(asset)

    async def find(self, venue, account, client_id):
        await self._point("find")
        return _copy(self.orders.get(client_id))

    async def accounts(self, venue):
        if self.is_silent:
            raise NoAnswer("silent")
        names = {one.content.account for one in self.orders.values()} | {"paper"}
        return [accounts_pb2.Account(account=one, state=self.account_state) for one in names]

    async def open_orders(self, venue, account):
        if self.is_silent:
            raise NoAnswer("silent")
        return [
            _copy(one)
            for one in self.orders.values()
            if one.content.account == account and one.state < FILLED
        ]

    async def fills(self, order) -> Sequence[orders_pb2.Fill]:
        await self._point("fills")
        return [one for one in self.all_fills if one.client_order_id == order.client_order_id]

    def arrive_late(self) -> None:
        """Let the calls arrive that nobody waits for any more."""
        late, self.late = self.late, []
        for approved in late:
            try:
                self._place(approved)
            except CallRefused:
                continue

    def trigger(self, kind) -> None:
        """Fill the exit of a type, and cancel the others, as a group does."""
        for order in self.orders.values():
            if order.content.type == kind and order.state == OPEN:
                self._fill(order, Decimal(order.content.size))
                self._set(order, FILLED)
        for order in self.orders.values():
            if order.state == OPEN:
                self._set(order, CANCELLED)

    def held(self) -> Decimal:
        """What the fills leave of the base asset."""
        found = ZERO
        for fill in self.all_fills:
            size = Decimal(fill.size)
            found += size if fill.side == types_pb2.SIDE_BUY else -size
            for fee in (fill.fee, *fill.further_fees):
                found -= Decimal(fee.amount) if fee.asset == "BTC" else ZERO
        return found

    async def _call(self, name, act, late=None):
        await self._point(name)
        fault = self.faults.pop(0) if self.faults else self.always.get(name, "")
        if fault == "lost":
            raise NoAnswer("lost")
        if fault == "late":
            if late is not None:
                self.late.append(late)
            raise NoAnswer("late")
        if fault == "unanswered":
            act()
            raise NoAnswer("unanswered")
        if fault:
            raise CallRefused(fault, "as the test wants")
        answer = act()
        await self._point(f"{name} answered")
        return answer

    async def _point(self, name):
        self.calls.append(name)
        if self.points is not None:
            await self.points.reach(name)

    def _fence(self, approved):
        assert approved.operation == signed_pb2.OPERATION_FENCE
        self.entry_fence = max(self.entry_fence, approved.entry_fence)

    def _place(self, approved):
        known = [self.orders.get(order_id(one)) for one in approved]
        if all(known):
            return [_copy(order) for order in known]
        assert not any(known), "a group is placed whole"
        if any(one.expires_time_ns <= self.clock.time_ns() for one in approved):
            raise CallRefused("APPROVAL_REFUSED", "expired")
        if any(0 < one.entry_fence < self.entry_fence for one in approved):
            raise CallRefused("APPROVAL_REFUSED", "fenced")
        return [_copy(self._make(one)) for one in approved]

    def _make(self, approved):
        content = approved.content
        order = orders_pb2.Order(
            content=content,
            request_id=approved.request_id,
            client_order_id=order_id(approved),
            state=OPEN,
            filled_size="0",
        )
        self.orders[order.client_order_id] = order
        self.made.append(order.request_id)
        self._set(order, OPEN)
        if content.type == MARKET:
            size = Decimal(content.size)
            is_close = content.side == types_pb2.SIDE_SELL
            if is_close and self.closing_state != FILLED:
                self._set(order, self.closing_state)
                return order
            if is_close:
                size = (size * self.fill_part).quantize(STEP)
            self._fill(order, size)
            self._set(order, FILLED if size == Decimal(content.size) else EXPIRED)
        return order

    def end_unknown(self, is_filled: bool) -> None:
        """The venue says what became of the orders whose outcome was not known."""
        for order in self.orders.values():
            if order.state == UNKNOWN:
                if is_filled:
                    self._fill(order, Decimal(order.content.size))
                self._set(order, FILLED if is_filled else orders_pb2.ORDER_STATE_REJECTED)

    def _fill(self, order, size):
        content = order.content
        is_buy = content.side == types_pb2.SIDE_BUY
        fee = orders_pb2.Fee(asset="BTC" if is_buy else "USDT", amount=plain(size * FEE))
        # Every second fill costs something in another asset too, which the venue names first.
        fees = [] if len(self.all_fills) % 2 else [orders_pb2.Fee(asset="BNB", amount="0.5")]
        fees.append(fee)
        self.all_fills.append(
            orders_pb2.Fill(
                venue=content.venue,
                account=content.account,
                symbol=content.symbol,
                fill_id=str(len(self.all_fills) + 1),
                client_order_id=order.client_order_id,
                side=content.side,
                price="100",
                size=plain(size),
                fee=fees[0],
                further_fees=fees[1:],
            )
        )
        order.filled_size = plain(Decimal(order.filled_size) + size)
        paid = {one.asset: Decimal(one.amount) for one in order.fees}
        for one in fees:
            paid[one.asset] = paid.get(one.asset, ZERO) + Decimal(one.amount)
        del order.fees[:]
        for asset, amount in paid.items():
            order.fees.add(asset=asset, amount=plain(amount))

    def _cancel(self, approved):
        order = self.orders.get(approved.target_client_order_id)
        if order is None:
            raise CallRefused("UNKNOWN_ORDER", "no such order")
        if order.state == OPEN:
            order.cancel_requested_by = "key inspector"
            self._set(order, CANCELLED)
        return _copy(order)

    def _amend(self, approved):
        order = self.orders.get(approved.target_client_order_id)
        if order is None:
            raise CallRefused("UNKNOWN_ORDER", "no such order")
        if approved.request_id in self.amendments:
            return _copy(order)
        if approved.expires_time_ns <= self.clock.time_ns():
            raise CallRefused("APPROVAL_REFUSED", "expired")
        self.amendments.append(approved.request_id)
        order.content.CopyFrom(approved.content)
        self._set(order, order.state)
        return _copy(order)

    def _set(self, order, state):
        order.state = state
        order.updated_time_ns += 1


def _copy(order):
    if order is None:
        return None
    copied = orders_pb2.Order()
    copied.CopyFrom(order)
    return copied
