"""What the house knows of one instrument: its book, its listing, and how its numbers are counted.

Prices count ticks and sizes lots, so that prices times sizes are exact.
"""

from decimal import Decimal, InvalidOperation
from fractions import Fraction

from msgspec import structs

from kit.simulator.events import Instrument
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.matching.book import Book
from kit.simulator.matching.contract import FillView, OrderRejected, OrderView, RejectCode
from kit.simulator.matching.money import ATOM, EXACT, Share, amount, atoms_of
from kit.simulator.matching.order import Fill, Order
from kit.simulator.matching.stops import Stops

DOLLARS = frozenset({"USD", "USDT", "USDC"})
"""In what a traded volume counts."""
COUNT_MAX = 10**36
"""Of ticks in a price, lots in a size, or atoms in a value."""
COUNTED_MAX = 4_096
"""Prices, and sizes, whose counts are remembered: the same ones come again and again."""


class InstrumentBook:
    """One instrument."""

    def __init__(self, instrument: Instrument, listing: Listing, book: Book) -> None:
        self.instrument = instrument
        self.book = book
        self.symbol = listing.symbol
        self.base, self.quote = listing.base, listing.quote
        self.is_spot = listing.kind is InstrumentKind.SPOT
        self.pays_funding = listing.kind is InstrumentKind.PERPETUAL
        self.settle = listing.quote if self.is_spot else listing.settle or listing.quote
        self.is_inverse = not self.is_spot and self.settle == listing.base
        self.in_dollars = listing.quote in DOLLARS
        self.tick = Decimal(instrument.price_text(1))
        self.lot = Decimal(instrument.size_text(1))
        self.direction = -1 if self.is_inverse else 1
        """Of what a position is worth, when the price rises."""
        self.stops = Stops()
        self.contract = Decimal(listing.contract_size or 1)
        self.grain = 1
        """Prices of orders are multiples of so many ticks."""
        self.notional_min = 0
        """In atoms."""
        self.halted = self.delisted = False
        self.lot_atoms = atoms_of(self.lot)
        worth = self.lot * self.contract
        self._worth = Fraction(EXACT.multiply(self.lot, self.contract))
        self._unit = worth * self.tick
        self.unit_atoms = atoms_of(worth / self.tick if self.is_inverse else worth * self.tick)
        """Value of a lot at a price of one tick."""
        self._no_size, self._no_value = self.lot * 0, EXACT.multiply(self._unit, 0)
        self._lots_of: dict[Decimal, int] = {}
        self._ticks_of: dict[Decimal, int] = {}
        self.relist(listing)

    def relist(self, listing: Listing) -> None:
        """Its listing has changed."""
        self.grain = max(1, int(Decimal(listing.tick_size) / self.tick))
        self._step = self.tick * self.grain
        self._ticks_of.clear()
        self.notional_min = atoms_of(Decimal(listing.minimum_notional or 0))
        self.halted = listing.halted

    def value(self, ticks: int, lots: int) -> int:
        """Atoms of what settles it: price times size, and for an inverse contract size over
        price."""
        if self.is_inverse:
            return lots * self.unit_atoms // ticks
        return ticks * lots * self.unit_atoms

    def worth_at(self, price: Decimal) -> Share:
        """What lots are worth at any price, as atoms of what settles it."""
        rate = 1 / Fraction(price) if self.is_inverse else Fraction(price)
        return Share(*(self._worth * rate / Fraction(ATOM)).as_integer_ratio())

    def notional(self, ticks: int, lots: int) -> int:
        """Atoms of the quote currency."""
        if self.is_inverse:
            return atoms_of(self.lot * self.contract) * lots
        return ticks * lots * self.unit_atoms

    def ticks(self, price: Decimal) -> int:
        """Raises Refused when it is no price that an order can have."""
        known = None if price.is_snan() else self._ticks_of.get(price)
        if known is not None:
            return known
        count, rest = _divided(price, self._step)
        if rest or not count:
            raise OrderRejected(RejectCode.TICK)
        return _remember(self._ticks_of, price, count * self.grain)

    def lots(self, size: Decimal) -> int:
        """Likewise for a size."""
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
        """As the exchange lists it."""
        return self.lot * lots

    def view(self, order: Order) -> OrderView:
        """An order as it is now."""
        turnover = order.turnover
        return OrderView(
            order.number,
            order.account,
            order.ticket,
            order.status,
            self.lot * (order.lots - order.left) if turnover else self._no_size,
            EXACT.multiply(self._unit, turnover) if turnover else self._no_value,
            order.created_ns,
            order.updated_ns,
            order.why,
            order.amended,
            order.triggered,
        )

    def fill_view(self, fill: Fill) -> FillView:
        """A fill, with its order as it was after it."""
        order = structs.replace(
            self.view(fill.order),
            status=fill.status,
            filled=self.lot * fill.filled,
            filled_value=EXACT.multiply(self._unit, fill.turnover),
            updated_ns=fill.time_ns,
            why=None,
        )
        return FillView(
            fill.trade_id,
            order,
            self.tick * fill.ticks,
            self.lot * fill.lots,
            amount(fill.fee),
            fill.fee_asset,
            fill.is_maker,
            fill.time_ns,
        )


def sane_atoms(value: Decimal) -> int:
    """What an order is to be worth. Raises Refused when it can be worth no such thing."""
    return _divided(value, ATOM)[0]


def _remember(counts: dict[Decimal, int], number: Decimal, count: int) -> int:
    if len(counts) >= COUNTED_MAX:
        counts.clear()
    counts[number] = count
    return count


def _divided(number: Decimal, unit: Decimal) -> tuple[int, Decimal]:
    """How many units it is, and what is left. Raises Refused when it is no positive number of a
    sane length."""
    try:
        count, rest = EXACT.divmod(number, unit)
        if number > 0 and count < COUNT_MAX:
            return int(count), rest
    except InvalidOperation:
        pass
    raise OrderRejected(RejectCode.MALFORMED, f"no amount: {number:.3g}")
