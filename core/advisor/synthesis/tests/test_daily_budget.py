"""What requests may cost, and answers that cost nothing again."""

import asyncio
from decimal import Decimal

import pytest

from core.advisor.synthesis.answer_cache import AnswerCache
from core.advisor.synthesis.chat_client import ModelEndpoint
from core.advisor.synthesis.completion import Completion
from core.advisor.synthesis.daily_budget import DailyBudget, TokenPrices, TokenUsage
from core.advisor.synthesis.prompt import ModelPrompt
from kit.base.clock import NANOSECONDS_PER_DAY
from kit.base.database import Database
from kit.base.migration import migrate

PRICES = TokenPrices(prompt=Decimal("0.15"), completion=Decimal("0.60"))
NOW_NS = 20_000 * NANOSECONDS_PER_DAY + 5
ANSWER = Completion(b"{}", "m", 900, 70)


def test_a_request_costs_its_tokens_exactly():
    assert PRICES.used(ANSWER) == TokenUsage(970, Decimal("0.000177"))
    assert PRICES.most(1_000, 2_000) == TokenUsage(3_000, Decimal("0.00135"))


@pytest.fixture
async def budget_of(postgres_url):
    await migrate(postgres_url)
    databases = []

    def made(tokens_max=7_000, cost_max="1"):
        databases.append(Database(postgres_url))
        return DailyBudget(databases[-1], tokens_max, Decimal(cost_max))

    yield made
    for one in databases:
        await one.close()


async def test_requests_in_flight_stay_within_the_budget_together(budget_of):
    budget, most = budget_of(), PRICES.most(1_000, 2_000)
    assert [await budget.reserve(most, NOW_NS) for _ in range(3)] == [True, True, False]
    await budget.settle(most, PRICES.used(ANSWER), NOW_NS)
    assert await budget.reserve(most, NOW_NS)
    assert not await budget.reserve(most, NOW_NS)


async def test_all_processes_and_those_after_a_crash_share_one_budget(budget_of):
    most, budgets = PRICES.most(1_000, 2_000), [budget_of(20_000) for _ in range(4)]
    wanted = [one.reserve(most, NOW_NS) for one in budgets for _ in range(5)]
    assert sum(await asyncio.gather(*wanted)) == 20_000 // most.tokens
    assert not await budget_of(20_000).reserve(most, NOW_NS)


@pytest.mark.parametrize("changes", [{"tokens_max": 2_999}, {"cost_max": "0.001349"}])
async def test_a_request_above_the_whole_budget_is_not_made(budget_of, changes):
    assert not await budget_of(**changes).reserve(PRICES.most(1_000, 2_000), NOW_NS)


async def test_money_runs_out_before_tokens(budget_of):
    budget, most = budget_of(10**9, "0.0027"), PRICES.most(1_000, 2_000)
    assert [await budget.reserve(most, NOW_NS) for _ in range(3)] == [True, True, False]


async def test_a_new_day_has_a_new_budget_that_late_answers_do_not_raise(budget_of):
    budget, most = budget_of(3_000), PRICES.most(1_000, 2_000)
    assert await budget.reserve(most, NOW_NS)
    assert not await budget.reserve(most, NOW_NS)
    tomorrow_ns = NOW_NS + NANOSECONDS_PER_DAY
    assert await budget.reserve(most, tomorrow_ns)
    await budget.settle(most, TokenUsage(0, Decimal(0)), NOW_NS)
    assert not await budget.reserve(TokenUsage(1, Decimal(0)), tomorrow_ns)


def test_an_answer_is_found_by_model_and_content_until_newer_ones_push_it_out():
    cache, endpoint = AnswerCache(answers_max=2), ModelEndpoint("http://a/v1", "m")
    prompts = [ModelPrompt("rules", str(n)) for n in range(3)]
    for prompt in prompts[:2]:
        cache.put(endpoint, prompt, ANSWER)
    assert cache.find(endpoint, ModelPrompt("rules", "0")) == ANSWER
    assert cache.find(endpoint, ModelPrompt("other rules", "0")) is None
    assert cache.find(ModelEndpoint("http://a/v1", "other"), prompts[0]) is None
    cache.put(endpoint, prompts[2], ANSWER)
    assert [cache.find(endpoint, one) is None for one in prompts] == [True, False, False]
