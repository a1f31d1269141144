"""What is recorded of a request, whatever the model and its server do."""

import json
import random
from decimal import Decimal

import pytest
from venuemesh.events.v1 import decisions_pb2

from core.advisor.synthesis.chat_client import ModelEndpoint
from core.advisor.synthesis.completion import ChatFailed, Completion, ModelFault
from core.advisor.synthesis.daily_budget import TokenPrices, TokenUsage
from core.advisor.synthesis.prompt import prompt_of
from core.advisor.synthesis.synthesizer import FAULTS, SynthesisLimits, Synthesizer
from core.advisor.synthesis.tests.cases import example, faithful
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock

PRICES = TokenPrices(prompt=Decimal(1), completion=Decimal(4))
GIVEN = example(random.Random(7))
TRUE = json.dumps(faithful(random.Random(8), GIVEN)).encode()
FALSE = TRUE.replace(GIVEN.context.symbol.encode(), b"DOGEUSDT", 1)
NOT_ASKED = decisions_pb2.SYNTHESIS_OUTCOME_NOT_ASKED
ACCEPTED = decisions_pb2.SYNTHESIS_OUTCOME_ACCEPTED
HALLUCINATION = decisions_pb2.SYNTHESIS_OUTCOME_HALLUCINATION
INVALID = decisions_pb2.SYNTHESIS_OUTCOME_INVALID


class SteppedClock(SystemClock):
    """Stands still between calls of ``advance``."""

    def __init__(self):
        self._now_ns = 1_700_000_000 * NANOSECONDS_PER_SECOND

    def time_ns(self):
        return self._now_ns

    def advance(self, seconds):
        self._now_ns += int(seconds * NANOSECONDS_PER_SECOND)


class Model:
    """A model that says the same each time, or fails."""

    def __init__(self, name, clock):
        self.endpoint = ModelEndpoint("http://host/v1", name)
        self.says: bytes | ModelFault = TRUE
        self.tokens = (900, 70)
        self.takes_s = 0.5
        self.asked_seconds = []
        self._clock = clock

    async def ask(self, prompt, seconds_max):
        self.asked_seconds.append(seconds_max)
        self._clock.advance(min(self.takes_s, seconds_max))
        if isinstance(self.says, ModelFault):
            raise ChatFailed(self.says, "a fault")
        return Completion(self.says, "served", *self.tokens)


class Budget:
    """Counts what is reserved and given back."""

    def __init__(self, tokens_max):
        self.tokens_max, self.tokens, self.cost = tokens_max, 0, Decimal(0)

    async def reserve(self, wanted, now_ns):
        if self.tokens + wanted.tokens > self.tokens_max:
            return False
        self._add(wanted, 1)
        return True

    async def settle(self, reserved, used, reserved_ns):
        self._add(reserved, -1)
        self._add(used, 1)

    def _add(self, usage: TokenUsage, sign):
        self.tokens += sign * usage.tokens
        self.cost += sign * usage.cost


class Bench:
    """A synthesizer of two models."""

    def __init__(self):
        self.clock = SteppedClock()
        self.models = [Model("first", self.clock), Model("second", self.clock)]
        self.budget = Budget(1_000_000)
        limits = SynthesisLimits(seconds_max=5.0, faults_max=2)
        self.synthesizer = Synthesizer(self.models, self.budget, PRICES, limits, self.clock)

    async def ask(self, seconds=2.0, context=GIVEN.context):
        deadline_ns = self.clock.time_ns() + int(seconds * NANOSECONDS_PER_SECOND)
        return await self.synthesizer.ask(context, deadline_ns)


@pytest.fixture
def bench():
    return Bench()


async def test_an_answer_is_recorded_with_all_that_it_rests_on(bench):
    begun_ns = bench.clock.time_ns()
    made = await bench.ask()
    assert (made.outcome, made.detail, made.answer) == (ACCEPTED, "", TRUE.decode())
    assert (made.model, made.served_model) == ("first", "served")
    prompt = prompt_of(GIVEN.context)
    assert (made.prompt, made.request_hash) == (prompt.user, prompt.hash)
    assert json.loads(made.parameters)["temperature"] == 0
    claims = json.loads(TRUE)["claims"]
    said = [{"fact_id": c.fact_id, "value": c.value, "unit": c.unit} for c in made.claims]
    assert said == claims
    assert (made.prompt_tokens, made.completion_tokens, made.cost) == (900, 70, "0.00118")
    assert made.asked_time_ns == begun_ns
    assert made.answered_time_ns - made.asked_time_ns == NANOSECONDS_PER_SECOND // 2
    assert (bench.budget.tokens, bench.budget.cost) == (970, Decimal("0.00118"))


@pytest.mark.parametrize(
    ("says", "outcome"),
    [(FALSE, HALLUCINATION), (b"buy", INVALID), (TRUE[:-1], INVALID), (b"x" * 20_000, INVALID)],
)
async def test_a_false_or_invalid_answer_is_recorded_and_not_accepted(bench, says, outcome):
    bench.models[0].says = says
    made = await bench.ask()
    assert made.outcome == outcome
    assert made.detail
    assert made.answer == says[: 16 * 1024].decode()
    assert bench.budget.tokens == 970


@pytest.mark.parametrize("fault", ModelFault)
async def test_a_fault_is_recorded_and_costs_what_was_reserved(bench, fault):
    bench.models[0].says = fault
    made = await bench.ask()
    assert (made.outcome, made.detail, made.answer) == (FAULTS[fault], "a fault", "")
    assert bench.budget.tokens > 2_000
    assert Decimal(made.cost) == bench.budget.cost > 0


async def test_a_server_that_counts_no_tokens_costs_what_was_reserved(bench):
    bench.models[0].tokens = (0, 0)
    made = await bench.ask()
    assert made.outcome == ACCEPTED
    assert bench.budget.tokens > 2_000
    assert Decimal(made.cost) == bench.budget.cost


async def test_no_model_is_asked_beyond_the_budget(bench):
    bench.budget.tokens_max = 2_000
    made = await bench.ask()
    assert (made.outcome, made.model) == (NOT_ASKED, "")
    assert "budget" in made.detail
    assert bench.models[0].asked_seconds == []


async def test_no_model_is_asked_after_its_time(bench):
    made = await bench.ask(seconds=0)
    assert (made.outcome, made.asked_time_ns) == (NOT_ASKED, 0)
    assert bench.models[0].asked_seconds == []
    assert bench.budget.tokens == 0


async def test_a_model_gets_the_time_that_is_left_up_to_that_of_the_settings(bench):
    bench.models[0].says = ModelFault.TIMED_OUT
    for seconds in (2.0, 60.0):
        await bench.ask(seconds)
    assert bench.models[0].asked_seconds == [2.0, 5.0]


async def test_the_next_model_is_asked_after_repeated_faults_also_those_of_content(bench):
    bench.models[0].says = FALSE
    found = [await bench.ask() for _ in range(3)]
    assert [(one.model, one.next_model) for one in found] == [
        ("first", ""),
        ("first", "second"),
        ("second", ""),
    ]


async def test_an_equal_request_is_answered_without_another_call_and_checked_again(bench):
    await bench.ask()
    made = await bench.ask()
    assert (made.outcome, made.is_cached, made.cost) == (ACCEPTED, True, "0")
    assert len(bench.models[0].asked_seconds) == 1
    assert bench.budget.tokens == 970
    other = example(random.Random(9))
    assert (await bench.ask(context=other.context)).outcome == HALLUCINATION
    assert len(bench.models[0].asked_seconds) == 2
