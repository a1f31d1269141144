"""The operators of expressions, as Python source. ``a``, ``b``, ``c`` are the operands."""

from collections.abc import Mapping
from typing import NamedTuple


class Operator(NamedTuple):
    """How an operator computes."""

    source: str
    sees_unknown: bool = False
    """Whether it is computed while an operand is not known (None); otherwise it is None then."""
    is_bounded: bool = True
    """Whether its value is as finite as its operands."""


_BOTH = "False if (a is not None and not a) or (b is not None and not b) else"
_EITHER = "True if a or b else"
_UNLESS_UNKNOWN = "None if a is None or b is None else"
"""One known operand may decide; otherwise both must be known."""


OPERATORS: Mapping[str, Operator] = {
    "less": Operator("a < b"),
    "sum": Operator("a + b", is_bounded=False),
    "difference": Operator("a - b", is_bounded=False),
    "product": Operator("a * b", is_bounded=False),
    "quotient": Operator("a / b if b else None", is_bounded=False),
    "minimum": Operator("a if a <= b else b"),
    "maximum": Operator("a if a >= b else b"),
    "absolute": Operator("abs(a)"),
    "sign": Operator("1.0 if a > 0 else -1.0 if a < 0 else 0.0"),
    "logarithm": Operator("log(a) if a > 0 else None"),
    "square_root": Operator("sqrt(a) if a >= 0 else None"),
    "opposite": Operator("not a"),
    "both": Operator(f"{_BOTH} {_UNLESS_UNKNOWN} True", sees_unknown=True),
    "either": Operator(f"{_EITHER} {_UNLESS_UNKNOWN} False", sees_unknown=True),
    "is_known": Operator("a is not None", sees_unknown=True),
    "where": Operator("None if a is None else b if a else c", sees_unknown=True),
    "otherwise": Operator("b if a is None else a", sees_unknown=True),
}
