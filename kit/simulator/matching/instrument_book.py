"""One listed instrument of the matching engine: its order book, its rules and its units.

Prices count ticks and sizes lots, so that prices times sizes are exact.
"""

from decimal import Decimal, InvalidOperation

from msgspec import structs

from kit.accounting.average_prices import average_price
from kit.accounting.contract import Contract, ContractAssets
from kit.accounting.money import ATOM, EXACT, amount_of, atoms_of
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.market_events import Instrument
from kit.simulator.matching.contract import FillView, OrderRejected, OrderView, RejectCode
from kit.simulator.matching.order import WEIGHT_UNIT, MatchingFill, MatchingOrder
from kit.simulator.matching.order_book import OrderBook
from kit.simulator.matching.stops import StopOrderBook

DOLLARS = frozenset({"USD", "USDT", "USDC"})
"""Quote assets whose trades count for the traded volume."""
COUNT_MAX = 10**36
"""Most ticks in a price, lots in a size, or atoms in a value."""
COUNTED_MAX = 4_096
"""Prices, and sizes, whose counts are cached: the same ones come again and again."""


class InstrumentBook:
    """One instrument."""

    def __init__(self, instrument: Instrument, listing: Listing, orders: OrderBook) -> None:
        self.instrument = instrument
        self.orders = orders
        self.symbol = listing.symbol
        self.is_spot = listing.kind is InstrumentKind.SPOT
        self.pays_funding = listing.kind is InstrumentKind.PERPETUAL
        self.in_dollars = listing.quote in DOLLARS
        self.tick = Decimal(instrument.price_text(1))
        self.lot = Decimal(instrument.size_text(1))
        if not self.is_spot and not listing.settle:
            raise ValueError(f"{listing.symbol} is a derivative without a settlement asset")
        self.contract = Contract(
            listing.symbol,
            ContractAssets(listing.base, listing.quote, listing.settle),
            Decimal(listing.contract_size or 1),
            self.tick,
            self.lot,
        )
        self.stops = StopOrderBook()
        self.grain = 1
        """Prices of orders are multiples of so many ticks."""
        self.notional_min = 0
        """In atoms."""
        self.halted = self.delisted = False
        self._turnover_unit = self.lot * self.contract.multiplier * self.tick
        self._no_size, self._no_value = self.lot * 0, EXACT.multiply(self._turnover_unit, 0)
        self._lots_of: dict[Decimal, int] = {}
        self._ticks_of: dict[Decimal, int] = {}
        self.relist(listing)

    def relist(self, listing: Listing) -> None:
        """Take over the rules of a changed listing."""
        self.grain = max(1, int(Decimal(listing.tick_size) / self.tick))
        self._step = self.tick * self.grain
        self._ticks_of.clear()
        self.notional_min = atoms_of(Decimal(listing.minimum_notional or 0))
        self.halted = listing.halted

    def ticks(self, price: Decimal) -> int:
        """Return a price in ticks. Raises OrderRejected for a price that no order can have."""
        known = None if price.is_snan() else self._ticks_of.get(price)
        if known is not None:
            return known
        count, rest = _divided(price, self._step)
        if rest or not count:
            raise OrderRejected(RejectCode.TICK)
        return _remember(self._ticks_of, price, count * self.grain)

    def lots(self, size: Decimal) -> int:
        """Return a size in lots. Raises OrderRejected for a size that no order can have."""
        known = None if size.is_snan() else self._lots_of.get(size)
        if known is not None:
            return known
        count, rest = _divided(size, self.lot)
        if not count:
            raise OrderRejected(RejectCode.SIZE_MIN)
        if rest:
            raise OrderRejected(RejectCode.LOT)
        return _remember(self._lots_of, size, count)

    def size(self, lots: int) -> Decimal:
        """Return lots as the exchange lists sizes."""
        return self.lot * lots

    def view(self, order: MatchingOrder) -> OrderView:
        """Return an order as it is now."""
        turnover = order.turnover
        weight = order.inverse_weight
        return OrderView(
            order.number,
            order.account,
            order.ticket,
            order.status,
            self.lot * (order.lots - order.left) if turnover else self._no_size,
            EXACT.multiply(self._turnover_unit, turnover) if turnover else self._no_value,
            order.created_ns,
            order.updated_ns,
            order.why,
            order.amended,
            order.triggered,
            self._average(weight, order.lots - order.left) if weight else None,
        )

    def fill_view(self, fill: MatchingFill) -> FillView:
        """Return a fill, with its order as it was after the fill."""
        weight = fill.inverse_weight
        order = structs.replace(
            self.view(fill.order),
            status=fill.status,
            filled=self.lot * fill.filled,
            filled_value=EXACT.multiply(self._turnover_unit, fill.turnover),
            updated_ns=fill.time_ns,
            why=None,
            average_price=self._average(weight, fill.filled) if weight else None,
        )
        return FillView(
            fill.trade_id,
            order,
            self.tick * fill.ticks,
            self.lot * fill.lots,
            amount_of(fill.fee),
            fill.fee_asset,
            fill.is_maker,
            fill.time_ns,
            amount_of(fill.profit),
        )

    def _average(self, weight: int, lots: int) -> Decimal:
        """The average price of an inverse contract's fills."""
        sizes_by_ticks = EXACT.divide(Decimal(weight), WEIGHT_UNIT)
        weight_of_sizes = EXACT.divide(sizes_by_ticks, self.tick)
        return average_price(weight_of_sizes, Decimal(lots), is_inverse=True)


def value_in_atoms(value: Decimal) -> int:
    """Return a value in atoms. Raises OrderRejected if it is no value that an order can have"""
    return _divided(value, ATOM)[0]


def _remember(counts: dict[Decimal, int], number: Decimal, count: int) -> int:
    if len(counts) >= COUNTED_MAX:
        counts.clear()
    counts[number] = count
    return count


def _divided(number: Decimal, unit: Decimal) -> tuple[int, Decimal]:
    """How often a unit fits, and the rest. Raises OrderRejected unless the number is positive and
    of a sane length."""
    try:
        count, rest = EXACT.divmod(number, unit)
        if number > 0 and count < COUNT_MAX:
            return int(count), rest
    except InvalidOperation:
        pass
    raise OrderRejected(RejectCode.MALFORMED, f"{number:.3g} is not a valid amount")
