"""Holds the orders of one account to the limits of the account and of the key that approves.

Positions are counted as large as they can become: what is held, by the venue's report or by the
fills, whichever is more, and all open orders of the order's side. Everything on the other side
counts as closed before, as a reduction is never held back for an open order.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO
from kit.accounting.instruments import spot_base
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import UnknownInstrument
from kit.execution.account_terms import NO_LIMITS, OrderLimits
from kit.execution.checks import limits
from kit.execution.checks.limits import LimitState, opens_position
from kit.execution.context import AccountContext
from kit.execution.contract import Side
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order import Order
from kit.execution.orders.order_index import OrderIndex
from kit.execution.prices.reference_prices import ReferenceMarketData

FILLS_WAIT_NS = 10 * NANOSECONDS_PER_SECOND
"""How long the fills of an order that has ended are counted before they are known, across a
comparison with the venue."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose limits an order is checked by."""

    name: str
    limits: OrderLimits
    key_id: str
    """Only orders that this key approved count; "" for those of all keys."""


class OrderLimiter:
    """The limits of one account, and of the keys that approve its orders."""

    def __init__(
        self,
        index: OrderIndex,
        held: BalancesAndPositions,
        market: ReferenceMarketData,
        context: AccountContext,
    ) -> None:
        self._index = index
        self._held = held
        self._market = market
        self._context = context
        self._times_ns: dict[str, deque[int]] = {}
        """By key id, when its last orders were accepted; those of all keys under ""."""
        self._amended: dict[tuple[str, str], Decimal] = {}
        """By order and request id, the sizes of amendments that are being written."""
        self._lacking: dict[str, Order] = {}
        """Orders that have ended and whose fills are not all known."""

    def order_changed(self, order: Order) -> None:
        """Note an order whose fills are still to come, and amendments that are on disk."""
        if order.is_final and order.lacks_fills:
            self._lacking[order.key] = order
        else:
            self._lacking.pop(order.key, None)
        for key, request_id in list(self._amended):
            if key == order.key and (order.is_final or request_id in order.amendments):
                del self._amended[key, request_id]

    def amendment_not_made(self, order: Order, request_id: str) -> None:
        """An amendment that was checked has failed before it was written."""
        self._amended.pop((order.key, request_id), None)

    def reconciled(self) -> None:
        """Positions were compared with the venue: fills that were missing are in them."""
        before_ns = self._context.clock.time_ns() - FILLS_WAIT_NS
        for key, order in list(self._lacking.items()):
            if order.updated_time_ns < before_ns:
                del self._lacking[key]

    def check(self, contents: Sequence[orders_pb2.OrderContent], key_id: str) -> None:
        """Check an order that is no reduction, or alternatives of which one is filled, and count
        them. Raises LimitExceeded, InvalidOrder."""
        for holder in self._holders(key_id):
            for content in contents:
                state = self._state(holder, content)
                limits.check(holder.limits, replace(state, orders=len(contents)), content)
        self._count(key_id, len(contents))

    def check_amendment(self, order: Order, approved: signed_pb2.ApprovedOrder) -> None:
        """Check an amendment that is no reduction, if it enlarges size or price, and count it; its
        size counts until it is on disk. Raises LimitExceeded, InvalidOrder."""
        content, key_id = approved.content, approved.key_id
        holders = self._holders(key_id)
        if not holders:
            return
        if _is_enlarged(order, content):
            for holder in holders:
                limits.check(holder.limits, self._state(holder, content, order), content)
            self._count(key_id, 1)
        # Also one that enlarges nothing now: a smaller one before it may be done first.
        self._amended[order.key, approved.request_id] = Decimal(content.size)

    def _holders(self, key_id: str) -> list[Holder]:
        file, at = self._context.accounts_file, self._context
        if file is None:
            return []
        name = f"{at.venue}/{at.account}"
        account = Holder(f"the account {name}", file.account(at.venue, at.account).limits, "")
        key = Holder(f"the key {key_id}", file.key(key_id), key_id)
        return [one for one in (account, key) if one.limits != NO_LIMITS]

    def _state(
        self,
        holder: Holder,
        content: orders_pb2.OrderContent,
        amended: Order | None = None,
    ) -> LimitState:
        instrument = self._market.instrument(content.symbol)
        if instrument is None:
            raise UnknownInstrument(
                f"{content.venue} does not list {content.symbol!r}",
                venue=content.venue,
                symbol=content.symbol,
            )
        open_orders = [
            one
            for one in self._index.open.values()
            if self._opens(one) and holder.key_id in ("", one.key_id)
        ]
        return LimitState(
            whose=holder.name,
            instrument=instrument,
            best=self._market.best(content.symbol),
            market_band_percent=self._context.settings.market_band_percent,
            open_orders=len(open_orders),
            recent_orders=self._recent(holder.key_id),
            exposure=self._exposure(instrument, content.side, amended),
            filled_size=amended.fill_size if amended is not None else ZERO,
            is_amendment=amended is not None,
        )

    def _exposure(
        self, instrument: types_pb2.Instrument, side: Side, amended: Order | None
    ) -> Decimal:
        buys = side == types_pb2.SIDE_BUY
        name = spot_base(instrument) or instrument.symbol
        lowest, highest = self._held.bounds(name)
        held = max(highest if buys else amounts.subtract(ZERO, lowest), ZERO)
        left_by_group: dict[str, Decimal] = {}
        for order in self._orders_of(name):
            # One order of a group is filled, whichever it is.
            group = _group_of(order)
            if order.buys == buys and (amended is None or group != _group_of(amended)):
                left = max(self._left(order), left_by_group.get(group, ZERO))
                left_by_group[group] = left
        return amounts.add(held, amounts.total(left_by_group.values()))

    def _orders_of(self, name: str) -> Iterator[Order]:
        """Yield the orders that may still add to a position, or to the balance of an asset."""
        for order in (*self._index.open.values(), *self._lacking.values()):
            held_as = spot_base(self._market.instrument(order.symbol)) or order.symbol
            if held_as == name and self._opens(order):
                yield order

    def _left(self, order: Order) -> Decimal:
        """The size that may still be filled, or is filled without a known fill."""
        if order.is_final:
            return amounts.subtract(order.filled_size, order.fill_size)
        sizes = [order.size, *(one.size for one in order.pending_amendments)]
        sizes += [size for (key, _), size in self._amended.items() if key == order.key]
        return max(amounts.subtract(max(sizes), order.fill_size), ZERO)

    def _opens(self, order: Order) -> bool:
        instrument = self._market.instrument(order.symbol)
        return instrument is None or opens_position(order.content, instrument)

    def _recent(self, key_id: str) -> int:
        times_ns = self._times_ns.get(key_id, deque())
        after_ns = self._context.clock.monotonic_ns() - NANOSECONDS_PER_SECOND
        while times_ns and times_ns[0] <= after_ns:
            times_ns.popleft()
        return len(times_ns)

    def _count(self, key_id: str, orders: int) -> None:
        now_ns = self._context.clock.monotonic_ns()
        for holder in self._holders(key_id):
            if holder.limits.orders_per_second_max is not None:
                times_ns = self._times_ns.setdefault(holder.key_id, deque())
                times_ns.extend([now_ns] * orders)


def _group_of(order: Order) -> str:
    return order.group_id or order.key


def _is_enlarged(order: Order, content: orders_pb2.OrderContent) -> bool:
    """Whether an amendment raises size or price, and so the notional."""
    changes = (
        (content.size, order.size),
        (content.price, order.price),
        (content.stop_price, order.stop_price),
    )
    return any(text and (now is None or Decimal(text) > now) for text, now in changes)
