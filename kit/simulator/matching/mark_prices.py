"""The prices at which positions are valued: the mark price, or else the last price."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from kit.accounting.contract import Contract
from kit.accounting.money import Ratio
from kit.simulator.listing import DerivativeMark
from kit.simulator.matching.instrument_book import InstrumentBook

FindMark = Callable[[str], DerivativeMark | None]
"""The mark of a symbol now."""


@dataclass(frozen=True, slots=True)
class MarkPrice:
    """A price, and the atoms of the settlement asset that one lot is worth at it."""

    price: Decimal
    lot_value: Ratio


class MarkPriceTable:
    """Mark prices of all instruments of a venue."""

    def __init__(self, books: Mapping[str, InstrumentBook], find_mark: FindMark) -> None:
        self._books = books
        self._find_mark = find_mark
        self._prices: dict[str, tuple[str | int, MarkPrice]] = {}
        """The newest by symbol, with the text of the mark, or the ticks, that it was made of."""

    def mark(self, symbol: str) -> DerivativeMark | None:
        """Return what the venue publishes of an instrument now."""
        return self._find_mark(symbol)

    def price(self, contract: Contract) -> MarkPrice:
        """Return the mark price, or the last price if there is none."""
        symbol = contract.symbol
        mark = self._find_mark(symbol)
        source: str | int
        if mark is not None and mark.mark_price:
            source = mark.mark_price
        else:
            orders = self._books[symbol].orders
            source = orders.last_ticks or orders.best(True) or 1
        known = self._prices.get(symbol)
        if known is not None and known[0] == source:
            return known[1]
        price = Decimal(source) if isinstance(source, str) else contract.price_unit * source
        fresh = MarkPrice(price, contract.unit_value(price))
        self._prices[symbol] = source, fresh
        return fresh

    def lot_value(self, contract: Contract) -> Ratio:
        """Return the atoms that one lot is worth now."""
        return self.price(contract).lot_value
