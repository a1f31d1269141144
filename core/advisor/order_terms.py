"""Prices and size of an entry, exact."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import signals_pb2

from core.advisor.amounts import positive
from kit.accounting.amounts import add, ceil_to, floor_to, product, quotient, subtract
from kit.accounting.instruments import is_inverse, multiplier, notional

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """Prices and size of an entry. None: it cannot be computed from the known values."""

    stop: Decimal | None = None
    target: Decimal | None = None
    stop_distance: Decimal | None = None
    """Distance from the reference price, after rounding to the tick."""
    target_distance: Decimal | None = None
    trailing_offset: Decimal | None = None
    size: Decimal | None = None
    notional: Decimal | None = None


class _Quotient(NamedTuple):
    """An exact value that need not be a decimal number."""

    numerator: Decimal
    denominator: Decimal


def order_terms(
    request: signals_pb2.PositionRequest,
    instrument: types_pb2.Instrument,
    reference: Decimal | None,
    direction: int,
    equity: Decimal | None,
    size_fraction: Decimal = ONE,
) -> OrderTerms:
    """The terms at a reference price. ``direction``: 1 for a buy, -1 for a sell. ``size_fraction``:
    part of the largest size within the limits of the request, up to 1.

    The stops are rounded away from the price and the target towards it, so that neither the risk is
    larger nor the reward smaller than what was checked.
    """
    tick = positive(instrument.price_tick)
    if reference is None or tick is None:
        return OrderTerms()
    stop = target = None
    if (distance := positive(request.stop_distance)) is not None:
        stop = _stop(reference, distance, tick, direction)
    if (distance := positive(request.target_distance)) is not None:
        target = _target(reference, distance, tick, direction)
    trailing = positive(request.trailing_distance)
    sizes = list(_sizes(request, instrument, reference, stop, equity))
    size = _size(sizes, instrument, size_fraction)
    return OrderTerms(
        stop,
        target,
        None if stop is None else _distance(reference, stop),
        None if target is None else _distance(reference, target),
        None if trailing is None else ceil_to(trailing, tick),
        size,
        None if size is None else notional(instrument, size, reference),
    )


def _stop(reference: Decimal, distance: Decimal, tick: Decimal, direction: int) -> Decimal | None:
    """The price of the stop, if there is one above 0."""
    if direction > 0:
        price = floor_to(subtract(reference, distance), tick)
    else:
        price = ceil_to(add(reference, distance), tick)
    return price if price > 0 else None


def _target(reference: Decimal, distance: Decimal, tick: Decimal, direction: int) -> Decimal | None:
    """The price of the take-profit, if there is one above 0 and beyond the reference price."""
    if direction > 0:
        price = floor_to(add(reference, distance), tick)
    else:
        price = ceil_to(subtract(reference, distance), tick)
    is_beyond = price > reference if direction > 0 else price < reference
    return price if price > 0 and is_beyond else None


def _distance(first: Decimal, second: Decimal) -> Decimal:
    return subtract(max(first, second), min(first, second))


def _size(
    sizes: Sequence[Decimal | None], instrument: types_pb2.Instrument, fraction: Decimal
) -> Decimal | None:
    """The part of the largest size within all limits of the request."""
    step = positive(instrument.size_step)
    if step is None or not sizes or None in sizes:
        return None
    # A size may have as many digits as are exact, so it is rounded before it is multiplied.
    most = floor_to(min(size for size in sizes if size is not None), step)
    return floor_to(product(most, fraction), step)


def _sizes(
    request: signals_pb2.PositionRequest,
    instrument: types_pb2.Instrument,
    reference: Decimal,
    stop: Decimal | None,
    equity: Decimal | None,
) -> Iterator[Decimal | None]:
    """The size for each limit of the request; None if it cannot be computed."""
    if request.notional:
        most, value = positive(request.notional), notional(instrument, ONE, reference)
        yield quotient(most, value) if most is not None and value else None
    if request.risk_fraction:
        fraction, loss = positive(request.risk_fraction), _loss(instrument, reference, stop)
        if equity is None or equity <= 0 or fraction is None or fraction > 1 or loss is None:
            yield None
        else:
            most = product(equity, fraction)
            yield quotient(product(most, loss.denominator), loss.numerator)


def _loss(
    instrument: types_pb2.Instrument, reference: Decimal, stop: Decimal | None
) -> _Quotient | None:
    """The loss of a size of 1 at the stop, in the asset that pays it."""
    size_of_one = multiplier(instrument)
    if stop is None or stop == reference or not size_of_one:
        return None
    change = product(size_of_one, _distance(reference, stop))
    # For an inverse contract: m / stop - m / reference.
    return _Quotient(change, product(stop, reference) if is_inverse(instrument) else ONE)
