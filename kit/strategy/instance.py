"""A strategy on one instrument: bars in, signals out. No clock, no store."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2, signals_pb2

from kit.features.calculators import Value
from kit.features.evaluator import FeatureBar
from kit.features.expression import Expression
from kit.features.market_inputs import MarketInputs
from kit.strategy.loader import LoadedStrategy
from kit.strategy.scores import Scores
from kit.strategy.strategy import Exit, Instrument
from kit.strategy.strategy_terms import signal_event, terms_of

OPEN, CLOSE = signals_pb2.POSITION_ACTION_OPEN, signals_pb2.POSITION_ACTION_CLOSE
REDUCE, FLIP = signals_pb2.POSITION_ACTION_REDUCE, signals_pb2.POSITION_ACTION_FLIP
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
FLAT = Decimal(0)


class SavedInstance(msgspec.Struct, frozen=True, array_like=True):
    """What the next signals depend on, besides the next bars and positions."""

    evaluator: list[Any]
    functions: list[Value]
    """Newest values of the conditions that are functions."""
    last_action: int = 0
    """Of the newest signal on the position, 0 before the first."""
    last_opened_time_ns: int = 0
    """End of the bar of the newest signal that opened a position."""
    last_expires_time_ns: int = 0
    """Of the newest signal."""
    inputs: list[Any] = []
    """The newest market data besides its bars."""
    closing_side: int = 0
    """Of an order that closes its position, 0 without one."""
    reduced_by: list[str] = []
    """Names of the exits that have reduced the position."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(SavedInstance)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The scores of a strategy after its newest bar."""

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
        self.terms = terms_of(loaded)
        self.instrument = instrument
        self._scores = Scores(self.strategy)
        wanted, length_ns = self._scores.evaluator.inputs, self.strategy.bar_interval.length_ns
        self.inputs = MarketInputs(wanted, "/".join(instrument), length_ns)
        """The market data that it needs besides its bars, as far as they were added."""
        self._last_action = 0
        self._last_opened_time_ns = 0
        self._last_expires_time_ns = 0
        self._closing_side = 0
        self._reduced_by: list[str] = []

    def warm_up(self, bar: bars_pb2.Bar) -> None:
        """See a bar that is too old for a signal."""
        self.warm_up_numbers(feature_bar(bar))

    def warm_up_numbers(self, bar: FeatureBar) -> None:
        """As ``warm_up``, of the numbers of the bar."""
        inputs = self.inputs.at(bar.close_time_ns, bar.open_time_ns) if self.inputs.series else ()
        self._scores.update(bar, inputs)

    def update(self, bar: bars_pb2.Bar, position: Decimal) -> event_pb2.Event | None:
        """See the next final bar. ``position``: size of its position, negative if short. Of
        ``inputs`` it sees what had arrived at the end of the bar. Returns the signal that it
        raises, if any."""
        raised = self.observe(feature_bar(bar), position)
        return None if raised is None else self.event(bar, raised)

    def observe(self, bar: FeatureBar, position: Decimal) -> signals_pb2.SignalRaised | None:
        """Like ``update``, from a FeatureBar. Returns a signal, which ``event`` makes an event."""
        self.warm_up_numbers(bar)
        side = closing_side(position)
        if side != self._closing_side:
            # Signals on the position before are over.
            self._closing_side, self._reduced_by, self._last_action = side, [], 0
        if self._flaw(bar):
            return None
        raised = self._opened(bar) if position == FLAT else self._changed(bar)
        if raised is None:
            return None
        raised.position_size = format(position, "f")
        self._last_action = raised.action
        self._last_expires_time_ns = bar.close_time_ns + self.strategy.expiry_ns
        if raised.action in (OPEN, FLIP):
            self._last_opened_time_ns = bar.close_time_ns
        return raised

    def explain(self, bar: bars_pb2.Bar | None) -> Explanation:
        """The current scores. ``bar``: the newest one."""
        rules, exits = self._scores.rule_scores(), self._scores.exit_scores()
        flaw = "no bar has been seen yet" if bar is None else self._flaw(feature_bar(bar))
        return Explanation(rules, exits, self._scores.score(), flaw or self._objection())

    def numbers(self) -> list[Value]:
        """As ``Scores.numbers``, after the newest bar."""
        return self._scores.numbers()

    @property
    def price_lines(self) -> list[Expression]:
        """The last of the numbers."""
        return self._scores.price_lines

    def save(self) -> bytes:
        evaluator, functions = self._scores.save()
        return _ENCODER.encode(
            SavedInstance(
                evaluator,
                list(functions),
                self._last_action,
                self._last_opened_time_ns,
                self._last_expires_time_ns,
                self.inputs.save(),
                self._closing_side,
                self._reduced_by,
            )
        )

    def restore(self, saved: bytes) -> None:
        """Go on from what an instance of the same version has saved. Raises ValueError."""
        try:
            found = _DECODER.decode(saved)
        except msgspec.DecodeError as error:
            raise ValueError(f"the saved state cannot be read: {error}") from error
        self._scores.restore(found.evaluator, found.functions)
        self.inputs.restore(found.inputs)
        self._last_action = found.last_action
        self._last_opened_time_ns = found.last_opened_time_ns
        self._last_expires_time_ns = found.last_expires_time_ns
        self._closing_side, self._reduced_by = found.closing_side, found.reduced_by

    def _flaw(self, bar: FeatureBar) -> str:
        """Why the bar raises no signal; empty if it may."""
        if self.strategy.acts_on_incomplete_bars:
            return ""
        if bar.is_candle:
            return "the bar is a candle of the venue, not made of trades"
        length_ns = self.strategy.bar_interval.length_ns
        if bar.covered_ns < length_ns:
            return f"the bar has a gap: {bar.covered_ns} of {length_ns} ns are covered"
        if bar.revision:
            return f"late trades have amended the bar: its revision is {bar.revision}"
        return ""

    def _opened(self, bar: FeatureBar) -> signals_pb2.SignalRaised | None:
        if bar.close_time_ns < self._last_expires_time_ns:
            # The orders of the previous signal may still be in flight.
            return None
        return self._entry(bar, OPEN, (BUY, SELL))

    def _changed(self, bar: FeatureBar) -> signals_pb2.SignalRaised | None:
        """Of a strategy with a position."""
        if self._last_action in (CLOSE, FLIP) and bar.close_time_ns < self._last_expires_time_ns:
            return None
        if self.strategy.flips and (flipped := self._entry(bar, FLIP, (self._closing_side,))):
            return flipped
        closed = "long" if self._closing_side == SELL else "short"
        wanted = self._scores.wanted_exits(closed)
        whole = [one for one in wanted if not one.is_partial]
        if whole:
            return self._exit(CLOSE, closed, whole)
        unused = [one for one in wanted if one.name not in self._reduced_by]
        if not unused:
            return None
        # One at a time: the next one reduces what this one leaves.
        self._reduced_by = [*self._reduced_by, unused[0].name]
        return self._exit(REDUCE, closed, unused[:1])

    def _entry(
        self,
        bar: FeatureBar,
        action: signals_pb2.PositionAction.ValueType,
        sides: Collection[int],
    ) -> signals_pb2.SignalRaised | None:
        """A signal that opens a position on one of these sides."""
        if self._last_opened_time_ns and (
            bar.close_time_ns < self._last_opened_time_ns + self.strategy.cooldown_ns
        ):
            return None
        score = self._scores.score()
        if score is None or abs(score) < self.strategy.threshold:
            return None
        side = BUY if score > 0 else SELL
        if side not in sides or self._scores.veto():
            return None
        request = self._request()
        if request is None:
            return None
        return signals_pb2.SignalRaised(
            action=action,
            side=side,
            conviction=abs(score),
            score=score,
            rules=self._scores.rule_scores(),
            request=request,
        )

    def _exit(
        self,
        action: signals_pb2.PositionAction.ValueType,
        closed: str,
        followed: Sequence[Exit],
    ) -> signals_pb2.SignalRaised:
        side, score = (SELL, -1.0) if closed == "long" else (BUY, 1.0)
        rules, exits = (
            self._scores.rule_scores(),
            self._scores.exit_scores_of(closed, score, followed),
        )
        raised = signals_pb2.SignalRaised(
            action=action, side=side, conviction=1.0, score=score, rules=[*rules, *exits]
        )
        if action == REDUCE:
            raised.request.reduce_fraction = format(Decimal(followed[0].fraction), "f")
        return raised

    def event(self, bar: bars_pb2.Bar, raised: signals_pb2.SignalRaised) -> event_pb2.Event:
        """The signal on a bar that it has just seen."""
        return signal_event(self.terms, self.instrument, bar, raised)

    def _request(self) -> signals_pb2.PositionRequest | None:
        """None: a distance is not known, or is not above 0."""
        position, value = self.strategy.position, self._scores.value
        request = signals_pb2.PositionRequest(
            notional=position.notional, risk_fraction=position.risk_fraction
        )
        distances: Mapping[str, Expression | None] = {
            "stop_distance": position.stop_distance,
            "target_distance": position.target_distance,
            "trailing_distance": position.trailing_distance,
        }
        for name, expression in distances.items():
            if expression is None:
                continue
            distance = value(expression)
            if distance is None or distance <= 0:
                return None
            setattr(request, name, _decimal_text(distance))
        return request

    def _objection(self) -> str:
        """Why the rules open no position; empty if they do."""
        score, threshold = self._scores.score(), self.strategy.threshold
        if veto := self._scores.veto():
            return veto
        if score is None:
            return "too many rules abstain"
        if abs(score) < threshold:
            return f"the score {score:g} is below the threshold {threshold:g}"
        return ""


def closing_side(position: Decimal) -> types_pb2.Side.ValueType:
    """The side of an order that closes a position; SIDE_UNSPECIFIED without one."""
    if position == FLAT:
        return types_pb2.SIDE_UNSPECIFIED
    return SELL if position > FLAT else BUY


def feature_bar(bar: bars_pb2.Bar) -> FeatureBar:
    """The numbers of a bar."""
    return FeatureBar(
        open=float(bar.open),
        high=float(bar.high),
        low=float(bar.low),
        close=float(bar.close),
        volume=float(bar.volume),
        # Not known of a candle.
        buy_volume=float(bar.buy_volume or "0"),
        trade_count=bar.trade_count,
        quote_volume=float(bar.quote_volume or "0"),
        open_time_ns=bar.open_time_ns,
        close_time_ns=bar.close_time_ns,
        covered_ns=bar.covered_ns,
        revision=bar.revision,
        is_candle=bar.source == bars_pb2.BAR_SOURCE_VENUE_CANDLE,
    )


def _decimal_text(value: float) -> str:
    """Ten digits: more than a distance from the market is known to."""
    return format(Decimal(f"{value:.10g}"), "f")
