"""A strategy on one instrument: bars in, signals out. No clock, no store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2, signals_pb2

from kit.events.event_ids import event_id
from kit.features.calculators import Value
from kit.features.evaluator import Evaluator, FeatureBar
from kit.features.expression import Expression
from kit.strategy.loader import LoadedStrategy
from kit.strategy.strategy import Condition, Exit, Instrument, Rule, explained

SOURCE = "detector"
OPEN, CLOSE = signals_pb2.POSITION_ACTION_OPEN, signals_pb2.POSITION_ACTION_CLOSE
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
FLAT = Decimal(0)


class SavedInstance(msgspec.Struct, frozen=True, array_like=True):
    """What the next signals depend on, besides the next bars and positions."""

    evaluator: list[Any]
    functions: list[Value]
    """Newest values of the conditions that are functions."""
    last_action: int = 0
    """Of the newest signal, 0 before the first."""
    last_opened_time_ns: int = 0
    """End of the bar of the newest signal that opened a position."""
    last_expires_time_ns: int = 0
    """Of the newest signal."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(SavedInstance)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a strategy says after its newest bar."""

    rules: Sequence[signals_pb2.RuleScore]
    exits: Sequence[signals_pb2.RuleScore]
    score: float | None
    """Weighted mean; None where too many rules abstain."""
    abstains_because: str
    """Empty: it may raise a signal."""


class StrategyInstance:
    """Raises signals on the bars of one instrument. The same bars and positions give the same
    events, byte for byte, also when it is saved after any bar and another one is restored."""

    def __init__(self, loaded: LoadedStrategy, instrument: Instrument) -> None:
        self.loaded = loaded
        self.strategy = loaded.strategy
        self.instrument = instrument
        self._evaluator = Evaluator(self.strategy.expressions())
        self._values = self._evaluator.values()
        self._functions: dict[Callable[[FeatureBar], Value], Value] = {
            condition: None
            for condition in self.strategy.conditions
            if not isinstance(condition, Expression)
        }
        self._last_action = 0
        self._last_opened_time_ns = 0
        self._last_expires_time_ns = 0

    def warm_up(self, bar: bars_pb2.Bar) -> None:
        """See a bar that is too old for a signal."""
        seen = _feature_bar(bar)
        self._values = self._evaluator.update(seen)
        for function in self._functions:
            self._functions[function] = function(seen)

    def update(self, bar: bars_pb2.Bar, position: Decimal) -> event_pb2.Event | None:
        """See the next final bar. ``position``: size of its position, negative if short. Returns
        the signal that it raises, if any."""
        self.warm_up(bar)
        if self._flaw(bar):
            return None
        raised = self._opened(bar) if position == FLAT else self._closed(bar, position)
        if raised is None:
            return None
        raised.position_size = format(position, "f")
        return self._event(bar, raised)

    def explain(self, bar: bars_pb2.Bar | None) -> Explanation:
        """What it says now. ``bar``: its newest one."""
        rules = [self._rule_score(rule) for rule in self.strategy.rules]
        exits = [self._exit_score(exit_rule, 1.0) for exit_rule in self.strategy.exits]
        flaw = "no bar has been seen yet" if bar is None else self._flaw(bar)
        return Explanation(rules, exits, self._score(rules), flaw or self._objection(rules))

    def save(self) -> bytes:
        return _ENCODER.encode(
            SavedInstance(
                self._evaluator.save(),
                list(self._functions.values()),
                self._last_action,
                self._last_opened_time_ns,
                self._last_expires_time_ns,
            )
        )

    def restore(self, saved: bytes) -> None:
        """Go on from what an instance of the same version has saved. Raises ValueError."""
        try:
            found = _DECODER.decode(saved)
        except msgspec.DecodeError as error:
            raise ValueError(f"the saved state cannot be read: {error}") from error
        self._evaluator.restore(found.evaluator)
        self._values = self._evaluator.values()
        self._functions = dict(zip(self._functions, found.functions, strict=True))
        self._last_action = found.last_action
        self._last_opened_time_ns = found.last_opened_time_ns
        self._last_expires_time_ns = found.last_expires_time_ns

    def _flaw(self, bar: bars_pb2.Bar) -> str:
        """Why the bar raises no signal; empty if it may."""
        if self.strategy.acts_on_incomplete_bars:
            return ""
        if bar.source == bars_pb2.BAR_SOURCE_VENUE_CANDLE:
            return "the bar is a candle of the venue, not made of trades"
        length_ns = self.strategy.bar_interval.length_ns
        if bar.covered_ns < length_ns:
            return f"the bar has a gap: {bar.covered_ns} of {length_ns} ns are covered"
        if bar.revision:
            return f"late trades have amended the bar: its revision is {bar.revision}"
        return ""

    def _opened(self, bar: bars_pb2.Bar) -> signals_pb2.SignalRaised | None:
        if bar.close_time_ns < self._last_expires_time_ns:
            # What the signal before asked for may still be on its way.
            return None
        if self._last_opened_time_ns and (
            bar.close_time_ns < self._last_opened_time_ns + self.strategy.cooldown_ns
        ):
            return None
        rules = [self._rule_score(rule) for rule in self.strategy.rules]
        score = self._score(rules)
        if score is None or self._objection(rules):
            return None
        request = self._request()
        if request is None:
            return None
        self._last_opened_time_ns = bar.close_time_ns
        return signals_pb2.SignalRaised(
            action=OPEN,
            side=BUY if score > 0 else SELL,
            conviction=abs(score),
            score=score,
            rules=rules,
            request=request,
        )

    def _closed(self, bar: bars_pb2.Bar, position: Decimal) -> signals_pb2.SignalRaised | None:
        if self._last_action == CLOSE and bar.close_time_ns < self._last_expires_time_ns:
            return None
        side, score, closed = (SELL, -1.0, "long") if position > FLAT else (BUY, 1.0, "short")
        wanted = [rule for rule in self.strategy.exits if rule.closes in (closed, "both")]
        exits = [self._exit_score(exit_rule, score) for exit_rule in wanted]
        if not any(exit_rule.score for exit_rule in exits):
            return None
        rules = [self._rule_score(rule) for rule in self.strategy.rules]
        return signals_pb2.SignalRaised(
            action=CLOSE,
            side=side,
            conviction=1.0,
            score=score,
            rules=[*rules, *exits],
        )

    def _event(self, bar: bars_pb2.Bar, raised: signals_pb2.SignalRaised) -> event_pb2.Event:
        strategy, version = self.strategy, self.loaded.version
        self._last_action = raised.action
        self._last_expires_time_ns = bar.close_time_ns + strategy.expiry_ns
        raised.strategy, raised.strategy_version = strategy.name, version
        raised.venue, raised.symbol = self.instrument
        raised.account, raised.regime = strategy.account, strategy.regime
        raised.expires_time_ns = self._last_expires_time_ns
        raised.bar.CopyFrom(bar)
        place = (version, *self.instrument, strategy.interval, bar.open_time_ns, bar.revision)
        signal_id = event_id(SOURCE, strategy.name, [" ".join(map(str, place)).encode()])
        cursor = event_pb2.InputCursor(
            venue=self.instrument.venue,
            symbol=self.instrument.symbol,
            interval=strategy.interval,
            open_time_ns=bar.open_time_ns,
            revision=bar.revision,
        )
        return event_pb2.Event(
            event_id=signal_id,
            source=SOURCE,
            instance=strategy.name,
            time_ns=bar.close_time_ns,
            lifecycle_id=signal_id,
            config_hash=bytes.fromhex(version),
            inputs=[cursor],
            signal_raised=raised,
        )

    def _request(self) -> signals_pb2.PositionRequest | None:
        """None: a distance is not known, or is not above 0."""
        position, values = self.strategy.position, self._values
        request = signals_pb2.PositionRequest(
            notional=position.notional, risk_fraction=position.risk_fraction
        )
        stop = values[position.stop_distance]
        target = 1.0 if position.target_distance is None else values[position.target_distance]
        if stop is None or target is None or stop <= 0 or target <= 0:
            return None
        request.stop_distance = _decimal_text(stop)
        if position.target_distance is not None:
            request.target_distance = _decimal_text(target)
        return request

    def _objection(self, rules: Sequence[signals_pb2.RuleScore]) -> str:
        """Why the rules open no position; empty if they do."""
        for rule, said in zip(self.strategy.rules, rules, strict=True):
            if rule.veto and not said.HasField("score"):
                return f"the veto {rule.name!r} is not known"
            if said.is_veto:
                return f"the rule {rule.name!r} forbids it"
        score = self._score(rules)
        if score is None:
            return "too many rules abstain"
        if abs(score) < self.strategy.threshold:
            return f"the score {score:g} is below the threshold {self.strategy.threshold:g}"
        return ""

    def _score(self, rules: Sequence[signals_pb2.RuleScore]) -> float | None:
        """The weighted mean of the rules that do not abstain."""
        own = zip(self.strategy.rules, rules, strict=True)
        said = [found for rule, found in own if not rule.veto]
        known = [found for found in said if found.HasField("score")]
        weight = sum(found.weight for found in known)
        if not weight or weight < self.strategy.quorum * sum(found.weight for found in said):
            return None
        return sum(found.score * found.weight for found in known) / weight

    def _rule_score(self, rule: Rule) -> signals_pb2.RuleScore:
        value = self._value(rule.condition)
        said = signals_pb2.RuleScore(rule=rule.name, values=self._inputs(rule.condition))
        said.weight = 0.0 if rule.veto else rule.weight
        said.is_veto = rule.veto and bool(value)
        if value is not None:
            said.score = 0.0 if rule.veto else max(-1.0, min(1.0, float(value))) * rule.score
        return said

    def _exit_score(self, exit_rule: Exit, score: float) -> signals_pb2.RuleScore:
        """``score``: what it says where it wants to close."""
        value = self._value(exit_rule.condition)
        said = signals_pb2.RuleScore(rule=exit_rule.name, values=self._inputs(exit_rule.condition))
        if value is not None:
            said.score = score if value else 0.0
        return said

    def _value(self, condition: Condition) -> Value:
        if isinstance(condition, Expression):
            return self._values[condition]
        return self._functions[condition]

    def _inputs(self, condition: Condition) -> list[signals_pb2.FeatureValue]:
        if not isinstance(condition, Expression):
            name = getattr(condition, "__name__", str(condition))
            return [_feature_value(name, self._functions[condition])]
        return [_feature_value(str(part), self._values[part]) for part in explained(condition)]


def _feature_bar(bar: bars_pb2.Bar) -> FeatureBar:
    return FeatureBar(
        open=float(bar.open),
        high=float(bar.high),
        low=float(bar.low),
        close=float(bar.close),
        volume=float(bar.volume),
        # Not known of a candle.
        buy_volume=float(bar.buy_volume or "0"),
        trade_count=bar.trade_count,
    )


def _feature_value(name: str, value: Value) -> signals_pb2.FeatureValue:
    found = signals_pb2.FeatureValue(expression=name)
    if value is not None:
        found.value = float(value)
    return found


def _decimal_text(value: float) -> str:
    """Ten digits: more than a distance from the market is known to."""
    return format(Decimal(f"{value:.10g}"), "f")
