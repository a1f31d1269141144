"""Asks a language model about an entry, checks the answer, and records both."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec
from venuemesh.events.v1 import decisions_pb2

from core.advisor.synthesis import answer as answers
from core.advisor.synthesis import claims
from core.advisor.synthesis.answer import Hallucination, InvalidAnswer
from core.advisor.synthesis.answer_cache import AnswerCache
from core.advisor.synthesis.chat_client import ModelEndpoint
from core.advisor.synthesis.completion import ChatFailed, Completion, ModelFault
from core.advisor.synthesis.daily_budget import TokenPrices, TokenUsage
from core.advisor.synthesis.model_context import ModelContext
from core.advisor.synthesis.model_rotation import ModelRotation
from core.advisor.synthesis.prompt import SCHEMA, ModelPrompt, prompt_of
from kit.accounting.amounts import plain
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.outside_text import cleaned

ANSWERS_KEPT = 1_000
SERVER_BYTES_MAX = 4_000 + len(msgspec.json.encode(SCHEMA))
"""Most bytes that a server adds to a request: the marks of its messages, and the schema."""
FAULTS = {
    ModelFault.TIMED_OUT: decisions_pb2.SYNTHESIS_OUTCOME_TIMED_OUT,
    ModelFault.FAILED: decisions_pb2.SYNTHESIS_OUTCOME_FAILED,
    ModelFault.TRUNCATED: decisions_pb2.SYNTHESIS_OUTCOME_TRUNCATED,
    ModelFault.REFUSED: decisions_pb2.SYNTHESIS_OUTCOME_REFUSED,
    ModelFault.INVALID: decisions_pb2.SYNTHESIS_OUTCOME_INVALID,
}
NOT_ASKED = decisions_pb2.SYNTHESIS_OUTCOME_NOT_ASKED
ACCEPTED = decisions_pb2.SYNTHESIS_OUTCOME_ACCEPTED

NOTHING = TokenUsage(0, Decimal(0))

Synthesis = decisions_pb2.Synthesis


class ModelClient(Protocol):
    """Asks one model."""

    @property
    def endpoint(self) -> ModelEndpoint:
        """Where the model is."""

    async def ask(self, prompt: ModelPrompt, seconds_max: float) -> Completion:
        """Raises ChatFailed, also if the answer is not complete in time."""


class Budget(Protocol):
    """What requests may cost."""

    async def reserve(self, wanted: TokenUsage, now_ns: int) -> bool:
        """Whether it is within the budget; then it counts as spent."""

    async def settle(self, reserved: TokenUsage, used: TokenUsage, reserved_ns: int) -> None:
        """Give back what a request has not cost."""


class SynthesisLimits(NamedTuple):
    """Bounds of requests."""

    seconds_max: float
    faults_max: int


class Synthesizer:
    """Asks the current model. Whatever it or its server does, there is a record in time."""

    def __init__(
        self,
        models: Sequence[ModelClient],
        budget: Budget,
        prices: TokenPrices,
        limits: SynthesisLimits,
        clock: Clock,
    ) -> None:
        self._models = models
        self._budget = budget
        self._prices = prices
        self._limits = limits
        self._clock = clock
        self._rotation = ModelRotation(len(models), limits.faults_max)
        self._cache = AnswerCache(ANSWERS_KEPT)

    async def ask(self, context: ModelContext, deadline_ns: int) -> Synthesis:
        """The end of a request about an entry. Raises StoreUnavailable: the budget is not known."""
        place, prompt = self._rotation.current, prompt_of(context)
        model = self._models[place]
        kept = self._cache.find(model.endpoint, prompt)
        if kept is not None:
            made = _request(model.endpoint, prompt)
            made.asked_time_ns = made.answered_time_ns = self._clock.time_ns()
            made.is_cached, made.cost = True, "0"
            _check(made, kept, context)
            return made
        reserved_ns, most = self._clock.time_ns(), self._most(model.endpoint, prompt)
        if not await self._budget.reserve(most, reserved_ns):
            return Synthesis(outcome=NOT_ASKED, detail="the budget of the day is spent")
        asked_ns = self._clock.time_ns()
        seconds = min((deadline_ns - asked_ns) / NANOSECONDS_PER_SECOND, self._limits.seconds_max)
        if seconds <= 0:
            await self._budget.settle(most, NOTHING, reserved_ns)
            return Synthesis(outcome=NOT_ASKED, detail="no time was left for a request")
        made = _request(model.endpoint, prompt)
        made.asked_time_ns, made.cost = asked_ns, plain(most.cost)
        try:
            said = await model.ask(prompt, seconds)
        except ChatFailed as error:
            made.outcome, made.detail = FAULTS[error.fault], str(error)
        else:
            await self._settle(made, said, most, reserved_ns)
            _check(made, said, context)
            if made.outcome == ACCEPTED:
                self._cache.put(model.endpoint, prompt, said)
        made.answered_time_ns = self._clock.time_ns()
        if self._rotation.count(place, made.outcome == ACCEPTED):
            made.next_model = self._models[self._rotation.current].endpoint.model
        return made

    def _most(self, endpoint: ModelEndpoint, prompt: ModelPrompt) -> TokenUsage:
        """The most that a request can cost."""
        sent = sum(len(text.encode()) for text in prompt) + SERVER_BYTES_MAX
        return self._prices.most(sent, endpoint.answer_tokens_max)

    async def _settle(
        self, made: Synthesis, said: Completion, most: TokenUsage, reserved_ns: int
    ) -> None:
        if not said.prompt_tokens:
            # The server counts nothing: what the request has cost is not known.
            return
        used = self._prices.used(said)
        await self._budget.settle(most, used, reserved_ns)
        made.cost = plain(used.cost)


def _request(endpoint: ModelEndpoint, prompt: ModelPrompt) -> Synthesis:
    return Synthesis(
        model=endpoint.model,
        request_hash=prompt.hash,
        prompt=prompt.user,
        parameters=msgspec.json.encode(endpoint.parameters).decode(),
    )


def _check(made: Synthesis, said: Completion, context: ModelContext) -> None:
    """Record an answer, and whether it is used."""
    made.served_model = cleaned(said.model)
    made.prompt_tokens, made.completion_tokens = said.prompt_tokens, said.completion_tokens
    made.answer = said.text[: answers.ANSWER_BYTES_MAX].decode(errors="ignore")
    try:
        answer = answers.read(said.text)
        for claim in answer.claims:
            made.claims.add(fact_id=claim.fact_id, value=claim.value, unit=claim.unit)
        claims.check(answer, context)
    except InvalidAnswer as error:
        made.outcome = decisions_pb2.SYNTHESIS_OUTCOME_INVALID
        made.detail = cleaned(str(error))
    except Hallucination as error:
        made.outcome = decisions_pb2.SYNTHESIS_OUTCOME_HALLUCINATION
        made.detail = cleaned(str(error))
    else:
        made.outcome = ACCEPTED
