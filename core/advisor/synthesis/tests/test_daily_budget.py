"""What requests may cost, and answers that cost nothing again."""

from decimal import Decimal

from core.advisor.synthesis.answer_cache import AnswerCache
from core.advisor.synthesis.chat_client import ModelEndpoint
from core.advisor.synthesis.completion import Completion
from core.advisor.synthesis.daily_budget import DailyBudget, TokenPrices, TokenUsage
from core.advisor.synthesis.prompt import ModelPrompt
from kit.base.clock import NANOSECONDS_PER_DAY

PRICES = TokenPrices(prompt=Decimal("0.15"), completion=Decimal("0.60"))
NOW_NS = 20_000 * NANOSECONDS_PER_DAY + 5
ANSWER = Completion(b"{}", "m", 900, 70)


def test_a_request_costs_its_tokens_exactly():
    assert PRICES.used(ANSWER) == TokenUsage(970, Decimal("0.000177"))
    assert PRICES.most(1_000, 2_000) == TokenUsage(3_000, Decimal("0.00135"))


def test_requests_in_flight_stay_within_the_budget_together():
    budget = DailyBudget(tokens_max=7_000, cost_max=Decimal(1))
    most = PRICES.most(1_000, 2_000)
    assert [budget.reserve(most, NOW_NS) for _ in range(3)] == [True, True, False]
    budget.settle(most, PRICES.used(ANSWER), NOW_NS)
    assert budget.reserve(most, NOW_NS)
    assert not budget.reserve(most, NOW_NS)


def test_money_runs_out_before_tokens():
    budget = DailyBudget(tokens_max=10**9, cost_max=Decimal("0.0027"))
    most = PRICES.most(1_000, 2_000)
    assert [budget.reserve(most, NOW_NS) for _ in range(3)] == [True, True, False]


def test_a_new_day_has_a_new_budget_that_late_answers_do_not_raise():
    budget = DailyBudget(tokens_max=3_000, cost_max=Decimal(1))
    most = PRICES.most(1_000, 2_000)
    assert budget.reserve(most, NOW_NS)
    assert not budget.reserve(most, NOW_NS)
    tomorrow_ns = NOW_NS + NANOSECONDS_PER_DAY
    assert budget.reserve(most, tomorrow_ns)
    budget.settle(most, TokenUsage(0, Decimal(0)), NOW_NS)
    assert not budget.reserve(TokenUsage(1, Decimal(0)), tomorrow_ns)


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
