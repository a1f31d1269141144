"""What an answer may change: it lowers the conviction and the size, and raises nothing."""

from decimal import Decimal
from typing import NamedTuple

from core.advisor.synthesis.answer import ModelAnswer
from kit.accounting.amounts import quotient

BIAS_FACTORS = {"supports": 1.0, "neutral": 0.75, "opposes": 0.25}
"""Of the conviction. The model's own confidence has no part in it."""
WHOLE, HUNDRED = Decimal(1), Decimal(100)


class ModelAdvice(NamedTuple):
    """The conviction, and the part of the size by the rules: from 0 to 1."""

    conviction: float
    size_fraction: Decimal


def with_answer(answer: ModelAnswer, conviction: float) -> ModelAdvice:
    """The advice of a checked answer."""
    fraction = quotient(Decimal(answer.size_percent), HUNDRED)
    return ModelAdvice(conviction * BIAS_FACTORS[answer.bias], min(fraction, WHOLE))


def without_answer(conviction: float, conviction_max: float) -> ModelAdvice:
    """The advice when the model gives no usable answer: the rules decide, less sure."""
    return ModelAdvice(min(conviction, conviction_max), WHOLE)
