"""How often an order at the best bid fills, in a real capture: less often than touching tells."""

import json
from bisect import bisect_left, insort
from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.contract import OrderKey
from kit.execution.paper.market import BookLevelsChanged, BookLevelUpdate, TradeReported
from kit.execution.paper.tests.markets import RULES, SYMBOL, PaperVenue

D = Decimal
LIFE_NS = 2_000_000_000
RICH = replace(RULES, balances={"USDT": D(10_000_000)})
NS_PER_MS = 1_000_000


class Tape:
    """The market of a capture. Prices are kept sorted: the book has thousands of levels."""

    def __init__(self):
        self.hear = None
        self.sizes = {}
        self.early = []
        """Updates that came before the book."""
        self.prices = {True: [], False: []}
        self.time_ns = 0

    def watch(self, symbols):
        pass

    def catch_up(self):
        pass

    def keeps(self, symbol):
        return True

    def levels(self, symbol, is_bid, count):
        prices = self.prices[is_bid]
        best = prices[::-1][:count] if is_bid else prices[:count]
        return [(price, self.sizes[is_bid, price]) for price in best] if self.sizes else None

    def book_time_ns(self, symbol):
        return self.time_ns

    def best_bid(self):
        return self.prices[True][-1]

    def play(self, frame):
        """One frame; its event, if it is one, is told and returned."""
        data = frame.get("data", frame)
        if "lastUpdateId" in data:
            whole = self._book(data["bids"], data["asks"], True, 0)
            for early in self.early:
                if early["u"] > data["lastUpdateId"]:
                    self._book(early["b"], early["a"], False, early["E"] * NS_PER_MS)
            return whole
        if not self.sizes:
            self.early += [data] if data.get("e") == "depthUpdate" else []
            return None
        if data.get("e") == "depthUpdate":
            return self._book(data["b"], data["a"], False, data["E"] * NS_PER_MS)
        if data.get("e") != "trade":
            return None
        price, size, time_ns = D(data["p"]), D(data["q"]), data["T"] * NS_PER_MS
        event = TradeReported(SYMBOL, price, size, not data["m"], time_ns)
        self.hear([event])
        return event

    def _book(self, bids, asks, is_whole, time_ns):
        sides = ((True, bids), (False, asks))
        levels = [
            BookLevelUpdate(side, D(price), D(size)) for side, each in sides for price, size in each
        ]
        for is_bid, price, size in levels:
            known, prices = (is_bid, price) in self.sizes, self.prices[is_bid]
            if size:
                self.sizes[is_bid, price] = size
                if not known:
                    insort(prices, price)
            elif known:
                del self.sizes[is_bid, price]
                del prices[bisect_left(prices, price)]
        self.time_ns = time_ns or self.time_ns
        event = BookLevelsChanged(SYMBOL, levels, is_whole, time_ns)
        self.hear([event])
        return event


def compare(frames):
    """Orders at the best bid, each for some seconds: how many were placed, how many are filled by
    the queue, and how many if the first trade at their price had filled them."""
    tape = Tape()
    floor = PaperVenue(RICH, market=tape)
    placed = filled = touched = 0
    order, ends_ns, is_touched = None, 0, False
    for frame in frames:
        event = tape.play(frame)
        if event is None or not event.venue_time_ns:
            continue
        if order is not None and isinstance(event, TradeReported) and not event.taker_buys:
            is_touched |= event.price <= order.price
        if order is not None and event.venue_time_ns >= ends_ns:
            now = floor.exchange.find(OrderKey(SYMBOL, "", order.venue_order_id))
            filled += now.state == pb.ORDER_STATE_FILLED
            touched += is_touched
            assert is_touched or not now.filled_size
            floor.exchange.cancel(OrderKey(SYMBOL, "", order.venue_order_id))
            order = None
        if order is None and isinstance(event, BookLevelsChanged):
            receipt = floor.place(tape.best_bid(), "0.01", post_only=True)
            order, is_touched = receipt.order, False
            ends_ns = event.venue_time_ns + LIFE_NS
            placed += 1
    return placed, filled, touched


@pytest.fixture
def short(captures):
    """Half a minute of one instrument."""
    file = captures / "binance" / "btcusdt_first30s" / "frames.jsonl"
    return map(json.loads, file.read_text().splitlines())


def test_an_order_at_the_best_bid_fills_less_often_than_the_price_is_touched(short):
    placed, filled, touched = compare(short)
    assert placed >= 10
    assert filled < touched <= placed
