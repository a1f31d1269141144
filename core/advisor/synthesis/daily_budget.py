"""Tokens and money that requests may cost on a day (UTC).

The most that a request can cost is reserved before it, so requests in flight together stay within
the budget. What a request without an answer costs is unknown: its reservation counts as spent.
"""

from decimal import Decimal
from typing import NamedTuple

from core.advisor.synthesis.completion import Completion
from kit.accounting.amounts import add, product, subtract
from kit.base.clock import NANOSECONDS_PER_DAY
from kit.base.database import Database

MILLIONTH = Decimal("0.000001")

_RESERVE = (
    "INSERT INTO advisor_model_spending AS spent VALUES (%s, %s, %s)"
    " ON CONFLICT (day) DO UPDATE"
    " SET tokens = spent.tokens + excluded.tokens, cost = spent.cost + excluded.cost"
    " WHERE spent.tokens + excluded.tokens <= %s AND spent.cost + excluded.cost <= %s"
    " RETURNING day"
)
_SETTLE = "UPDATE advisor_model_spending SET tokens = tokens + %s, cost = cost + %s WHERE day = %s"


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
    """What is left of the day's tokens and money. All processes of the advisor share it."""

    def __init__(self, database: Database, tokens_max: int, cost_max: Decimal) -> None:
        self._database = database
        self._most = TokenUsage(tokens_max, cost_max)

    async def reserve(self, wanted: TokenUsage, now_ns: int) -> bool:
        """Whether it is within the budget; then it counts as spent, also after a crash. Raises
        StoreUnavailable."""
        if wanted.tokens > self._most.tokens or wanted.cost > self._most.cost:
            return False
        day = now_ns // NANOSECONDS_PER_DAY
        async with self._database.transaction() as connection:
            rows = await connection.execute(_RESERVE, [day, *wanted, *self._most])
            return await rows.fetchone() is not None

    async def settle(self, reserved: TokenUsage, used: TokenUsage, reserved_ns: int) -> None:
        """Give back what a request has not cost, on the day of its reservation. Raises
        StoreUnavailable."""
        tokens, cost = used.tokens - reserved.tokens, subtract(used.cost, reserved.cost)
        day = reserved_ns // NANOSECONDS_PER_DAY
        async with self._database.transaction() as connection:
            await connection.execute(_SETTLE, [tokens, cost, day])
