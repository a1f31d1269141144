"""The settings of the advisor."""

import hashlib
from decimal import Decimal
from urllib.parse import urlsplit

import msgspec

from core.advisor.amounts import amount_of
from kit.base.errors import SettingError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
NOT_IN_VERSION_1 = ("book_answer_max_ms",)
"""Settings added after version 1 of the rules."""


class DecisionRules(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that a decision depends on."""

    quote_age_max_ms: int
    quote_unchanged_max_s: int
    equity_age_max_s: int
    bar_coverage_min: float
    bar_delay_max_s: int
    quality_score_min: float
    close_distance_max: Decimal
    rules_score_min: float
    conviction_min: float
    spread_max: Decimal
    reward_risk_min: Decimal
    book_answer_max_ms: int

    def config_hash(self, version: int) -> bytes:
        """SHA-256 of the settings and of the rules' version, which grows with each change that
        gives another decision for the same signal, facts and settings."""
        values = msgspec.structs.asdict(self)
        if version == 1:
            values = {name: values[name] for name in values if name not in NOT_IN_VERSION_1}
        return hashlib.sha256(msgspec.json.encode([version, values])).digest()


class AdvisorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "advisor"."""

    port: int = 8009
    """gRPC port, of Advisor and Admin."""
    ledger_interval_ms: int = 1_000
    """How often equity and positions are read from the ledger."""
    book_answer_max_ms: int = 500
    """Longest wait for the venues' order books and instruments after a signal. Then an entry is
    blocked."""
    quote_age_max_ms: int = 2_000
    """Largest age of the order book for an entry, counted from its request."""
    quote_unchanged_max_s: int = 60
    """Longest time without a change of an unproven order book for an entry, by the venue's time."""
    equity_age_max_s: int = 30
    """Largest age of the equity from which the size of an entry is computed."""
    bar_coverage_min: float = 0.9
    """Least part of the signal's bar without a gap, for an entry; 0 to 1."""
    bar_delay_max_s: int = 10
    """Delay of the decision after the end of the bar at which the part of the quality score for
    earliness is 0."""
    quality_score_min: float = 0.5
    """Least score of quality for an entry; 0 to 1."""
    close_distance_max: str = "0.005"
    """Largest distance of the price of an entry from the close of the bar, as a part of the
    close."""
    rules_score_min: float = -0.5
    """Least score by the advisor's own rules for an entry; -1 to 1."""
    conviction_min: float = 0.1
    """Least conviction for an entry; 0 to 1."""
    spread_max: str = "0.004"
    """Largest spread for an entry, as a part of the middle of the best prices."""
    reward_risk_min: str = "1.2"
    """Least distance of the take-profit for an entry, as a multiple of the distance of the stop."""
    outcome_limit_s: int = 14_400
    """Longest time after an entry in which its outcome is looked for."""
    outcome_interval_s: int = 60
    """How often recorded bars are read for outcomes that are open."""

    def __post_init__(self) -> None:
        for key in (
            "ledger_interval_ms",
            "book_answer_max_ms",
            "quote_age_max_ms",
            "quote_unchanged_max_s",
            "equity_age_max_s",
            "bar_delay_max_s",
            "outcome_limit_s",
            "outcome_interval_s",
        ):
            self._require(key, getattr(self, key) > 0, "must be above 0")
        for key in ("bar_coverage_min", "quality_score_min", "conviction_min"):
            self._require(key, 0 <= getattr(self, key) <= 1, "must be from 0 to 1")
        self._require("rules_score_min", -1 <= self.rules_score_min <= 1, "must be from -1 to 1")
        for key in ("close_distance_max", "spread_max", "reward_risk_min"):
            amount = amount_of(getattr(self, key))
            allowed = 'must be a decimal number above 0 in quotes, for example "0.004"'
            self._require(key, amount is not None and amount > 0, allowed)

    def rules(self) -> DecisionRules:
        names = DecisionRules.__struct_fields__
        return msgspec.convert({name: getattr(self, name) for name in names}, DecisionRules)

    def _require(self, key: str, is_allowed: bool, allowed: str) -> None:
        if not is_allowed:
            raise SettingError(f"advisor.{key}", getattr(self, key), allowed)


class SynthesisSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "synthesis"."""

    url: str = ""
    """Base address of a server of language models with the interface of OpenAI, for example
    https://host/v1. Empty: no model is asked."""
    models: tuple[str, ...] = ()
    """Names of its models. The first is asked, and the next one after repeated faults."""
    api_key_file: str = ""
    """File with the key of the server, read at each request. Then url is https, or http on this
    machine. Empty: the server wants no key."""
    answer_max_ms: int = 10_000
    """Longest time from a signal to an answer, also for strategies that would wait longer."""
    faults_max: int = 3
    """Faults of a model in a row after which the next one is asked."""
    answer_tokens_max: int = 2_000
    """Most tokens of an answer."""
    daily_tokens_max: int = 1_000_000
    """Most tokens of a day (UTC), those of requests included."""
    daily_cost_max: str = "1"
    """Most cost of a day (UTC), in the currency of the prices."""
    prompt_price: str = "0"
    """Price of a million tokens of requests, of the dearest of the models."""
    completion_price: str = "0"
    """Price of a million tokens of answers, of the dearest of the models."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_closed = parts.scheme == "https" or parts.hostname in LOOPBACK
        self._require("url", not self.url or is_address, "an address, for example https://host/v1")
        allowed = "https, or http on this machine, as synthesis.api_key_file is set"
        self._require("url", not (self.url and self.api_key_file) or is_closed, allowed)
        self._require("models", bool(self.models) == bool(self.url), "set together with url")
        for key in ("answer_max_ms", "faults_max", "answer_tokens_max", "daily_tokens_max"):
            self._require(key, getattr(self, key) > 0, "must be above 0")
        for key in ("daily_cost_max", "prompt_price", "completion_price"):
            amount = amount_of(getattr(self, key))
            allowed = 'must be a decimal number from 0 in quotes, for example "0.15"'
            self._require(key, amount is not None and amount >= 0, allowed)

    def _require(self, key: str, is_allowed: bool, allowed: str) -> None:
        if not is_allowed:
            raise SettingError(f"synthesis.{key}", getattr(self, key), allowed)
