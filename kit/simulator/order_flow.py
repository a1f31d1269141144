"""Order flow: who buys, sells, quotes and cancels in a simulated market. Seeded."""

import math
import random

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.market_events import Instrument, MarketEvent
from kit.simulator.order_flow_book import OrderFlowBook
from kit.simulator.price import PriceProcess

LEVELS_PER_SIDE = 400
GAP_SHARE = 8e-6
"""Usual distance between two levels, relative to the price."""
FAIR_AGE_NS_MAX = 20_000_000
CLOSE_SPREAD = 0.7
"""The probability of a quote inside a spread that is wider than usual."""
ALL_LOTS = 1 << 62
LEVELS_MOST = 1 << 20
TAKE, JOIN, LEAVE, IMPROVE = 0.36, 0.56, 0.70, 0.82
"""Cumulated probabilities of the actions; the rest quotes and cancels deep in the book."""


class OrderFlow:
    """The orders of one instrument, around its fair price."""

    def __init__(
        self,
        instrument: Instrument,
        book: OrderFlowBook,
        price: PriceProcess,
        seed: str,
        rate: float,
    ) -> None:
        """``rate``: orders per second."""
        self.grain = 1
        """New prices are multiples of so many ticks."""
        self._book = book
        self._price = price
        self._random = random.Random(seed)
        self._rate = rate
        self._tick = instrument.tick_units / 10**instrument.price_scale
        self._gap_ticks = max(1.0, instrument.start_price * GAP_SHARE / self._tick)
        lot = instrument.lot_units / 10**instrument.size_scale
        self._typical_lots = instrument.typical_size / lot
        self._quotes: dict[bool, list[int]] = {True: [], False: []}
        """Prices that were quoted deep in the book, by side; some are traded away by now."""
        self._fair_ticks = 0.0
        self._fair_known_ns = -FAIR_AGE_NS_MAX - 1

    def open(self, time_ns: int) -> list[MarketEvent]:
        """The book before the first trade."""
        fair = self._fair(time_ns)
        events: list[MarketEvent] = []
        for is_bid, sign in ((True, -1), (False, 1)):
            distance = 1.0
            for _ in range(LEVELS_PER_SIDE):
                ticks = round(fair + sign * distance)
                events += self._quote(is_bid, ticks, time_ns)
                distance += max(1.0, self._random.expovariate(1 / self._gap_ticks))
        return events

    def requote(self, time_ns: int) -> list[MarketEvent]:
        """Cancel all levels, worst first, and quote around the current fair price."""
        events: list[MarketEvent] = []
        for is_bid in (True, False):
            for ticks, _ in reversed(self._book.levels(is_bid, LEVELS_MOST)):
                events += self._book.cancel(is_bid, ticks, ALL_LOTS, time_ns)
            self._quotes[is_bid] = []
        return events + self.open(time_ns)

    def burst(self, trade_count: int, time_ns: int) -> list[MarketEvent]:
        """Make trades of one lot, as far as there are quotes."""
        events: list[MarketEvent] = []
        for _ in range(trade_count):
            buys = self._random.random() < 0.5
            best = self._book.best(not buys)
            if best is not None:
                events += self._book.take(buys, best, 1, time_ns)
        return events

    def wait_ns(self) -> int:
        """Time until the next order."""
        return 1 + int(self._random.expovariate(self._rate) * NANOSECONDS_PER_SECOND)

    def act(self, time_ns: int) -> list[MarketEvent]:
        """Place or cancel one order."""
        fair = self._fair(time_ns)
        bid, ask = self._book.best(True), self._book.best(False)
        if bid is None:
            return self._quote_deep(True, fair if ask is None else min(fair, ask), time_ns)
        if ask is None:
            return self._quote_deep(False, max(fair, bid), time_ns)
        pull = math.tanh((fair - (bid + ask) / 2) / self._gap_ticks)
        upward = self._random.random() < 0.5 + 0.5 * pull
        if ask - bid > self._gap_ticks + 1 and self._random.random() < CLOSE_SPREAD:
            return self._improve(upward, bid, ask, fair, time_ns)
        action = self._random.random()
        if action < TAKE:
            return self._take(upward, bid, ask, fair, time_ns)
        if action < JOIN:
            return self._book.rest(upward, bid if upward else ask, self._lots(), time_ns)
        if action < LEAVE:
            ticks = ask if upward else bid
            return self._book.cancel(not upward, ticks, self._lots(), time_ns)
        if action < IMPROVE:
            return self._improve(upward, bid, ask, fair, time_ns)
        return self._change_deep(self._random.random() < 0.5, bid, ask, time_ns)

    def _take(self, buys: bool, bid: int, ask: int, fair: float, time_ns: int) -> list[MarketEvent]:
        """Trade up to the fair price, or a little beyond the best."""
        slip = round(self._gap_ticks)
        limit = max(ask + slip, round(fair)) if buys else max(1, min(bid - slip, round(fair)))
        return self._book.take(buys, limit, self._lots(), time_ns)

    def _improve(
        self, is_bid: bool, bid: int, ask: int, fair: float, time_ns: int
    ) -> list[MarketEvent]:
        """Quote inside the spread, near the fair price; where there is no room, at the best."""
        near = round(self._random.gauss(fair, self._gap_ticks / 4))
        ticks = max(bid, min(near, ask - 1)) if is_bid else min(ask, max(near, bid + 1))
        return self._book.rest(is_bid, self._grained(is_bid, ticks), self._lots(), time_ns)

    def _change_deep(self, is_bid: bool, bid: int, ask: int, time_ns: int) -> list[MarketEvent]:
        """Quote or cancel away from the best, so that about LEVELS_PER_SIDE levels stay."""
        quotes = self._quotes[is_bid]
        if self._random.random() * 2 * LEVELS_PER_SIDE > len(quotes):
            return self._quote_deep(is_bid, bid if is_bid else ask, time_ns)
        index = int(self._random.random() * len(quotes))
        quotes[index], quotes[-1] = quotes[-1], quotes[index]
        cancelled = self._book.cancel(is_bid, quotes.pop(), ALL_LOTS, time_ns)
        return cancelled or self._quote_deep(is_bid, bid if is_bid else ask, time_ns)

    def _quote_deep(self, is_bid: bool, near: float, time_ns: int) -> list[MarketEvent]:
        spread = self._gap_ticks * LEVELS_PER_SIDE / 4
        distance = 1 + int(self._random.expovariate(1 / spread))
        ticks = round(near) - distance if is_bid else round(near) + distance
        return self._quote(is_bid, ticks, time_ns)

    def _quote(self, is_bid: bool, ticks: int, time_ns: int) -> list[MarketEvent]:
        if ticks <= 0:
            return []
        ticks = self._grained(is_bid, ticks)
        self._quotes[is_bid].append(ticks)
        return self._book.rest(is_bid, ticks, self._lots(), time_ns)

    def _grained(self, is_bid: bool, ticks: int) -> int:
        """Rounded away from the other side, so that nothing crosses."""
        if is_bid:
            return max(self.grain, ticks - ticks % self.grain)
        return ticks + -ticks % self.grain

    def _lots(self) -> int:
        return 1 + int(self._typical_lots * self._random.lognormvariate(-0.5, 1.0))

    def _fair(self, time_ns: int) -> float:
        if time_ns - self._fair_known_ns > FAIR_AGE_NS_MAX:
            self._fair_ticks = self._price.at(time_ns) / self._tick
            self._fair_known_ns = time_ns
        return self._fair_ticks
