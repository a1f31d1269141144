"""The models and their bounds as the settings say."""

from collections.abc import Sequence
from decimal import Decimal

from core.advisor.settings import SynthesisSettings
from core.advisor.synthesis.chat_client import ChatClient, ModelEndpoint
from core.advisor.synthesis.daily_budget import DailyBudget, TokenPrices
from core.advisor.synthesis.synthesizer import ModelClient, SynthesisLimits, Synthesizer
from kit.base.clock import Clock
from kit.base.database import Database


def configured_models(settings: SynthesisSettings) -> list[ChatClient]:
    """Empty: no model is asked."""
    key_file, tokens_max = settings.api_key_file, settings.answer_tokens_max
    return [
        ChatClient(ModelEndpoint(settings.url, model, key_file, tokens_max))
        for model in settings.models
    ]


def configured_synthesizer(
    settings: SynthesisSettings, models: Sequence[ModelClient], database: Database, clock: Clock
) -> Synthesizer:
    cost_max = Decimal(settings.daily_cost_max)
    budget = DailyBudget(database, settings.daily_tokens_max, cost_max)
    prices = TokenPrices(Decimal(settings.prompt_price), Decimal(settings.completion_price))
    limits = SynthesisLimits(settings.answer_max_ms / 1000, settings.faults_max)
    return Synthesizer(models, budget, prices, limits, clock)
