"""Which orders only reduce a position, by what the venue has confirmed.

A reduction is exempt from every limit and check of this process that is not about the order's form.
The label of an order proves nothing: its size must be covered by the confirmed position, or on spot
by the balance of the base asset, minus all exits that are at the venue or on their way. At most one
reduction of a position is in flight: the next one waits for its outcome.
"""

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO, plain
from kit.accounting.instruments import spot_base
from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import ApprovalRejected
from kit.execution.checks.pre_trade_checks import amount
from kit.execution.order_types import CONDITIONAL, IMMEDIATE, TRIGGERED_TYPES
from kit.execution.orders import order_states
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order import Order
from kit.execution.orders.order_index import OrderIndex
from kit.execution.prices.reference_prices import FindInstrument
from kit.execution.tasks import wait_until

ALARM_S = 5.0
"""A reduction that waits longer than this for the one before it is an alarm."""
PAUSE_S = 1.0
"""How often one that waits for longer is looked at: the position may have changed."""
WITHOUT_VERDICT = frozenset({order_states.INTENDED, order_states.SENT, order_states.UNKNOWN})

_log = telemetry.logger("orders.reductions")


class Reductions:
    """The reductions of one account."""

    def __init__(
        self,
        index: OrderIndex,
        held: BalancesAndPositions,
        instrument: FindInstrument,
        clock: Clock,
        publish: Callable[[], None],
    ) -> None:
        """``publish`` is called when ``problem`` has changed."""
        self._index = index
        self._held = held
        self._instrument = instrument
        self._clock = clock
        self._publish = publish
        self._changed = asyncio.Event()
        self._late: list[str] = []

    @property
    def problem(self) -> str:
        """Which reductions wait for too long; "" if none does."""
        return "; ".join(dict.fromkeys(self._late))

    def order_changed(self) -> None:
        """An order of the account has changed: a reduction may have its outcome."""
        self._changed.set()

    def held(self, symbol: str) -> Decimal:
        """Return the position that the venue confirmed last, negative if short; on spot the total
        balance of the base asset."""
        base = self.spot_base(symbol)
        if base:
            balance = self._held.balances.get(base)
            return balance.total if balance is not None else ZERO
        position = self._held.positions.get(symbol)
        return position.size if position is not None else ZERO

    def closable(self, symbol: str, amended: Order | None = None) -> Decimal:
        """Return what pending exits leave of the position, negative if short: a reduction sells or
        buys back at most this. ``amended``: an exit that does not count."""
        held = self.held(symbol)
        exits = (order for order in self.pending(symbol) if order is not amended)
        pending = amounts.total(map(_left, exits))
        rest = max(amounts.subtract(abs(held), pending), ZERO)
        return rest if held > ZERO else amounts.subtract(ZERO, rest)

    def pending(self, symbol: str) -> Iterator[Order]:
        """Yield the exits of a position that are at the venue or on their way, UNKNOWN ones too;
        not those that wait for a price or for their turn."""
        held = self.held(symbol)
        base = self.spot_base(symbol)
        for order in self._index.open.values():
            is_of_position = order.symbol == symbol
            if base:
                is_of_position = self.spot_base(order.symbol) == base
            closes = is_of_position and held and order.buys == (held < ZERO)
            if closes and (base or _is_exit(order)) and not _waits(order):
                yield order

    def in_flight(self, symbol: str) -> Order | None:
        """Return the exit of a position whose outcome is not known yet, or None. A limit order that
        rests at the venue has an outcome: it counts as pending."""
        orders = self.pending(symbol)
        return next((one for one in orders if _has_no_outcome(one)), None)

    def is_reduction(self, content: orders_pb2.OrderContent, amended: Order | None = None) -> bool:
        """Whether an order, or the amendment of one, can only reduce what is held. One that waits
        for a price is compared with all that is held: until then it closes nothing. Raises
        InvalidOrder for a size that is none."""
        if not self._closes(content):
            return False
        size, symbol = amount("size", content.size), content.symbol
        if amended is not None:
            size = amounts.subtract(size, amended.filled_size)
        waits = content.type in CONDITIONAL and (amended is None or _waits(amended))
        return size <= abs(self.held(symbol) if waits else self.closable(symbol, amended))

    def check(self, content: orders_pb2.OrderContent) -> None:
        """Check an order of a key that may only reduce positions. Raises ApprovalRejected,
        InvalidOrder."""
        if self.is_reduction(content):
            return
        symbol = content.symbol
        held, closable = plain(self.held(symbol)), plain(self.closable(symbol))
        text = f"the key may only reduce positions; the position in {symbol} is {held}"
        text += f", of which {closable} can be closed"
        pending = [order.key for order in self.pending(symbol)]
        if pending:
            text += f"; open exits close the rest, cancel them first: {', '.join(pending[:4])}"
        if not (content.reduce_only or self.spot_base(symbol)):
            text += "; reduce_only must be set"
        raise ApprovalRejected(text, why="reduce_only")

    def must_wait(self, content: orders_pb2.OrderContent) -> bool:
        """Whether an order may be a reduction, and has to wait for one that is in flight. Raises
        InvalidOrder for a size that is none."""
        if content.type in CONDITIONAL or not self._closes(content):
            return False
        is_covered = amount("size", content.size) <= abs(self.held(content.symbol))
        return is_covered and self.in_flight(content.symbol) is not None

    async def wait_for_turn(self, symbol: str) -> None:
        """Wait for the outcome of the reduction that is in flight. What can be closed may have
        changed by then, and another one may be in flight."""
        first = self.in_flight(symbol)
        if first is None:
            return
        pause_s, text = ALARM_S, ""

        def is_over() -> bool:
            return self.in_flight(symbol) is not first

        try:
            while not await wait_until(is_over, self._changed, self._clock, pause_s):
                pause_s, text = PAUSE_S, text or self._raise_alarm(first)
        finally:
            if text:
                self._late.remove(text)
                self._publish()

    def _closes(self, content: orders_pb2.OrderContent) -> bool:
        """Whether an order is on the side that closes. Of a derivative it must also be labelled
        reduce_only: the venue then holds it to that, whatever happens on the way."""
        held = self.held(content.symbol)
        closing = types_pb2.SIDE_SELL if held > ZERO else types_pb2.SIDE_BUY
        is_labelled = content.reduce_only or bool(self.spot_base(content.symbol))
        return bool(held) and content.side == closing and is_labelled

    def _raise_alarm(self, first: Order) -> str:
        state = order_states.name_of(first.state)
        text = f"a reduction of {first.symbol} waits for the order {first.key}, which is {state}"
        _log.error("reduction waits", extra={"client_order_id": first.key, "detail": text})
        self._late.append(text)
        self._publish()
        return text

    def spot_base(self, symbol: str) -> str:
        """The base asset of a spot symbol; "" for every other symbol."""
        return spot_base(self._instrument(symbol))


def _left(order: Order) -> Decimal:
    """The size that may still be filled, whatever the outcome of an amendment is."""
    sizes = [order.size, *(one.size for one in order.pending_amendments)]
    return max(amounts.subtract(max(sizes), order.filled_size), ZERO)


def _is_exit(order: Order) -> bool:
    is_exit = order.content.group.role == orders_pb2.GROUP_ROLE_EXIT
    return order.content.reduce_only or is_exit


def _waits(order: Order) -> bool:
    """Whether an order waits for a price or for its turn, here or at the venue."""
    if order.held_here:
        return not order.is_sending
    is_conditional = order.type in CONDITIONAL and not order.is_triggered
    return is_conditional and not order.filled_size


def _has_no_outcome(order: Order) -> bool:
    if order.state in WITHOUT_VERDICT:
        return True
    type_now = TRIGGERED_TYPES.get(order.type, order.type)
    is_market = type_now == orders_pb2.ORDER_TYPE_MARKET
    return is_market or order.content.time_in_force in IMMEDIATE
