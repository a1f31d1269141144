"""Tokens and money that requests may cost on a day (UTC).

The most that a request can cost is reserved before it, so requests in flight together stay within
the budget. What a request without an answer costs is unknown: its reservation counts as spent.
A restart of the process begins a new budget.
"""

from decimal import Decimal
from typing import NamedTuple

from core.advisor.synthesis.completion import Completion
from kit.accounting.amounts import add, product, subtract
from kit.base.clock import NANOSECONDS_PER_DAY

MILLIONTH = Decimal("0.000001")


class TokenUsage(NamedTuple):
    """What a request costs. Money is in the currency of the prices."""

    tokens: int
    cost: Decimal


class TokenPrices(NamedTuple):
    """Of a model, for a million tokens."""

    prompt: Decimal
    completion: Decimal

    def usage(self, prompt_tokens: int, completion_tokens: int) -> TokenUsage:
        prompt = product(self.prompt, Decimal(prompt_tokens))
        cost = add(prompt, product(self.completion, Decimal(completion_tokens)))
        return TokenUsage(prompt_tokens + completion_tokens, product(cost, MILLIONTH))

    def most(self, prompt_bytes: int, completion_tokens_max: int) -> TokenUsage:
        """The most that a request can cost: a token has at least one byte."""
        return self.usage(prompt_bytes, completion_tokens_max)

    def used(self, answer: Completion) -> TokenUsage:
        return self.usage(answer.prompt_tokens, answer.completion_tokens)


class DailyBudget:
    """What is left of the day's tokens and money."""

    def __init__(self, tokens_max: int, cost_max: Decimal) -> None:
        self._most = TokenUsage(tokens_max, cost_max)
        self._day = 0
        self._spent = TokenUsage(0, Decimal(0))

    def reserve(self, wanted: TokenUsage, now_ns: int) -> bool:
        """Whether it is within the budget; then it counts as spent."""
        day = now_ns // NANOSECONDS_PER_DAY
        if day != self._day:
            self._day, self._spent = day, TokenUsage(0, Decimal(0))
        tokens, cost = self._spent.tokens + wanted.tokens, add(self._spent.cost, wanted.cost)
        if tokens > self._most.tokens or cost > self._most.cost:
            return False
        self._spent = TokenUsage(tokens, cost)
        return True

    def settle(self, reserved: TokenUsage, used: TokenUsage, reserved_ns: int) -> None:
        """Give back what a request has not cost, if the day of the reservation is not over."""
        if reserved_ns // NANOSECONDS_PER_DAY == self._day:
            tokens = self._spent.tokens - reserved.tokens + used.tokens
            cost = add(subtract(self._spent.cost, reserved.cost), used.cost)
            self._spent = TokenUsage(tokens, cost)
