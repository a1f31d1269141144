"""A market with one instrument: prices, bars that carry what the strategy wants, and books."""

from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.advisor.ledger_accounts import AccountsSnapshot, EquityKey
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.features.indicators import close
from kit.marketdata.clients.best_prices import BestPrices
from kit.marketdata.clients.listed_instruments import ListedInstrument
from kit.strategy.strategy import Exit, PositionSize, Rule
from kit.strategy.tests.market import bar, strategy

KEY = ("binance", "BTCUSDT")
START = Decimal(60_000)
NOTHING, BUYS, SELLS, CLOSES, HALVES = range(5)
"""What a bar wants, as its number of trades."""
TERMS = {
    "venue": "binance",
    "symbol": "BTCUSDT",
    "base": "BTC",
    "quote": "USDT",
    "price_tick": "0.01",
    "size_step": "0.00001",
    "size_min": "0.0001",
    "notional_min": "5",
    "status": types_pb2.INSTRUMENT_STATUS_TRADING,
    "size_unit": types_pb2.SIZE_UNIT_BASE,
}
SPOT = types_pb2.Instrument(kind=types_pb2.INSTRUMENT_KIND_SPOT, **TERMS)
PERPETUAL = types_pb2.Instrument(
    kind=types_pb2.INSTRUMENT_KIND_PERPETUAL,
    settlement_asset="USDT",
    contract_kind=types_pb2.CONTRACT_KIND_LINEAR,
    contract_value="1",
    contract_value_asset="BTC",
    **TERMS,
)
PROVEN = market_data_pb2.BOOK_STATE_PROVEN


def opens(seen):
    """The rule of the strategy."""
    return {BUYS: 1.0, SELLS: -1.0}.get(seen.trade_count, 0.0)


def closes(seen):
    """The exit of the strategy."""
    return seen.trade_count == CLOSES


def halves(seen):
    """The partial exit of the strategy."""
    return seen.trade_count == HALVES


def drawn_strategy(chance, kind, *, trails):
    """The strategy of a run. ``kind``: draws whether it reduces and flips positions.
    ``trails``: whether its stops do."""
    half = Exit(name="half", condition=halves, fraction="0.5")
    return strategy(
        rules=(Rule(name="wanted", condition=opens),),
        exits=(Exit(name="over", condition=closes, closes="both"), half),
        flips=kind.random() < 0.3,
        position=PositionSize(
            notional="500",
            stop_distance=close * 0.006,
            target_distance=close * 0.012,
            trailing_distance=close * 0.003 if trails else None,
        ),
        cooldown_s=chance.choice((0, 0, 5)),
        expiry_s=chance.choice((2, 5, 12)),
    )


class Market:
    """Prices, Instruments and Accounts of the advisor too."""

    def __init__(self, chance, clock, kind):
        """``kind``: draws whether bars want positions to be reduced."""
        self._chance, self._clock = chance, clock
        self.instrument = chance.choice((SPOT, PERPETUAL))
        self.key = KEY
        is_spot = self.instrument is SPOT
        self.sides = (types_pb2.SIDE_BUY,) if is_spot else (types_pb2.SIDE_BUY, types_pb2.SIDE_SELL)
        opens = (BUYS,) if is_spot else (BUYS, SELLS)
        closes = (CLOSES,) * chance.choice((0, 0, 1, 2))
        halves = (HALVES,) * (3 if kind.random() < 0.3 else 0)
        self.bars_want = (NOTHING, NOTHING, *closes, *opens * 3, *halves)
        """What is drawn for each bar."""
        self.price = START
        self._step = chance.choice((1, 1, 4))
        self.bad = chance.choice((0, 0.1, 0.3))
        """Share of questions for prices that have no good answer."""
        self.newest = AccountsSnapshot()

    def move(self):
        """The next price."""
        step = self._step * Decimal(self._chance.choice((-3, -1, -1, 0, 0, 1, 1, 3))) / 1000
        self.price = (self.price * (1 + step)).quantize(Decimal("0.01"))

    def next_bar(self, number, wants):
        """The bar of the second that has just ended."""
        return bar(number, float(self.price), trade_count=wants)

    def read_accounts(self):
        """Read equity and positions again, as the advisor does from the ledger."""
        equities = {EquityKey("binance", "paper", "USDT"): "100000"}
        self.newest = AccountsSnapshot(self._clock.time_ns(), equities)

    async def of(self, instruments):
        """The best prices, after a time, or none."""
        asked_ns = self._clock.time_ns()
        is_bad = self._chance.random() < self.bad
        await self._clock.sleep(self._chance.choice((0.001, 0.02, 0.4)))
        found = BestPrices(asked_ns)
        if not is_bad:
            found = BestPrices(asked_ns, self._clock.time_ns(), self._book())
        elif self._chance.random() < 0.3:
            # The process of the venue hangs.
            await self._clock.sleep(self._chance.choice((1, 4)))
        return dict.fromkeys(instruments, found)

    def _book(self):
        book = market_data_pb2.GetOrderBookResponse(state=PROVEN)
        book.venue_time_ns = self._clock.time_ns() - NANOSECONDS_PER_SECOND
        book.cursor.epoch, book.cursor.sequence = 1, self._clock.time_ns()
        book.bids.add(price=str(self.price - 1), size="1")
        book.asks.add(price=str(self.price + 1), size="1")
        return book

    async def find(self, venue, symbol):
        """The terms of the instrument, as listed at the start."""
        await self._clock.sleep(0.001)
        return ListedInstrument(self.instrument, self._clock.started_ns)
