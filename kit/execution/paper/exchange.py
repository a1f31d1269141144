"""The simulated venue of one paper account: orders, fills, balances, and queries of them.

It is synchronous; the execution client adds latency.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.cursor import Cursor
from kit.execution.cash_flows import VenueCashFlow
from kit.execution.contract import (
    AccountEvent,
    OrderKey,
    OrderRequest,
    RequestAccepted,
    RequestRejected,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)
from kit.execution.paper.consumed_liquidity import ConsumedLiquidity
from kit.execution.paper.fill_simulator import FillSimulator
from kit.execution.paper.instrument_terms import PaperInstrumentTerms
from kit.execution.paper.market import MarketEvent, PaperMarket
from kit.execution.paper.order_entry import PaperOrderEntry
from kit.execution.paper.orders import (
    PREFIX,
    PaperOrder,
    PaperOrderRejected,
    cash_flow_of,
    order_of,
    venue_fill,
)
from kit.execution.paper.records import (
    PaperAccountChange,
    PaperCashFlowRecord,
    PaperFillRecord,
    PaperInstrumentRecord,
    PaperOrderRecord,
    PaperPositionRecord,
    StreamCursorRecord,
)
from kit.execution.paper.rules import PaperRules
from kit.execution.paper.visible_book import VisibleBook
from kit.execution.paper.wallet import PaperCashFlow, PaperWallet

OPEN_MAX = 1_000
ENDED_KEPT = 2_000
FILLS_KEPT = 10_000
FLOWS_KEPT = 10_000
NO_SUCH_KIND = "options cannot be traded on paper"
NO_BOOK = "this process keeps no book of the instrument, so nothing can fill on paper"
NO_TERMS = "the kind of instrument is unknown"
FINISHED = "the order is not open any more"
TRADES = (types_pb2.INSTRUMENT_STATUS_TRADING, types_pb2.INSTRUMENT_STATUS_UNSPECIFIED)
FindInstrument = Callable[[str], types_pb2.Instrument | None]


class PaperExchange:
    """The venue of one account."""

    def __init__(
        self, rules: PaperRules, market: PaperMarket, clock: Clock, instrument: FindInstrument
    ) -> None:
        self._market = market
        self._clock = clock
        self._instrument = instrument
        self._liquidity = ConsumedLiquidity()
        self.wallet = PaperWallet(rules)
        book = VisibleBook(market, self._liquidity)
        self._order_entry = PaperOrderEntry(
            market, self.wallet, book, clock.time_ns, self._changed, self._filled
        )
        self._fill_simulator = FillSimulator(
            market, self._order_entry, self.wallet, self._liquidity, book
        )
        self._orders: dict[int, PaperOrder] = {}
        self._by_client_id: dict[str, PaperOrder] = {}
        self._ended: deque[PaperOrder] = deque()
        self._fills: deque[PaperFillRecord] = deque(maxlen=FILLS_KEPT)
        self._flows: deque[PaperCashFlowRecord] = deque(maxlen=FLOWS_KEPT)
        self._last_number = 0
        self._new_orders: dict[int, PaperOrder] = {}
        self._new_fills: list[PaperFillRecord] = []

    def place(self, request: OrderRequest) -> Verdict:
        self._follow(request.symbol)
        try:
            order = self._draft(request)
            self._order_entry.enter(order)
        except PaperOrderRejected as error:
            return RequestRejected(error.reason, error.words)
        finally:
            self._watch()
        return _taken(order)

    def amend(self, key: OrderKey, request: OrderRequest) -> Verdict:
        self._follow(key.symbol)
        order = self._open(key)
        try:
            if order is None or order.price is None or request.price is None:
                raise PaperOrderRejected(orders_pb2.REJECT_REASON_OTHER, FINISHED)
            self._order_entry.amend(order, request.size, request.price)
        except PaperOrderRejected as error:
            return RequestRejected(error.reason, error.words)
        finally:
            self._watch()
        return _taken(order)

    def cancel(self, key: OrderKey) -> Verdict:
        self._follow(key.symbol)
        order = self._open(key)
        if order is not None:
            self._order_entry.end(order, orders_pb2.ORDER_STATE_CANCELLED)
        self._watch()
        if order is None:
            return RequestRejected(orders_pb2.REJECT_REASON_OTHER, FINISHED)
        return _taken(order)

    def cancel_all(self, symbol: str) -> Verdict:
        """Cancel all open orders, of one symbol or of all."""
        self._market.catch_up()
        for order in self._order_entry.orders(symbol):
            self._order_entry.end(order, orders_pb2.ORDER_STATE_CANCELLED)
        self._watch()
        return RequestAccepted("")

    def on_events(self, events: Sequence[MarketEvent]) -> None:
        self._fill_simulator.on_events(events)
        self._watch()

    def expire(self) -> None:
        """Expire the orders whose time has come."""
        self._market.catch_up()
        now_ns = self._clock.time_ns()
        for order in self._order_entry.orders():
            if 0 < order.request.expire_time_ns <= now_ns:
                self._order_entry.end(order, orders_pb2.ORDER_STATE_EXPIRED)
        self._watch()

    def next_expiry_ns(self) -> int:
        """Return the earliest expiry time; 0 if no order expires."""
        ends = (order.request.expire_time_ns for order in self._order_entry.orders())
        return min((end for end in ends if end), default=0)

    def find(self, key: OrderKey) -> VenueOrder | None:
        """Return an order, or None if it is unknown."""
        order = self._known(key)
        return None if order is None else order.as_venue_order()

    def open_orders(self, symbol: str) -> list[VenueOrder]:
        found = sorted(self._order_entry.orders(symbol), key=lambda order: order.number)
        return [order.as_venue_order() for order in found]

    def fills(self, symbol: str, since_ns: int) -> list[VenueFill]:
        return [
            venue_fill(fill)
            for fill in self._fills
            if fill.time_ns >= since_ns and symbol in ("", fill.symbol)
        ]

    def cash_flows(self, since_ns: int) -> list[VenueCashFlow]:
        """Since a time, oldest first."""
        return [cash_flow_of(one) for one in self._flows if one.time_ns >= since_ns]

    def balances(self) -> list[VenueBalance]:
        """All that are not zero."""
        found = map(self.wallet.balance, self.wallet.known_assets())
        return [balance for balance in found if balance.total or balance.free]

    def positions(self) -> list[VenuePosition]:
        """All that are not zero."""
        return [self.wallet.position(symbol) for symbol in sorted(self.wallet.held_symbols())]

    def take_step(self) -> tuple[PaperAccountChange, list[AccountEvent]] | None:
        """Return what has changed since the last call, as a record and as account events, or None
        if nothing has."""
        wallet = self.wallet
        if not (self._new_orders or self._new_fills or wallet.assets or wallet.symbols):
            return None
        assets, symbols = sorted(wallet.assets), sorted(wallet.symbols)
        flows = tuple(map(self._flow_record, wallet.flows))
        self._flows.extend(flows)
        step = PaperAccountChange(
            last_number=self._last_number,
            listed=tuple(map(self._listed, symbols)),
            orders=tuple(order.record() for order in self._new_orders.values()),
            fills=tuple(self._new_fills),
            totals=tuple((asset, wallet.total(asset)) for asset in assets),
            held=tuple(wallet.position_record(one) for one in symbols if one in wallet.traded),
            reached=self._reached(),
            flows=flows,
        )
        events: list[AccountEvent] = [
            *map(venue_fill, self._new_fills),
            *(order.as_venue_order() for order in self._new_orders.values()),
            *map(wallet.balance, assets),
            *map(wallet.position, wallet.traded & wallet.symbols),
        ]
        self._new_orders, self._new_fills = {}, []
        wallet.assets.clear()
        wallet.symbols.clear()
        wallet.flows.clear()
        return step, events

    def steps(self) -> Iterator[PaperAccountChange]:
        """Return the whole state as records."""
        wallet, number = self.wallet, self._last_number
        yield PaperAccountChange(
            number,
            listed=tuple(map(self._listed, wallet.terms)),
            totals=tuple((asset, wallet.total(asset)) for asset in wallet.known_assets()),
            held=tuple(map(wallet.position_record, wallet.traded)),
            reached=self._reached(),
        )
        for order in self._orders.values():
            yield PaperAccountChange(number, orders=(order.record(),))
        for fill in self._fills:
            yield PaperAccountChange(number, fills=(fill,))
        for flow in self._flows:
            yield PaperAccountChange(number, flows=(flow,))

    def load(self, steps: Iterable[PaperAccountChange]) -> None:
        """Load the state from records; without records, start a new account."""
        listed: dict[str, PaperInstrumentRecord] = {}
        orders: dict[int, PaperOrderRecord] = {}
        fills: dict[int, PaperFillRecord] = {}
        flows: dict[int, PaperCashFlowRecord] = {}
        held: dict[str, PaperPositionRecord] = {}
        reached: Sequence[StreamCursorRecord] = ()
        is_new = True
        for step in steps:
            is_new = False
            reached = step.reached or reached
            self._last_number = max(self._last_number, step.last_number)
            listed |= {one.symbol: one for one in step.listed}
            orders |= {one.number: one for one in step.orders}
            fills |= {one.number: one for one in step.fills}
            flows |= {one.number: one for one in step.flows}
            self.wallet.load_totals(step.totals)
            held |= {one.symbol: one for one in step.held}
        if is_new:
            # Numbers of a deleted state must not come again.
            self._last_number = self._clock.time_ns() // NANOSECONDS_PER_MILLISECOND
            self.wallet.begin()
            return
        for one in listed.values():
            self.wallet.terms[one.symbol] = PaperInstrumentTerms(*msgspec.structs.astuple(one))
        for position in held.values():
            self.wallet.load_position(position)
        for _, stood in sorted(orders.items()):
            self._load_order(order_of(stood, self.wallet.terms[stood.symbol]))
        self._fills.extend(fill for _, fill in sorted(fills.items()))
        self._flows.extend(flow for _, flow in sorted(flows.items()))
        self.wallet.assets.clear()
        self.wallet.symbols.clear()
        self._market.resume(
            {
                types_pb2.Channel.ValueType(one.channel): Cursor(one.epoch, one.sequence)
                for one in reached
            }
        )
        self._watch()
        self._order_entry.enter_waiting()

    def _load_order(self, order: PaperOrder) -> None:
        self._remember(order)
        if order.is_final:
            self._end(order)
        else:
            self._order_entry.load(order)

    def _draft(self, request: OrderRequest) -> PaperOrder:
        """Return a new order. Raises PaperOrderRejected."""
        if request.client_order_id in self._by_client_id:
            raise PaperOrderRejected(
                orders_pb2.REJECT_REASON_DUPLICATE_ID, "the client order id is in use"
            )
        instrument = self._instrument(request.symbol)
        if instrument is None or instrument.status not in TRADES:
            raise PaperOrderRejected(
                orders_pb2.REJECT_REASON_INSTRUMENT, "the instrument does not trade now"
            )
        if instrument.kind == types_pb2.INSTRUMENT_KIND_UNSPECIFIED:
            raise PaperOrderRejected(orders_pb2.REJECT_REASON_INSTRUMENT, NO_TERMS)
        if not self._market.keeps(request.symbol):
            raise PaperOrderRejected(orders_pb2.REJECT_REASON_INSTRUMENT, NO_BOOK)
        terms = self.wallet.enter(instrument)
        if terms is None:
            raise PaperOrderRejected(orders_pb2.REJECT_REASON_NOT_SUPPORTED, NO_SUCH_KIND)
        if len(self._order_entry.orders()) >= OPEN_MAX:
            words = f"{OPEN_MAX} orders are open"
            raise PaperOrderRejected(orders_pb2.REJECT_REASON_TOO_MANY_ORDERS, words)
        now_ns = self._clock.time_ns()
        return PaperOrder(self._next_number(), request, terms, now_ns, updated_time_ns=now_ns)

    def _follow(self, symbol: str) -> None:
        """Watch an instrument, and take in all its events up to now."""
        self._market.watch(self._watched() | {symbol})
        self._market.catch_up()

    def _watch(self) -> None:
        watched = self._watched()
        self._market.watch(watched)
        self.wallet.forget_marks(watched)

    def _watched(self) -> frozenset[str]:
        """Symbols with open orders, positions, or levels from which size was taken."""
        symbols = self._order_entry.symbols() | self.wallet.held_symbols()
        return frozenset(symbols | self._liquidity.symbols())

    def _known(self, key: OrderKey) -> PaperOrder | None:
        if key.client_order_id in self._by_client_id:
            return self._by_client_id[key.client_order_id]
        number = key.venue_order_id.removeprefix(PREFIX)
        return self._orders.get(int(number)) if number.isdecimal() else None

    def _open(self, key: OrderKey) -> PaperOrder | None:
        order = self._known(key)
        return None if order is None or order.is_final else order

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _remember(self, order: PaperOrder) -> None:
        self._orders[order.number] = order
        if order.request.client_order_id:
            self._by_client_id[order.request.client_order_id] = order

    def _changed(self, order: PaperOrder) -> None:
        if order.number not in self._orders:
            self._remember(order)
        # Events come in the order of the last changes.
        self._new_orders.pop(order.number, None)
        self._new_orders[order.number] = order
        if order.is_final:
            self._end(order)

    def _end(self, order: PaperOrder) -> None:
        self._ended.append(order)
        if len(self._ended) > ENDED_KEPT:
            oldest = self._ended.popleft()
            self._orders.pop(oldest.number, None)
            self._by_client_id.pop(oldest.request.client_order_id, None)

    def _filled(
        self,
        order: PaperOrder,
        price: Decimal,
        size: Decimal,
        fee: tuple[str, Decimal],
        is_maker: bool,
    ) -> None:
        fill = PaperFillRecord(
            number=self._next_number(),
            order_number=order.number,
            symbol=order.symbol,
            client_order_id=order.request.client_order_id,
            buys=order.buys,
            price=price,
            size=size,
            fee_asset=fee[0],
            fee=fee[1],
            is_maker=is_maker,
            time_ns=order.updated_time_ns,
        )
        self._fills.append(fill)
        self._new_fills.append(fill)
        self._changed(order)

    def _flow_record(self, flow: PaperCashFlow) -> PaperCashFlowRecord:
        return PaperCashFlowRecord(self._next_number(), *flow, time_ns=self._clock.time_ns())

    def _listed(self, symbol: str) -> PaperInstrumentRecord:
        terms = self.wallet.terms[symbol]
        return PaperInstrumentRecord(
            *(getattr(terms, name) for name in PaperInstrumentRecord.__struct_fields__)
        )

    def _reached(self) -> tuple[StreamCursorRecord, ...]:
        return tuple(
            StreamCursorRecord(channel, *at) for channel, at in self._market.position().items()
        )


def _taken(order: PaperOrder) -> RequestAccepted:
    return RequestAccepted(f"{PREFIX}{order.number}", order.as_venue_order())
