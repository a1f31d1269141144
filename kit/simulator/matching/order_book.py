"""One instrument's order book by price and time.

It holds the orders of accounts and the lots of the background order flow. A level without an order
of an account is one number, so a market without clients is as fast as one that knows levels only.
When an order of an account joins a level, the level gets a queue; the background lots are in it as
orders without an account. Background cancels take from the end of the queue.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Protocol

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.order_types import side_of
from kit.simulator.market_events import BestQuote, Instrument, LevelChange, MarketEvent, Trade
from kit.simulator.matching.contract import OrderTicket, SelfTradeMode
from kit.simulator.matching.order import ALLOW, BACKGROUND, MatchingOrder
from kit.simulator.order_flow_book import SortedLevels

LevelQueue = OrderedDict[int, MatchingOrder]
_ANY = {
    buys: OrderTicket("", side_of(buys), orders_pb2.ORDER_TYPE_LIMIT, Decimal(0))
    for buys in (True, False)
}
ANY_PRICE = 1 << 62


class ExecutionHandler(Protocol):
    """Receives the executions of a book. It may change the book during a call."""

    def filled(
        self, taker: MatchingOrder | None, maker: MatchingOrder | None, trade: Trade
    ) -> Sequence[MarketEvent]:
        """Two orders have traded, and their ``left`` is updated. None: the background order flow.
        Returns the changes of the book that this causes."""

    def prevented(self, order: MatchingOrder, time_ns: int) -> None:
        """Self-trade prevention has removed an order from the book, or stopped a taker."""

    def traded(
        self, instrument: Instrument, low_ticks: int, high_ticks: int, time_ns: int
    ) -> Sequence[MarketEvent]:
        """Background orders have traded between two prices. Returns the resulting events."""


class OrderBook:
    """The book of one instrument. Trade ids and sequences are consecutive."""

    def __init__(self, instrument: Instrument, first_id: int) -> None:
        self.instrument = instrument
        self.sequence = first_id
        self.last_ticks = 0
        """Price of the last trade; 0: there was none."""
        self.handler: ExecutionHandler | None = None
        self.watched = False
        """Whether the handler wants to know the trades of the background order flow."""
        self._trade_id = first_id
        self._background_id = 0
        self._bids = SortedLevels(1)
        self._asks = SortedLevels(-1)
        self._bid_queues: dict[int, LevelQueue] = {}
        self._ask_queues: dict[int, LevelQueue] = {}
        self._quoted = (0, 0, 0, 0)

    def best(self, is_bid: bool) -> int | None:
        side = self._bids if is_bid else self._asks
        return side.keys[-1] * side.sign if side.keys else None

    def levels(self, is_bid: bool, count: int) -> Sequence[tuple[int, int]]:
        side = self._bids if is_bid else self._asks
        return [(key * side.sign, side.lots[key]) for key in reversed(side.keys[-count:])]

    def rest(self, is_bid: bool, ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        side, other = (self._bids, self._asks) if is_bid else (self._asks, self._bids)
        events: list[MarketEvent] = []
        if other.keys and other.keys[-1] >= ticks * other.sign:
            lots = self._match(is_bid, ticks, lots, time_ns, None, events)
            self._tell_background_traded(events, time_ns)
        if lots:
            key = ticks * side.sign
            queues = self._bid_queues if is_bid else self._ask_queues
            if queues and key in queues:
                self._join_background(queues[key], is_bid, ticks, lots, time_ns)
            there = side.lots.get(key, 0)
            events.append(self._change(side, is_bid, ticks, there + lots, time_ns))
        return self._quote(events, time_ns)

    def cancel(self, is_bid: bool, ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        side = self._bids if is_bid else self._asks
        key = ticks * side.sign
        there = side.lots.get(key, 0)
        queues = self._bid_queues if is_bid else self._ask_queues
        if queues and key in queues:
            lots = _leave_background(queues[key], lots)
            if not queues[key]:
                del queues[key]
        if not there or not lots:
            return []
        change = self._change(side, is_bid, ticks, max(there - lots, 0), time_ns)
        return self._quote([change], time_ns)

    def take(self, buys: bool, limit_ticks: int, lots: int, time_ns: int) -> list[MarketEvent]:
        events: list[MarketEvent] = []
        self._match(buys, limit_ticks, lots, time_ns, None, events)
        if self.watched:
            self._tell_background_traded(events, time_ns)
        return self._quote(events, time_ns)

    def enter(self, order: MatchingOrder, time_ns: int, events: list[MarketEvent]) -> None:
        """Match an order of an account and append the events. The rest is in ``order.left``."""
        buys = order.buys
        other = self._asks if buys else self._bids
        limit = order.ticks or (ANY_PRICE if buys else 0)
        if other.keys and other.keys[-1] >= limit * other.sign:
            self._match(buys, limit, order.left, time_ns, order, events)
            self._quote(events, time_ns)

    def add(self, order: MatchingOrder, time_ns: int, events: list[MarketEvent]) -> None:
        """Let an order rest at the end of its level. It must not cross the other side."""
        is_bid = order.buys
        side = self._bids if is_bid else self._asks
        queues = self._bid_queues if is_bid else self._ask_queues
        key = order.ticks * side.sign
        there = side.lots.get(key, 0)
        queue = queues.get(key)
        if queue is None:
            queue = queues[key] = OrderedDict()
            if there:
                self._join_background(queue, is_bid, order.ticks, there, time_ns)
        queue[order.number] = order
        events.append(self._change(side, is_bid, order.ticks, there + order.left, time_ns))
        if key == side.keys[-1]:
            self._quote(events, time_ns)

    def remove(self, order: MatchingOrder, time_ns: int, events: list[MarketEvent]) -> None:
        self._shorten(order, order.left, time_ns, events)

    def reduce(
        self, order: MatchingOrder, lots: int, time_ns: int, events: list[MarketEvent]
    ) -> None:
        """Take a part of a resting order out of the book. It keeps its queue position."""
        self._shorten(order, lots, time_ns, events)
        order.left -= lots

    def would_take(self, buys: bool, ticks: int) -> bool:
        """Whether an order at this price would trade at once."""
        other = self._asks if buys else self._bids
        return bool(other.keys) and other.keys[-1] >= ticks * other.sign

    def offers(self, taker: MatchingOrder) -> Iterator[tuple[int, int]]:
        """Yield the (ticks, lots) that an order would trade with, best first, up to its limit."""
        side = self._asks if taker.buys else self._bids
        queues = self._ask_queues if taker.buys else self._bid_queues
        limit = (taker.ticks or (ANY_PRICE if taker.buys else 0)) * side.sign
        for key in reversed(side.keys):
            if key < limit:
                return
            if key not in queues or taker.self_trade is ALLOW:
                yield key * side.sign, side.lots[key]
                continue
            for order in queues[key].values():
                if order.account != taker.account:
                    yield key * side.sign, order.left
                elif taker.self_trade is not SelfTradeMode.CANCEL_OLDEST:
                    return

    def _match(
        self,
        buys: bool,
        limit_ticks: int,
        lots: int,
        time_ns: int,
        taker: MatchingOrder | None,
        events: list[MarketEvent],
    ) -> int:
        """Return the lots that are left."""
        side = self._asks if buys else self._bids
        queues = self._ask_queues if buys else self._bid_queues
        keys, limit = side.keys, limit_ticks * side.sign
        while lots and keys and keys[-1] >= limit:
            queue = queues.get(keys[-1]) if queues else None
            maker = None if queue is None else next(iter(queue.values()))
            if maker is not None and taker is not None and _own(taker, maker):
                if self._prevent(taker, maker, time_ns, events):
                    return lots
                continue
            lots = self._trade(buys, lots, time_ns, taker, maker, events)
        return lots

    def _trade(
        self,
        buys: bool,
        lots: int,
        time_ns: int,
        taker: MatchingOrder | None,
        maker: MatchingOrder | None,
        events: list[MarketEvent],
    ) -> int:
        """Trade with the first order of the best level. Return the lots that are left."""
        side = self._asks if buys else self._bids
        key = side.keys[-1]
        there = side.lots[key]
        filled = min(lots, there if maker is None else maker.left)
        if maker is not None:
            maker.left -= filled
            if not maker.left:
                _drop(self._ask_queues if buys else self._bid_queues, key, maker)
            if maker.account == BACKGROUND:
                maker = None
        lots -= filled
        there -= filled
        if there:
            side.lots[key] = there
        else:
            side.keys.pop()
            del side.lots[key]
        self._trade_id = trade_id = self._trade_id + 1
        self.sequence = sequence = self.sequence + 1
        self.last_ticks = ticks = key * side.sign
        trade = Trade(self.instrument, trade_id, ticks, filled, buys, time_ns)
        events.append(trade)
        events.append(LevelChange(self.instrument, sequence, not buys, ticks, there, time_ns))
        if taker is None:
            if maker is not None and self.handler is not None:
                events.extend(self.handler.filled(None, maker, trade))
            return lots
        taker.left = lots
        if self.handler is not None:
            events.extend(self.handler.filled(taker, maker, trade))
        return taker.left

    def _prevent(
        self, taker: MatchingOrder, maker: MatchingOrder, time_ns: int, events: list[MarketEvent]
    ) -> bool:
        """Apply the taker's self-trade prevention. Return whether it ends the taker."""
        assert self.handler is not None
        if taker.self_trade is not SelfTradeMode.CANCEL_NEWEST:
            self.remove(maker, time_ns, events)
            self.handler.prevented(maker, time_ns)
        if taker.self_trade is SelfTradeMode.CANCEL_OLDEST:
            return False
        self.handler.prevented(taker, time_ns)
        return True

    def _shorten(
        self, order: MatchingOrder, lots: int, time_ns: int, events: list[MarketEvent]
    ) -> None:
        side = self._bids if order.buys else self._asks
        key = order.ticks * side.sign
        if lots == order.left:
            _drop(self._bid_queues if order.buys else self._ask_queues, key, order)
        is_best, left = key == side.keys[-1], side.lots[key] - lots
        events.append(self._change(side, order.buys, order.ticks, left, time_ns))
        if is_best:
            self._quote(events, time_ns)

    def _join_background(
        self, queue: LevelQueue, is_bid: bool, ticks: int, lots: int, time_ns: int
    ) -> None:
        last = next(reversed(queue.values())) if queue else None
        if last is not None and last.account == BACKGROUND:
            last.left += lots
            return
        self._background_id -= 1
        ticket = _ANY[is_bid]
        queue[self._background_id] = MatchingOrder(
            self._background_id, BACKGROUND, ticket, ticks, lots, time_ns
        )

    def _tell_background_traded(self, events: list[MarketEvent], time_ns: int) -> None:
        trades = [event.price_ticks for event in events if type(event) is Trade]
        if trades and self.watched and self.handler is not None:
            events.extend(self.handler.traded(self.instrument, min(trades), max(trades), time_ns))

    def _change(
        self, side: SortedLevels, is_bid: bool, ticks: int, lots: int, time_ns: int
    ) -> LevelChange:
        side.set(ticks, lots)
        self.sequence += 1
        return LevelChange(self.instrument, self.sequence, is_bid, ticks, lots, time_ns)

    def _quote(self, events: list[MarketEvent], time_ns: int) -> list[MarketEvent]:
        """Append the best of both sides if they have changed."""
        bids, asks = self._bids, self._asks
        bid = bids.keys[-1] if bids.keys else 0
        ask = -asks.keys[-1] if asks.keys else 0
        quoted = (bid, bids.lots[bid] if bid else 0, ask, asks.lots[-ask] if ask else 0)
        if quoted != self._quoted:
            self._quoted = quoted
            events.append(BestQuote(self.instrument, self.sequence, *quoted, time_ns))
        return events


def _own(taker: MatchingOrder, maker: MatchingOrder) -> bool:
    return maker.account == taker.account and taker.self_trade is not ALLOW


def _drop(queues: dict[int, LevelQueue], key: int, order: MatchingOrder) -> None:
    """Remove an order from its level, and the queue if only background lots are left in it."""
    queue = queues[key]
    del queue[order.number]
    if not queue or (len(queue) == 1 and next(iter(queue.values())).account == BACKGROUND):
        del queues[key]


def _leave_background(queue: LevelQueue, lots: int) -> int:
    """Take background lots, newest first. Return how many there were."""
    found = 0
    for order in reversed(list(queue.values())):
        if order.account == BACKGROUND and found < lots:
            leaving = min(order.left, lots - found)
            found += leaving
            order.left -= leaving
            if not order.left:
                del queue[order.number]
    return found
