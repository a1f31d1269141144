"""Flattens an account: cancels its orders, closes its positions, and confirms both.

The work is done in rounds. A round cancels all orders, asks the venue what is held, and sends one
market order for each position. The next round starts when the outcome of these orders is known. It
ends when the venue has confirmed that nothing is open or held, or when the rest cannot be closed.
Nothing is remembered between rounds but the orders themselves, which are in the journal. So the
same request continues after a crash.

A position is closed only when the venue has just reported it, when no other exit of it is in flight
and when its last fill is old enough to be in the report. So never more is closed than is open, also
where the venue does not know reduce-only orders.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2, signed_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO, plain
from kit.base.backoff import delays
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import InvalidOrder, RequestIdReused, UnknownInstrument, VenuemeshError
from kit.execution.approval.verifier import VerifiedOrder, require_verified
from kit.execution.checks.pre_trade_checks import size_min_of
from kit.execution.checks.reductions import Reductions
from kit.execution.client_order_ids import check_request_id
from kit.execution.context import AccountContext
from kit.execution.journal.records import OrderLeft
from kit.execution.order_types import side_of
from kit.execution.orders import order_states
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order import Order
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.request_ids import CLOSE_MARK
from kit.execution.sending.submitter import OrderSubmitter
from kit.execution.tasks import wait_for_event, wait_until
from kit.execution.venue_calls import answer_of

ANSWER_S = 20.0
"""The caller has an answer after this time. The work continues."""
RUN_S_MAX = 120.0
"""The work ends after this time, and the request has its answer."""
OUTCOME_S = 5.0
"""How long a round waits for the end of orders that it has cancelled or sent."""
FIRST_PAUSE_S, PAUSE_S_MAX = 0.25, 2.0
LASTING = frozenset(
    {
        orders_pb2.REJECT_REASON_SIZE,
        orders_pb2.REJECT_REASON_NOTIONAL,
        orders_pb2.REJECT_REASON_PERMISSION,
        orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    }
)
"""Reasons for which the venue rejects the next attempt too. All other rejections are tried again:
nothing is worse than to keep the position."""

Difference = differences_pb2.Difference


class Remainder(NamedTuple):
    """What a round has not confirmed to be flat."""

    symbol: str
    detail: str
    size: Decimal | None = None
    """None: not known."""
    key: str = ""
    """The order that it is about."""
    is_lasting: bool = False
    """Whether another round cannot change it."""


@dataclass(slots=True)
class FlattenRun:
    """One request, while it is worked on."""

    verified: VerifiedOrder
    symbol: str
    """Empty: all positions."""
    left: list[Remainder] = field(default_factory=lambda: [Remainder("", "it has not begun")])
    """After the last round. Empty: confirmed to be flat."""
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: dict[str, int] = field(default_factory=dict)
    """By symbol, the number of the last order that was made."""

    def left_open(self) -> list[Difference]:
        """Render what is left as the contract's messages."""
        return [
            Difference(
                kind=differences_pb2.DIFFERENCE_KIND_LEFT_OPEN,
                symbol=one.symbol,
                client_order_id=one.key,
                expected="0",
                found="" if one.size is None else plain(one.size),
                detail=one.detail,
            )
            for one in self.left
        ]


class Flattener:
    """Flattens one account."""

    def __init__(
        self,
        submitter: OrderSubmitter,
        reductions: Reductions,
        held: BalancesAndPositions,
        market: ReferenceMarketData,
        context: AccountContext,
        publish: Callable[[Difference], None],
    ) -> None:
        """``publish`` is given what is left open, and the differences that are found on the way."""
        self._submitter = submitter
        self._client = submitter.client
        self._index = submitter.state.index
        self._answered = submitter.answered
        self._reductions = reductions
        self._spot_base = reductions.spot_base
        self._held = held
        self._market = market
        self._context = context
        self._clock = context.clock
        self._publish = publish
        self._runs: dict[str, FlattenRun] = {}
        """By request id."""
        self._began_ns = self._clock.monotonic_ns()
        """Fills before a restart count as made now: they may be as recent."""
        self._filled_ns: dict[str, int] = {}
        """By symbol, when an order of it with a fill has changed last, by the monotonic clock."""
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()

    @property
    def is_working(self) -> bool:
        """Whether the account is being flattened: it takes no entries meanwhile."""
        return bool(self._runs)

    def order_changed(self, order: Order) -> None:
        """An order of the account has changed."""
        if order.filled_size:
            self._filled_ns[order.symbol] = self._clock.monotonic_ns()
        self._changed.set()

    async def flatten(self, verified: VerifiedOrder) -> FlattenRun:
        """Flatten a symbol or all positions. Returns at the latest after ANSWER_S; the work
        continues then. Raises ApprovalRejected, BadRequest, InvalidOrder, UnknownInstrument,
        RequestIdReused, and StoreUnavailable when the account is flat and that this request has
        confirmed it is not on disk."""
        require_verified(verified, signed_pb2.OPERATION_FLATTEN)
        symbol, request_id = verified.content.symbol, verified.request_id
        check_request_id(request_id)
        self._check_symbol(symbol)
        run = self._runs.get(request_id) or self._answered_run(verified)
        if run is not None and run.symbol != symbol:
            text = f"the request id {request_id} belongs to another symbol: {run.symbol!r}"
            raise RequestIdReused(text, request_id=request_id)
        if run is None:
            run = self._runs[request_id] = FlattenRun(verified, symbol)
            self._submitter.tasks.start(self._work(run))
        await wait_for_event(run.finished, self._clock, ANSWER_S)
        if run.finished.is_set() and not run.left:
            await self._answered.written()
        return run

    def _answered_run(self, verified: VerifiedOrder) -> FlattenRun | None:
        """The run of a request that has its answer, or None."""
        answered = self._answered.find(verified)
        if answered is None:
            return None
        run = FlattenRun(verified, answered.symbol, [Remainder(*one) for one in answered.left])
        run.finished.set()
        return run

    def _check_symbol(self, symbol: str) -> None:
        has_positions = self._client.capabilities.has_positions
        if not symbol and not has_positions:
            allowed = "a symbol, as the venue has spot markets only: its base asset is sold"
            text = f"symbol is empty; allowed is {allowed}"
            raise InvalidOrder(text, field="symbol", value="", allowed=allowed, nearest="")
        is_held = has_positions and symbol in self._held.positions
        if symbol and not is_held and self._market.instrument(symbol) is None:
            venue = self._context.venue
            raise UnknownInstrument(f"{venue} does not list {symbol!r}", venue=venue, symbol=symbol)

    def orders_of(self, run: FlattenRun) -> list[Order]:
        """Return the orders that closed something for a request, oldest first."""
        first = run.verified.request_id + CLOSE_MARK
        found = [one for one in self._index.orders.values() if one.request_id.startswith(first)]
        return sorted(found, key=lambda one: one.created_time_ns)

    async def _work(self, run: FlattenRun) -> None:
        try:
            async with self._lock:
                ends_ns = self._clock.monotonic_ns() + int(RUN_S_MAX * NANOSECONDS_PER_SECOND)
                pauses = delays(FIRST_PAUSE_S, PAUSE_S_MAX, self._context.jitter)
                while True:
                    run.left = await self._round(run)
                    is_over = self._clock.monotonic_ns() >= ends_ns
                    if is_over or all(one.is_lasting for one in run.left):
                        break
                    await self._clock.sleep(next(pauses))
                left = [OrderLeft(one.symbol, one.detail, one.size, one.key) for one in run.left]
                self._answered.answered(run.verified, (), left)
        finally:
            self._runs.pop(run.verified.request_id, None)
            for difference in run.left_open():
                self._publish(difference)
            run.finished.set()

    async def _round(self, run: FlattenRun) -> list[Remainder]:
        """Cancel, ask and close once. Returns what is not confirmed to be flat."""
        left = await self._cancel(run.symbol)
        asked_ns = self._clock.monotonic_ns()
        try:
            await self._ask(run.symbol)
        except VenuemeshError as error:
            return [*left, Remainder(run.symbol, f"what is held is not known: {error.message}")]
        symbols = [run.symbol] if run.symbol else self._symbols(asked_ns)
        closes = await asyncio.gather(*(self._close(run, one, asked_ns) for one in symbols))
        return [*left, *(one for one in closes if one is not None)]

    async def _cancel(self, symbol: str) -> list[Remainder]:
        """Cancel all orders, and wait a little until they have ended. Returns those that have
        not: they do not keep a position from being closed, as ``Reductions`` counts them."""
        left = []
        try:
            await self._submitter.cancel_all(symbol)
        except VenuemeshError as error:
            left.append(Remainder(symbol, f"orders may be open: {error.message}"))
        await self._wait_until(lambda: not any(self._open(symbol)))
        for order in self._open(symbol):
            detail = f"an order is {order_states.name_of(order.state)}"
            left.append(Remainder(order.symbol, detail, None, order.key))
        return left

    async def _ask(self, symbol: str) -> None:
        """Ask the venue what is held. Raises VenueUnavailable, CredentialsRejected."""
        timeout_s, client = self._context.settings.ask_timeout_s, self._client
        if self._spot_base(symbol):
            balances = await answer_of(client.balances(), timeout_s)
            differences = self._held.replace_balances(balances, compare=True)
        else:
            positions = await answer_of(client.positions(), timeout_s)
            differences = self._held.replace_positions(positions, compare=True)
        for difference in differences:
            self._publish(difference)

    def _symbols(self, asked_ns: int) -> list[str]:
        """The derivatives with a position, or with a fill that the venue's answer may not show."""
        held = {symbol for symbol, one in self._held.positions.items() if one.size}
        recent = {one for one in self._filled_ns if self._has_recent_fill(one, asked_ns)}
        return sorted(held | {one for one in recent if not self._spot_base(one)})

    def _order_of(self, symbol: str, asked_ns: int) -> orders_pb2.OrderContent | Remainder | None:
        """Return the order that closes a position, why there is none yet, or None if it is
        flat."""
        held = self._reductions.held(symbol)
        first = self._reductions.in_flight(symbol)
        if first is not None:
            self._submitter.hasten(first)
            detail = f"an exit is {order_states.name_of(first.state)}"
            return Remainder(symbol, detail, held, first.key)
        if self._has_recent_fill(symbol, asked_ns):
            return Remainder(symbol, "the venue's answer may not show the last fill yet", held)
        if not held:
            return None
        base = self._spot_base(symbol)
        size = abs(self._reductions.closable(symbol))
        if base:
            size = min(size, self._held.balances[base].free)
        if not size:
            return Remainder(symbol, "open orders reserve it, or the venue has locked it", held)
        instrument = self._market.instrument(symbol)
        step = Decimal(instrument.size_step or 0) if instrument is not None else ZERO
        least = step
        if instrument is not None and base:
            # Of a position only the venue knows whether it may be closed below the minimum.
            best = self._market.best(symbol)
            least = size_min_of(instrument, best.bid if best is not None else None)
        size = amounts.floor_to(size, step) if step else size
        if size < least or not size:
            detail = f"it is below the minimum {plain(least)} of an order"
            return Remainder(symbol, detail, held, is_lasting=True)
        return self._content(symbol, held, size)

    def _content(self, symbol: str, held: Decimal, size: Decimal) -> orders_pb2.OrderContent:
        return orders_pb2.OrderContent(
            venue=self._context.venue,
            account=self._context.account,
            symbol=symbol,
            side=side_of(held < ZERO),
            type=orders_pb2.ORDER_TYPE_MARKET,
            size=plain(size),
            reduce_only=self._client.capabilities.reduce_only and not self._spot_base(symbol),
            self_trade_prevention=orders_pb2.SELF_TRADE_PREVENTION_CANCEL_MAKER,
        )

    async def _close(self, run: FlattenRun, symbol: str, asked_ns: int) -> Remainder | None:
        """Send an order if there is something to close, and wait for its outcome. What it has left
        open is seen in the next round."""
        content = self._order_of(symbol, asked_ns)
        if not isinstance(content, orders_pb2.OrderContent):
            return content
        size, request_id = Decimal(content.size), self._next_id(run, symbol)
        key = self._submitter.order_key(request_id)
        try:
            order = await self._submitter.submit_close(run.verified, content, request_id)
        except VenuemeshError as error:
            return Remainder(symbol, f"not sent: {error.message}", size, key)
        await self._wait_until(lambda: order.is_final)
        if order.state == order_states.REJECTED:
            is_lasting = order.reject_reason in LASTING
            return Remainder(symbol, f"rejected: {order.detail}", size, key, is_lasting)
        state = order_states.name_of(order.state)
        return Remainder(symbol, f"not confirmed yet; the order is {state}", size, key)

    def _next_id(self, run: FlattenRun, symbol: str) -> str:
        """A request id that no order has, also not one that could not be written."""
        while True:
            run.numbers[symbol] = number = run.numbers.get(symbol, 0) + 1
            request_id = CLOSE_MARK.join((run.verified.request_id, symbol, str(number)))
            if self._submitter.order_key(request_id) not in self._index.orders:
                return request_id

    def _open(self, symbol: str) -> Iterator[Order]:
        return (one for one in self._index.open.values() if symbol in ("", one.symbol))

    def _has_recent_fill(self, symbol: str, asked_ns: int) -> bool:
        """Whether a fill of a position is so recent that the venue's answer may not show it."""
        lag_ns = int(self._client.capabilities.lag_s * NANOSECONDS_PER_SECOND)
        base = self._spot_base(symbol)
        times = [
            time_ns
            for filled, time_ns in self._filled_ns.items()
            if filled == symbol or (base and self._spot_base(filled) == base)
        ]
        return max(times, default=self._began_ns) > asked_ns - lag_ns

    async def _wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition on the orders holds, at most OUTCOME_S."""
        await wait_until(holds, self._changed, self._clock, OUTCOME_S)
