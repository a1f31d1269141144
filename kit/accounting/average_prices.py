"""Average prices of fills.

A linear contract's average price weights each price with its size. A size of an inverse contract is
an amount of the quote asset and buys size / price of the base asset, so its average price is the
harmonic mean: the sum of the sizes over the sum of size / price.
"""

from decimal import Decimal

from kit.accounting.amounts import product, quotient, rounded

AVERAGE_PLACES = Decimal("1e-16")
WEIGHT_PLACES = Decimal("1e-36")


def fill_weight(price: Decimal, size: Decimal, *, is_inverse: bool) -> Decimal:
    """Return what a fill adds to the sum that ``average_price`` divides: price times size; of an
    inverse contract size / price, to 36 decimal places."""
    if is_inverse:
        return rounded(quotient(size, price), WEIGHT_PLACES)
    return product(price, size)


def average_price(weight: Decimal, size: Decimal, *, is_inverse: bool) -> Decimal:
    """Return the average price of fills, to 16 decimal places, rounded half to even. ``weight``:
    the sum of their weights; ``size``: the sum of their sizes, not 0."""
    price = quotient(size, weight) if is_inverse else quotient(weight, size)
    return rounded(price, AVERAGE_PLACES)
