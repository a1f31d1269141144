"""Finds the parts of conditions that a chart can draw beside the price."""

from collections.abc import Iterable, Iterator

from kit.features.expression import CONSTANT, Expression
from kit.features.operators import OPERATORS

PRICES = frozenset({"open", "high", "low", "close", "mark_price", "index_price"})
"""Fields in the unit of the price, but for quotes: a rule reads those for the spread."""
LEVELS = frozenset(
    {"previous", "sma", "ema", "wilder", "wma", "kama", "highest", "lowest", "minimum", "maximum"}
)
"""Of prices they are prices."""
ALTERNATIVES = frozenset({"where", "otherwise"})
SCALE_DIFFERENCE_MAX = 0.2
"""0.98 * close is a price, 2 * close is not."""
_SEARCHED = frozenset({*OPERATORS, "previous", "bars_since"})
"""The operands of other indicators are not what is compared with the price."""


def price_lines(conditions: Iterable[Expression]) -> Iterator[Expression]:
    """The largest parts in the unit of the price of the strategy's instrument, in their order; an
    expression may be among them more than once. Fields are not: a chart has the price."""
    for condition in conditions:
        is_line = _is_price(condition) and condition.name != "previous"
        if is_line and condition.operands:
            yield condition
        elif condition.name in _SEARCHED:
            yield from price_lines(condition.operands)


def _is_price(expression: Expression) -> bool:
    return abs(_price_count(expression) - 1.0) <= SCALE_DIFFERENCE_MAX


def _price_count(expression: Expression) -> float:
    """How many prices it adds up: 1 for a price, 0 for a difference of two and for any other
    number."""
    name, operands = expression.name, expression.operands
    if name in PRICES:
        return 0.0 if expression.source else 1.0
    if name in LEVELS or name in ALTERNATIVES:
        counts = {_price_count(one) for one in (operands[1:] if name == "where" else operands)}
        return counts.pop() if len(counts) == 1 else 0.0
    if name in ("sum", "difference"):
        first, second = map(_price_count, operands)
        return first + second if name == "sum" else first - second
    if name in ("product", "quotient"):
        return _scaled_count(expression)
    return 0.0


def _scaled_count(expression: Expression) -> float:
    first, second = expression.operands
    if second.name == CONSTANT and second.parameters[0]:
        factor = second.parameters[0]
        return _price_count(first) * (factor if expression.name == "product" else 1 / factor)
    if expression.name == "product":
        is_constant = first.name == CONSTANT
        return _price_count(second) * first.parameters[0] if is_constant else 0.0
    # Value by volume is an average price.
    is_average = str(first) != str(second) == str(first).replace("quote_volume", "volume")
    return 1.0 if is_average else 0.0
