"""What an order has cost, against the prices of the times at which it was decided, sent and filled.

Prices are those of one instrument. A mid is the middle of the best bid and ask. A cost is positive,
a gain negative; only a mark-out is a profit: positive if the price has moved in favour of the
order. A basis point (bps) is 1/10000. What is not known is an ``Unknown``, never 0.

slippage   side x (average - arrival mid) / arrival mid
shortfall  what the order has cost more than all of its size at the decision mid: by its prices, by
           its fees, and by what was not filled, which is valued at the mid of the order's end
mark-out   side x (mid after a fill - price of the fill) / price of the fill

Amounts are in the asset that pays profit and loss: the quote asset of spot and linear contracts,
the base asset of inverse ones. Weights are notionals in the quote asset. All is computed in
fractions and rounded once, half to even.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from fractions import Fraction
from functools import partial

from kit.accounting.amounts import EXACT, subtract
from kit.accounting.costed_orders import (
    CostedFill,
    CostedOrder,
    CostTerms,
    FeeRates,
    Figure,
    Unknown,
)

BPS = 10_000
BPS_PLACES, RATIO_PLACES, PRICE_PLACES, AMOUNT_PLACES = 6, 12, 16, 18
MAY_CHANGE = frozenset({Unknown.NOT_YET, Unknown.FILLS_MISSING})


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Implementation shortfall. Amounts are in the cost asset."""

    price_cost: Figure
    fee_cost: Figure
    unfilled_cost: Figure
    total_cost: Figure
    total_bps: Figure
    """Of the value of the whole order at the decision mid."""
    notional: Figure
    """Of the whole order at the decision mid, in the quote asset."""


@dataclass(frozen=True, slots=True)
class OrderCosts:
    """The figures of one order."""

    average_price: Figure
    """Of an inverse contract the harmonic mean."""
    notional: Figure
    """Of what was filled, in the quote asset."""
    arrival_notional: Figure
    """Of the whole order at the arrival mid, in the quote asset."""
    fill_ratio: Figure
    slippage_bps: Figure
    trigger_slippage_bps: Figure
    """Against the stop price."""
    shortfall: Shortfall
    fee: Figure
    """In the cost asset."""
    fee_bps: Figure
    """Of the value of what was filled, as the next but one."""
    expected_fee: Figure
    """In the cost asset, by the fee schedule."""
    expected_fee_bps: Figure
    markouts_bps: Sequence[Figure]
    """One for each mid after a fill; each fill weighs as much as its notional."""
    first_fill_ns: int | None
    """From the arrival to the first fill; None without a fill."""
    completion_ns: int | None
    """From the arrival to the last fill, or to the end of an order that was not filled whole; None
    before it."""
    fill_count: int
    is_complete: bool
    """Whether the order has ended and no figure waits for a time or for a fill."""

    def figures(self) -> Iterator[Figure]:
        """Yield each of them, those of the shortfall and the mark-outs too."""
        for holder in (self, self.shortfall):
            values = (getattr(holder, field.name) for field in fields(holder))
            yield from (value for value in values if isinstance(value, Decimal | Unknown))
        yield from self.markouts_bps


def costs_of(
    order: CostedOrder, terms: CostTerms | None, rates: FeeRates | None, markouts: int
) -> OrderCosts:
    """Return the costs of one order. ``markouts``: number of mids after each fill."""
    computed = _Computation(order, terms, rates)
    found = OrderCosts(
        average_price=_figure(computed.average_price, PRICE_PLACES),
        notional=_figure(computed.notional, AMOUNT_PLACES),
        arrival_notional=_figure(computed.arrival_notional, AMOUNT_PLACES),
        fill_ratio=_figure(computed.fill_ratio, RATIO_PLACES),
        slippage_bps=_figure(computed.slippage, BPS_PLACES),
        trigger_slippage_bps=_figure(computed.trigger_slippage, BPS_PLACES),
        shortfall=Shortfall(
            price_cost=_figure(computed.price_cost, AMOUNT_PLACES),
            fee_cost=_figure(computed.fee_cost, AMOUNT_PLACES),
            unfilled_cost=_figure(computed.unfilled_cost, AMOUNT_PLACES),
            total_cost=_figure(computed.total_cost, AMOUNT_PLACES),
            total_bps=_figure(computed.total_bps, BPS_PLACES),
            notional=_figure(computed.decision_notional, AMOUNT_PLACES),
        ),
        fee=_figure(computed.fee, AMOUNT_PLACES),
        fee_bps=_figure(lambda: computed.fee() / computed.value() * BPS, BPS_PLACES),
        expected_fee=_figure(computed.expected_fee, AMOUNT_PLACES),
        expected_fee_bps=_figure(
            lambda: computed.expected_fee() / computed.value() * BPS, BPS_PLACES
        ),
        markouts_bps=[
            _figure(partial(computed.markout, number), BPS_PLACES) for number in range(markouts)
        ],
        first_fill_ns=computed.first_fill_ns(),
        completion_ns=computed.completion_ns(),
        fill_count=len(computed.fills),
        is_complete=False,
    )
    may_change = not MAY_CHANGE.isdisjoint(found.figures())
    return replace(found, is_complete=order.is_final and not may_change)


class _NotKnown(Exception):
    """A figure rests on something that is not known."""

    def __init__(self, why: Unknown) -> None:
        super().__init__(why)
        self.why = why


class _Computation:
    """The figures of one order. Its methods raise _NotKnown."""

    def __init__(self, order: CostedOrder, terms: CostTerms | None, rates: FeeRates | None) -> None:
        self.fills = _counted(order.fills)
        self._order = order
        self._terms = terms
        self._rates = rates
        self._side = 1 if order.is_buy else -1

    def average_price(self) -> Fraction:
        filled, terms = self._filled(), self._known_terms()
        size = _sum(Fraction(fill.size) for fill in filled)
        if terms.is_inverse:
            return size / _sum(Fraction(fill.size) / Fraction(fill.price) for fill in filled)
        return _sum(Fraction(fill.size) * Fraction(fill.price) for fill in filled) / size

    def notional(self) -> Fraction:
        terms = self._known_terms()
        return _sum(terms.notional(fill.size, fill.price) for fill in self._filled())

    def value(self) -> Fraction:
        """Of what was filled, in the cost asset."""
        terms = self._known_terms()
        return _sum(terms.value(fill.size, fill.price) for fill in self._filled())

    def arrival_notional(self) -> Fraction:
        return self._known_terms().notional(self._order.size, _known(self._order.arrival_mid))

    def decision_notional(self) -> Fraction:
        return self._known_terms().notional(self._order.size, _known(self._order.decision_mid))

    def fill_ratio(self) -> Fraction:
        return Fraction(self._order.filled_size) / Fraction(self._order.size)

    def slippage(self) -> Fraction:
        return self._change(_known(self._order.arrival_mid), self.average_price())

    def trigger_slippage(self) -> Fraction:
        if self._order.trigger_price is None:
            raise _NotKnown(Unknown.NO_TRIGGER)
        return self._change(self._order.trigger_price, self.average_price())

    def markout(self, number: int) -> Fraction:
        terms, filled = self._known_terms(), self._filled()
        gains = (
            terms.notional(fill.size, fill.price)
            * self._change(fill.price, Fraction(_known(fill.mids_after[number])))
            for fill in filled
        )
        return _sum(gains) / self.notional()

    def price_cost(self) -> Fraction:
        terms, mid = self._known_terms(), _known(self._order.decision_mid)
        if not self._order.filled_size:
            return Fraction(0)
        return self._side * _sum(terms.loss(fill.size, fill.price, mid) for fill in self._filled())

    def fee_cost(self) -> Fraction:
        """As ``fee``; 0 without fills."""
        return self.fee() if self._order.filled_size else Fraction(0)

    def unfilled_cost(self) -> Fraction:
        terms, mid = self._known_terms(), _known(self._order.decision_mid)
        unfilled = subtract(self._order.size, self._order.filled_size)
        if unfilled <= 0:
            return Fraction(0)
        if not self._order.is_final:
            raise _NotKnown(Unknown.NOT_YET)
        return self._side * terms.loss(unfilled, _known(self._order.end_mid), mid)

    def total_cost(self) -> Fraction:
        return self.price_cost() + self.fee_cost() + self.unfilled_cost()

    def total_bps(self) -> Fraction:
        mid = _known(self._order.decision_mid)
        return self.total_cost() / self._known_terms().value(self._order.size, mid) * BPS

    def fee(self) -> Fraction:
        return _sum(self._fee_of(fill) for fill in self._filled())

    def expected_fee(self) -> Fraction:
        terms, rates = self._known_terms(), self._rates
        if rates is None:
            raise _NotKnown(Unknown.NO_FEE_SCHEDULE)
        filled = self._filled()
        if any(fill.is_maker is None for fill in filled):
            raise _NotKnown(Unknown.LIQUIDITY_NOT_REPORTED)
        return _sum(
            Fraction(rates.maker if fill.is_maker else rates.taker)
            * terms.value(fill.size, fill.price)
            for fill in filled
        )

    def first_fill_ns(self) -> int | None:
        if self._order.waits_for_price or not self.fills:
            return None
        return self.fills[0].time_ns - self._order.arrival_time_ns

    def completion_ns(self) -> int | None:
        if self._order.waits_for_price or not self._order.is_final:
            return None
        is_whole = self.fills and self._order.filled_size == self._order.size
        end_ns = self.fills[-1].time_ns if is_whole else self._order.end_time_ns
        return end_ns - self._order.arrival_time_ns

    def _fee_of(self, fill: CostedFill) -> Fraction:
        terms = self._known_terms()
        if fill.fee_amount is None:
            raise _NotKnown(Unknown.FEE_NOT_REPORTED)
        amount = Fraction(fill.fee_amount)
        if not amount or fill.fee_asset == terms.cost_asset:
            return amount
        if terms.base_asset and fill.fee_asset == terms.base_asset:
            return amount * Fraction(fill.price)
        raise _NotKnown(Unknown.FEE_ASSET)

    def _change(self, reference: Decimal, price: Fraction) -> Fraction:
        """How far a price is beyond a reference price, in the direction of the order, in bps."""
        return self._side * (price - Fraction(reference)) / Fraction(reference) * BPS

    def _filled(self) -> Sequence[CostedFill]:
        """The fills, if they are all there and there are any."""
        if sum(Fraction(fill.size) for fill in self.fills) != Fraction(self._order.filled_size):
            raise _NotKnown(Unknown.FILLS_MISSING)
        if not self.fills:
            raise _NotKnown(Unknown.NOT_FILLED if self._order.is_final else Unknown.NOT_YET)
        return self.fills

    def _known_terms(self) -> CostTerms:
        if self._terms is None:
            raise _NotKnown(Unknown.NO_INSTRUMENT)
        return self._terms


def _counted(fills: Sequence[CostedFill]) -> Sequence[CostedFill]:
    """The fills that were not taken back."""
    counted: list[CostedFill] = []
    for fill in fills:
        if fill.size > 0:
            counted.append(fill)
            continue
        for earlier in reversed(counted):
            if (earlier.price, earlier.size) == (fill.price, -fill.size):
                counted.remove(earlier)
                break
        else:
            counted.append(fill)
    return counted


def _figure(compute: Callable[[], Fraction], places: int) -> Figure:
    """Return what is computed, rounded half to even, or why it is not known."""
    try:
        return EXACT.scaleb(Decimal(round(compute() * 10**places)), -places)
    except _NotKnown as unknown:
        return unknown.why


def _known(figure: Figure) -> Decimal:
    if isinstance(figure, Unknown):
        raise _NotKnown(figure)
    return figure


def _sum(parts: Iterable[Fraction]) -> Fraction:
    return sum(parts, Fraction(0))
