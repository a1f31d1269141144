"""A market with the events of a test, and a paper exchange in it."""

import asyncio
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.contract import OrderKey, OrderRequest
from kit.execution.paper.exchange import PaperExchange
from kit.execution.paper.market import (
    BookInvalidated,
    BookLevelsChanged,
    BookLevelUpdate,
    MarkPriceReported,
    TradeReported,
)
from kit.execution.paper.rules import FeeSchedule, PaperRules

D = Decimal
SYMBOL, SWAP, INVERSE = "BTCUSDT", "BTC-PERP", "BTC-INVERSE"
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
RULES = PaperRules(
    FeeSchedule(D("0.001"), D("0.002")),
    {"USDT": D(10_000), "BTC": D(10)},
    latency_ms=0,
    jitter_ms=0,
)


def instrument(symbol, kind, unified, contract_kind=types_pb2.CONTRACT_KIND_UNSPECIFIED):
    is_inverse = symbol == INVERSE
    return types_pb2.Instrument(
        venue="fake",
        symbol=symbol,
        unified_symbol=unified,
        kind=kind,
        base="BTC",
        quote="USD" if is_inverse else "USDT",
        price_tick="0.5",
        size_step="0.01",
        contract_size="1",
        status=types_pb2.INSTRUMENT_STATUS_TRADING,
        size_unit=types_pb2.SIZE_UNIT_QUOTE if is_inverse else types_pb2.SIZE_UNIT_BASE,
        settlement_asset=unified.partition(":")[2],
        contract_kind=contract_kind,
    )


PERPETUAL = types_pb2.INSTRUMENT_KIND_PERPETUAL
LISTED = {
    SYMBOL: instrument(SYMBOL, types_pb2.INSTRUMENT_KIND_SPOT, "BTC/USDT"),
    SWAP: instrument(SWAP, PERPETUAL, "BTC/USDT:USDT", types_pb2.CONTRACT_KIND_LINEAR),
    INVERSE: instrument(INVERSE, PERPETUAL, "BTC/USD:BTC", types_pb2.CONTRACT_KIND_INVERSE),
}


class StillClock:
    """A time that a test sets."""

    def __init__(self):
        self.now_ns = 1_700_000_000_000_000_000

    def time_ns(self):
        return self.now_ns

    def monotonic_ns(self):
        return self.now_ns

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)


class FakeMarket:
    """Books by symbol, side and price; a symbol without one is in doubt."""

    def __init__(self, hear=None):
        self.hear = hear
        self.books = {}
        self.times = {}
        self.watched = frozenset()
        self.kept = {SYMBOL}
        self.heard = {}

    async def run(self):
        await asyncio.get_running_loop().create_future()

    def watch(self, symbols):
        self.watched = symbols

    def catch_up(self):
        pass

    def keeps(self, symbol):
        return symbol != SYMBOL or SYMBOL in self.kept

    def levels(self, symbol, is_bid, count):
        book = self.books.get(symbol)
        if book is None:
            return None
        found = sorted((price, size) for (side, price), size in book.items() if side is is_bid)
        return (found[::-1] if is_bid else found)[:count]

    def book_time_ns(self, symbol):
        return self.times.get(symbol, 0)

    def position(self):
        return self.heard

    def resume(self, position):
        self.heard = position

    def whole(self, bids=(), asks=(), symbol=SYMBOL, time_ns=0):
        """The book is this: pairs of price and size."""
        sides = ((True, bids), (False, asks))
        levels = [
            BookLevelUpdate(side, D(str(p)), D(str(s))) for side, each in sides for p, s in each
        ]
        self.books[symbol] = {(one.is_bid, one.price): one.size for one in levels}
        self._tell(BookLevelsChanged(symbol, levels, True, time_ns), time_ns)

    def change(self, is_bid, price, size, symbol=SYMBOL, time_ns=0):
        """A level is so now."""
        level = BookLevelUpdate(is_bid, D(str(price)), D(str(size)))
        book = self.books[symbol]
        book[is_bid, level.price] = level.size
        if not level.size:
            del book[is_bid, level.price]
        self._tell(BookLevelsChanged(symbol, [level], False, time_ns), time_ns)

    def trade(self, price, size, buys=False, symbol=SYMBOL, time_ns=0):
        """A taker buys or sells."""
        self._tell(TradeReported(symbol, D(str(price)), D(str(size)), buys, time_ns))

    def doubt(self, symbol=SYMBOL):
        """The book cannot be relied on."""
        self.books.pop(symbol, None)
        self._tell(BookInvalidated(symbol))

    def mark(self, price, rate="0", next_ns=0, symbol=SWAP, time_ns=0):
        """A derivative is worth so much."""
        self._tell(MarkPriceReported(symbol, D(str(price)), D(rate), next_ns, time_ns))

    def _tell(self, event, time_ns=0):
        if time_ns:
            self.times[event.symbol] = time_ns
        if self.hear is not None and event.symbol in self.watched:
            self.hear([event])


class PaperVenue:
    """An exchange of one account, and the results of its steps."""

    def __init__(self, rules=RULES, steps=(), market=None):
        self.market = market or FakeMarket()
        self.clock = StillClock()
        self.exchange = PaperExchange(rules, self.market, self.clock, LISTED.get)
        self.market.hear = self.exchange.on_events
        self.exchange.load(steps)
        self.ids = 0

    def request(self, price=None, size=1, side=BUY, symbol=SYMBOL, **more):
        self.ids += 1
        lifetime = pb.TIME_IN_FORCE_GOOD_TILL_CANCEL
        if price is None:
            lifetime = pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
        fields = {
            "client_order_id": f"{self.ids:032x}",
            "symbol": symbol,
            "side": side,
            "type": pb.ORDER_TYPE_MARKET if price is None else pb.ORDER_TYPE_LIMIT,
            "size": D(str(size)),
            "price": None if price is None else D(str(price)),
            "time_in_force": lifetime,
        }
        return OrderRequest(**{**fields, **more})

    def place(self, *given, **more):
        """Returns the receipt."""
        return self.exchange.place(self.request(*given, **more))

    def key(self, receipt):
        return OrderKey(SYMBOL, "", receipt.venue_order_id)

    def now(self, receipt):
        """The order of a receipt as it is now."""
        return self.exchange.find(self.key(receipt))

    def filled(self, receipt):
        return self.now(receipt).filled_size

    def fills(self):
        """(price, size) of all."""
        return [(fill.price, fill.size) for fill in self.exchange.fills("", 0)]

    def totals(self):
        return {one.asset: one.total for one in self.exchange.balances()}

    def free(self):
        return {one.asset: one.free for one in self.exchange.balances()}
