"""The definition of a strategy. Creating an invalid one raises an error."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple, TypeAlias

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.intervals import BY_NAME, BarInterval
from kit.base.suggestions import did_you_mean
from kit.features.calculators import CALCULATORS, PAIR_CALCULATORS, Value
from kit.features.evaluator import Evaluator, FeatureBar
from kit.features.expression import Expression

NAME = re.compile("[a-z][a-z0-9_]{0,47}")
SAVED_BARS_MAX = 20_000
"""Sum of the periods of all indicators: what is saved with each bar grows with them."""
SECONDS_MAX = 31 * 86_400
WARM_UP_BARS_MAX = 10_000
ANSWER_MAX_MS = 60_000
"""Longest time that a language model may be given."""

Condition: TypeAlias = Expression | Callable[[FeatureBar], Value]
"""True or false, a number from -1 to 1, or None: not known, so the rule abstains. A function must
give the same value for the same bar."""
ClosedSide: TypeAlias = Literal["long", "short", "both"]


class Instrument(NamedTuple):
    """Venue id and native symbol."""

    venue: str
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Says how much speaks for buying or selling: ``score`` where its condition is true and 0 where
    it is false, or the number that the condition gives, times ``score``."""

    name: str
    condition: Condition
    score: float = 1.0
    """From -1 (sell) to 1 (buy)."""
    weight: float = 1.0
    """In the score of the strategy; 0 of a veto."""
    veto: bool = False
    """No position is opened while the condition is true, or not known."""

    def __post_init__(self) -> None:
        _require_name("name", self.name)
        _require_condition(self.condition)
        _require("score", self.score, -1 <= self.score <= 1 and self.score != 0, "-1 to 1, not 0")
        _require("weight", self.weight, 0 < self.weight < float("inf"), "above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Closes the position, or reduces it once, while its condition is true."""

    name: str
    condition: Condition
    closes: ClosedSide = "both"
    """Which positions."""
    fraction: str = "1"
    """Part of the position to close, decimal text. Less than 1: once for each position."""

    @property
    def is_partial(self) -> bool:
        """Whether a part of the position remains."""
        return _decimal(self.fraction) < 1

    def __post_init__(self) -> None:
        _require_name("name", self.name)
        _require_condition(self.condition)
        allowed = ("long", "short", "both")
        _require("closes", self.closes, self.closes in allowed, ", ".join(allowed))
        _require_fraction("fraction", self.fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSize:
    """How large a position is to be, and where it ends. At least one of the first two is set."""

    notional: str = ""
    """Most value of the order in the quote asset, decimal text."""
    risk_fraction: str = ""
    """Part of the account's equity that may be lost at the stop, decimal text."""
    stop_distance: Expression
    """From the entry price, in units of the price."""
    target_distance: Expression | None = None
    """From the entry price, in units of the price."""
    trailing_distance: Expression | None = None
    """Of a second stop from the best price since the entry, in units of the price."""

    @property
    def distances(self) -> list[Expression]:
        """All that are asked for."""
        found = (self.stop_distance, self.target_distance, self.trailing_distance)
        return [one for one in found if one is not None]

    def __post_init__(self) -> None:
        if not self.notional and not self.risk_fraction:
            raise ValueError("notional and risk_fraction are both empty: set one of them")
        if self.notional:
            _require("notional", self.notional, _decimal(self.notional) > 0, "decimal text above 0")
        if self.risk_fraction:
            _require_fraction("risk_fraction", self.risk_fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesis:
    """A language model is asked before a position is opened, if the advisor has one."""

    answer_max_ms: int = 2_000
    """From the signal until the rules decide without an answer."""
    conviction_max: float = 0.5
    """Most conviction without a usable answer, 0 to 1."""
    opposing_blocks: bool = False
    """Whether an answer that opposes the signal blocks it. If not, it lowers the conviction."""

    def __post_init__(self) -> None:
        allowed = f"a whole number from 1 to {ANSWER_MAX_MS}"
        is_whole = isinstance(self.answer_max_ms, int)
        is_allowed = is_whole and 1 <= self.answer_max_ms <= ANSWER_MAX_MS
        _require("answer_max_ms", self.answer_max_ms, is_allowed, allowed)
        _require("conviction_max", self.conviction_max, 0 <= self.conviction_max <= 1, "0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """Rules that open and close positions in instruments."""

    name: str
    instruments: tuple[str, ...]
    """Each "venue/symbol"."""
    interval: str
    """Of its bars."""
    account: str
    """Name of the account at each venue."""
    rules: tuple[Rule, ...]
    threshold: float
    """How far from 0 the weighted mean of the scores must be, above 0 and up to 1."""
    position: PositionSize
    exits: tuple[Exit, ...] = ()
    flips: bool = False
    """Whether a score for the other side closes the position and opens one there."""
    quorum: float = 1.0
    """Part of the weight of all rules that must not abstain, above 0 and up to 1."""
    cooldown_s: int = 60
    """From the end of the bar of a signal until the next position may be opened."""
    expiry_s: int
    """From the end of the bar until nothing may follow from the signal."""
    warm_up_bars: int = 500
    """Recorded bars that are read before the first one that may raise a signal."""
    acts_on_incomplete_bars: bool = False
    """Whether bars with a gap and bars that a late trade has amended raise signals."""
    regime: str = ""
    """What it calls the state of the market for which it is made."""
    synthesis: Synthesis | None = None
    """Asks a language model before a position is opened."""

    def __post_init__(self) -> None:
        _require_name("name", self.name)
        _require_name("account", self.account)
        known = f"{', '.join(BY_NAME)}{did_you_mean(self.interval, BY_NAME)}"
        _require("interval", self.interval, self.interval in BY_NAME, known)
        _require_tuple("instruments", self.instruments)
        _require_tuple("rules", self.rules)
        for text in self.instruments:
            _instrument(text)
        _require_once("instruments", self.instruments)
        names = [rule.name for rule in self.rules] + [exit_rule.name for exit_rule in self.exits]
        _require_once("rules and exits", names)
        if all(rule.veto for rule in self.rules):
            raise ValueError("rules: each is a veto, so nothing can raise a signal")
        for name in ("threshold", "quorum"):
            number = getattr(self, name)
            _require(name, number, 0 < number <= 1, "above 0, up to 1")
        for name, least, most in (
            ("cooldown_s", 0, SECONDS_MAX),
            ("expiry_s", 1, SECONDS_MAX),
            ("warm_up_bars", 0, WARM_UP_BARS_MAX),
        ):
            number = getattr(self, name)
            is_allowed = isinstance(number, int) and least <= number <= most
            _require(name, number, is_allowed, f"a whole number from {least} to {most}")
        # Raises ValueError for an unknown indicator.
        Evaluator(self.expressions())
        saved = sum(map(_saved_bars, self.expressions()))
        allowed = f"up to {SAVED_BARS_MAX}: use a longer interval"
        _require("sum of all periods", saved, saved <= SAVED_BARS_MAX, allowed)

    @property
    def bar_interval(self) -> BarInterval:
        return BY_NAME[self.interval]

    @property
    def expiry_ns(self) -> int:
        return self.expiry_s * NANOSECONDS_PER_SECOND

    @property
    def cooldown_ns(self) -> int:
        return self.cooldown_s * NANOSECONDS_PER_SECOND

    def parsed_instruments(self) -> list[Instrument]:
        return [_instrument(text) for text in self.instruments]

    @property
    def conditions(self) -> list[Condition]:
        """Of the rules, then of the exits."""
        exits = [exit_rule.condition for exit_rule in self.exits]
        return [rule.condition for rule in self.rules] + exits

    def expressions(self) -> list[Expression]:
        """All that are computed from bars, in a fixed order."""
        return list(self._expressions())

    def _expressions(self) -> Iterator[Expression]:
        for condition in self.conditions:
            if isinstance(condition, Expression):
                yield from explained(condition)
        yield from self.position.distances


def explained(condition: Expression) -> list[Expression]:
    """A condition and the values that it compares."""
    return [condition, *(part for part in condition.operands if part.name != "constant")]


def _saved_bars(expression: Expression) -> int:
    has_period = expression.parameters and expression.name in CALCULATORS | PAIR_CALCULATORS
    own = int(expression.parameters[0]) if has_period else 0
    return own + sum(map(_saved_bars, expression.operands))


def _instrument(text: str) -> Instrument:
    venue, separator, symbol = text.partition("/")
    is_whole = bool(venue and separator and symbol)
    _require("instruments", text, is_whole, 'venue id, "/" and native symbol, as binance/BTCUSDT')
    return Instrument(venue, symbol)


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"{text!r} is no decimal number: write it as text, as '25.5'") from None
    return number if number.is_finite() else Decimal(-1)


def _require(name: str, value: object, is_allowed: bool, allowed: str) -> None:
    if not is_allowed:
        raise ValueError(f"{name} is {value!r}; allowed: {allowed}")


def _require_fraction(name: str, text: str) -> None:
    _require(name, text, 0 < _decimal(text) <= 1, "decimal text above 0, up to 1")


def _require_name(field: str, name: str) -> None:
    is_allowed = isinstance(name, str) and NAME.fullmatch(name) is not None
    allowed = "up to 48 lower-case letters, digits and _, a letter first"
    _require(field, name, is_allowed, allowed)


def _require_condition(condition: Condition) -> None:
    is_allowed = isinstance(condition, Expression) or callable(condition)
    _require("condition", condition, is_allowed, "an expression of kit.features, or a function")


def _require_tuple(field: str, values: tuple[object, ...]) -> None:
    _require(field, values, isinstance(values, tuple) and bool(values), "a tuple, not empty")


def _require_once(field: str, names: list[str] | tuple[str, ...]) -> None:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ValueError(f"{field}: {twice[0]!r} is there twice")
