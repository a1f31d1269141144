"""Whatever happens: no more is filled than there was, at no worse price, and no money is lost."""

from collections import Counter
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.contract import RequestAccepted
from kit.execution.paper.market import BookLevelsChanged, TradeReported
from kit.execution.paper.records import PaperPositionRecord
from kit.execution.paper.tests.markets import BUY, RULES, SELL, SWAP, SYMBOL, PaperVenue

D = Decimal
PRICES = st.sampled_from([D(98), D("98.5"), D(99), D("99.5"), D(100), D("100.5"), D(101)])
SIZES = st.integers(1, 500).map(lambda lots: D(lots).scaleb(-2))
NONE = st.none()
PLACES = st.tuples(
    st.just("place"),
    st.booleans(),
    PRICES | NONE,
    SIZES,
    st.sampled_from(["", "post", "ioc", "fok"]),
)
TRADES = st.tuples(st.just("trade"), st.booleans(), PRICES, SIZES)
LEVELS = st.tuples(st.just("level"), st.booleans(), PRICES, SIZES | st.just(D(0)))
CANCELS = st.tuples(st.just("cancel"), st.integers(0, 20))
AMENDS = st.tuples(st.just("amend"), st.integers(0, 20), PRICES, SIZES)
DOUBTS = st.tuples(st.just("doubt"))
STEPS = st.lists(PLACES | PLACES | TRADES | TRADES | LEVELS | LEVELS | CANCELS | AMENDS | DOUBTS)
LIFETIMES = {
    "ioc": {"time_in_force": pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL},
    "fok": {"time_in_force": pb.TIME_IN_FORCE_FILL_OR_KILL},
    "post": {"post_only": True},
    "": {},
}


class Run:
    """A floor to which steps are done, and all that the market had for its orders."""

    def __init__(self, symbol):
        self.floor = PaperVenue()
        self.symbol = symbol
        self.there = Counter()
        """What could be had, by side of the taker who would have it."""
        self.receipts = []
        self.checks = self.seen = 0
        self.time_ns = 1_000
        hear = self.floor.exchange.on_events
        self.floor.market.hear = lambda events: (self._count(events), hear(events))
        self.floor.market.watched = frozenset([symbol])
        self._shown = {}
        self.floor.market.watch = lambda symbols: None
        self.floor.market.whole([(D(99), D(3))], [(D(100), D(3))], symbol, 1_000)

    def do(self, step):
        """One step, then what must hold after each."""
        self.time_ns += 1
        kind, *given = step
        getattr(self, kind)(*given)
        self.check()
        self.checks += 1

    def place(self, buys, price, size, how):
        if price is None and how == "post":
            return
        more = {"symbol": self.symbol, **LIFETIMES[how]}
        known = len(self.floor.exchange.fills("", 0))
        receipt = self.floor.place(price, size, side=BUY if buys else SELL, **more)
        fills = self.floor.exchange.fills("", 0)[known:]
        if how == "post" and isinstance(receipt, RequestAccepted):
            assert not fills or receipt.order.state == pb.ORDER_STATE_ACKNOWLEDGED
        if how == "fok" and isinstance(receipt, RequestAccepted) and fills:
            assert receipt.order.filled_size == size
        if isinstance(receipt, RequestAccepted):
            self.receipts.append(receipt)

    def trade(self, buys, price, size):
        self.floor.market.trade(price, size, buys, self.symbol, self.time_ns)

    def level(self, is_bid, price, size):
        market = self.floor.market
        if self.symbol not in market.books:
            return
        side = {key: there for key, there in market.books[self.symbol].items() if key[0] is is_bid}
        if size or (is_bid, price) in side:
            market.change(is_bid, price, size, self.symbol, self.time_ns)

    def cancel(self, number):
        if number < len(self.receipts):
            self.floor.exchange.cancel(self.floor.key(self.receipts[number]))

    def amend(self, number, price, size):
        if number < len(self.receipts):
            request = self.floor.request(price, size, symbol=self.symbol)
            self.floor.exchange.amend(self.floor.key(self.receipts[number]), request)

    def doubt(self):
        market = self.floor.market
        market.doubt(self.symbol)
        market.whole([(D(99), D(2))], [(D(100), D(2))], self.symbol, self.time_ns)

    def check(self):
        """No more than was there, none worse than its limit, and money only changes hands."""
        exchange = self.floor.exchange
        fills = exchange.fills("", 0)
        filled = Counter()
        for fill in fills:
            filled[fill.side == BUY] += fill.size
            order = exchange.find(self.floor.key(RequestAccepted(fill.venue_order_id)))
            assert order.filled_size <= order.size
        assert all(filled[side] <= self.there[side] for side in filled)
        for order in exchange.open_orders(""):
            assert order.filled_size < order.size
        for balance in exchange.balances():
            assert 0 <= balance.free <= balance.total or self.symbol == SWAP
        for fill in fills[self.seen :]:
            self._check_price(fill)
        self.seen = len(fills)
        self._check_money(fills)

    def _check_price(self, fill):
        """Who waits is filled at his own price; who takes at one that is displayed."""
        limit = self.floor.exchange.find(self.floor.key(RequestAccepted(fill.venue_order_id))).price
        if fill.liquidity == pb.LIQUIDITY_MAKER:
            assert fill.price == limit
            return
        assert (fill.side != BUY, fill.price) in self._shown
        assert limit is None or (fill.price <= limit if fill.side == BUY else fill.price >= limit)

    def _check_money(self, fills):
        totals = Counter(RULES.balances)
        if self.symbol == SWAP:
            cash = size = D(0)
            for fill in fills:
                sign = 1 if fill.side == BUY else -1
                cash -= sign * fill.price * fill.size + sum(paid.amount for paid in fill.fees)
                size += sign * fill.size
            wallet = self.floor.exchange.wallet
            listed = SWAP in wallet.terms
            held = (
                wallet.position_record(SWAP)
                if listed
                else PaperPositionRecord(SWAP, D(0), D(0), D(0))
            )
            assert held.size == size
            assert self.floor.totals()["USDT"] == totals["USDT"] + cash + held.cost
            return
        for fill in fills:
            sign = 1 if fill.side == BUY else -1
            totals["BTC"] += sign * fill.size
            totals["USDT"] -= sign * fill.price * fill.size
            for paid in fill.fees:
                totals[paid.asset] -= paid.amount
        assert self.floor.totals() == {asset: one for asset, one in totals.items() if one}

    def _count(self, events):
        for event in events:
            if isinstance(event, TradeReported):
                # Of the two sides of a trade each could have been ours.
                self.there[True] += event.size
                self.there[False] += event.size
            elif isinstance(event, BookLevelsChanged):
                for level in event.levels:
                    place = level.is_bid, level.price
                    before = D(0) if event.is_whole else self._shown.get(place, D(0))
                    self.there[not level.is_bid] += max(D(0), level.size - before)
                    self._shown[place] = level.size


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_spot_fills_are_of_what_was_there_and_money_is_conserved(steps):
    run = Run(SYMBOL)
    for step in steps:
        run.do(step)
    assert run.checks == len(steps)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_so_are_those_of_derivatives(steps):
    run = Run(SWAP)
    for step in steps:
        run.do(step)
    assert run.checks == len(steps)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_what_was_written_down_is_what_there_is(steps):
    run, written = Run(SYMBOL), []
    exchange = run.floor.exchange
    for step in steps:
        run.do(step)
        found = exchange.take_step()
        if found is not None:
            written.append(found[0])
    if not written:
        return
    for kept in (written, list(exchange.steps())):
        again = PaperVenue(steps=kept).exchange
        assert again.open_orders("") == exchange.open_orders("")
        assert again.fills("", 0) == exchange.fills("", 0)
        assert again.balances() == exchange.balances()
