"""What a language model is shown of a decision: values with ids, words, and text from outside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import signals_pb2

from core.advisor import facts as fact_ids
from core.advisor.amounts import amount_of, positive
from core.advisor.decision_case import Assessment, DecisionCase
from kit.accounting.amounts import add, plain, product, quotient, subtract
from kit.base.clock import NANOSECONDS_PER_MILLISECOND as NS_PER_MS
from kit.base.outside_text import cleaned

SHOWN_DIGITS = Context(prec=6, rounding=ROUND_HALF_EVEN)
"""Of values that are not exact decimals."""
KEPT_DIGITS = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""More than any answer has: so a difference to it is exact."""
EXACT_DIGITS_MAX = 30
FEATURES_MAX = 20
HUNDRED, TWO = Decimal(100), Decimal(2)
PERCENT = "%"
CONTRACTS = "contracts"

SHOWN_FACTS = (
    fact_ids.BID_PRICE,
    fact_ids.ASK_PRICE,
    fact_ids.PRICE_TICK,
    fact_ids.POSITION_SIZE,
)
"""The equity of the account stays in the mesh."""


class KnownValue(NamedTuple):
    """A value that an answer may repeat."""

    value: Decimal
    """Exact, or with 60 digits."""
    unit: str
    """An asset, ``%``, ``ms`` and so on. Empty: a plain number."""

    @property
    def shown(self) -> str:
        """The value as a model sees it: exact if that takes up to 30 digits, else with 6."""
        is_short = len(self.value.as_tuple().digits) <= EXACT_DIGITS_MAX
        return plain(self.value if is_short else SHOWN_DIGITS.plus(self.value))


@dataclass(frozen=True, slots=True)
class ModelContext:
    """A decision as a model sees it. What is not known is left out."""

    symbol: str
    interval: str
    """Of the bar. Empty: there is no bar of the instrument."""
    action: str
    side: str
    values: Mapping[str, KnownValue]
    """By fact id."""
    words: Mapping[str, str]
    """By fact id: facts that are no numbers."""
    outside_text: Mapping[str, str]
    """By what it is: text of strategies and venues, bounded, never an instruction."""
    names: frozenset[str]
    """Of the instrument, its assets and the strategy: names that an answer may use."""


def context_of(case: DecisionCase, found: Assessment) -> ModelContext:
    """The context after the stages that score the signal."""
    signal = case.signal
    bar = signal.bar if (signal.bar.venue, signal.bar.symbol) == _key(case) else bars_pb2.Bar()
    values = dict(_values(case, found, bar))
    words = {
        fact_id: text
        for fact_id in (fact_ids.BOOK_STATE, fact_ids.STATUS, fact_ids.KIND)
        if (text := cleaned(case.facts.text(fact_id)))
    }
    features = _features(signal)
    outside = {f"expression of {fact_id}": expression for fact_id, (expression, _) in features}
    outside |= {"strategy": signal.strategy, "regime": signal.regime}
    instrument = case.instrument
    assets = (instrument.base, instrument.quote, instrument.settlement_asset)
    names = (signal.symbol, signal.strategy, signal.venue, *assets)
    return ModelContext(
        symbol=signal.symbol,
        interval=bar.interval,
        action=signals_pb2.PositionAction.Name(case.action).removeprefix("POSITION_ACTION_"),
        side=types_pb2.Side.Name(signal.side).removeprefix("SIDE_"),
        values=values,
        words=words,
        outside_text={name: cleaned(text) for name, text in outside.items() if text},
        names=frozenset(name for name in names if name),
    )


def _key(case: DecisionCase) -> tuple[str, str]:
    return case.signal.venue, case.signal.symbol


def _values(
    case: DecisionCase, found: Assessment, bar: bars_pb2.Bar
) -> Iterator[tuple[str, KnownValue]]:
    quote, sizes = case.instrument.quote, _size_unit(case)
    for fact_id in SHOWN_FACTS:
        if (amount := case.facts.amount(fact_id)) is not None:
            yield fact_id, KnownValue(amount, case.facts.unit(fact_id))
    yield from _bar_values(bar, quote, sizes)
    yield from _prices(case, bar, quote)
    for fact_id, (_, value) in _features(case.signal):
        yield fact_id, KnownValue(value, "")
    request = case.signal.request
    for name, text in (
        ("request.stop_distance", request.stop_distance),
        ("request.target_distance", request.target_distance),
        ("request.notional", request.notional),
    ):
        if (wanted := positive(text)) is not None:
            yield name, KnownValue(wanted, quote)
    scores: list[tuple[str, float | None]] = [
        ("signal.conviction", case.signal.conviction),
        ("signal.score", case.signal.score),
        ("stage.quality", found.quality),
        ("stage.rules", found.rules_score),
        ("stage.conviction", found.conviction),
    ]
    scores += [(f"rule.{one.rule}", one.score) for one in found.rules]
    for name, score in scores:
        if score is not None and (number := _decimal(score)) is not None:
            yield name, KnownValue(number, "")
    if (age_ns := case.quote_age_ns) is not None:
        yield "quote.age", KnownValue(Decimal(age_ns // NS_PER_MS), "ms")


def _bar_values(bar: bars_pb2.Bar, quote: str, sizes: str) -> Iterator[tuple[str, KnownValue]]:
    for name in ("open", "high", "low", "close"):
        if (price := positive(getattr(bar, name))) is not None:
            yield f"bar.{name}", KnownValue(price, quote)
    volume, bought = positive(bar.volume), amount_of(bar.buy_volume)
    if volume is None:
        return
    yield "bar.volume", KnownValue(volume, sizes)
    yield "bar.trades", KnownValue(Decimal(bar.trade_count), "trades")
    if bar.source != bars_pb2.BAR_SOURCE_VENUE_CANDLE and bought is not None:
        yield "bar.buy_volume", KnownValue(bought, sizes)
        yield "derived.buy_share", _percent(bought, volume)


def _prices(case: DecisionCase, bar: bars_pb2.Bar, quote: str) -> Iterator[tuple[str, KnownValue]]:
    """What follows from the best prices and the bar. Changes have a sign."""
    if case.bid is not None and case.ask is not None:
        width = subtract(case.ask, case.bid)
        middle = quotient(add(case.ask, case.bid), TWO)
        yield "derived.mid", KnownValue(middle, quote)
        yield "derived.spread", KnownValue(width, quote)
        yield "derived.spread_percent", _percent(width, middle)
    begun, close = positive(bar.open), positive(bar.close)
    if close is None:
        return
    if begun is not None:
        yield "derived.bar_change", KnownValue(subtract(close, begun), quote)
        yield "derived.bar_change_percent", _percent(subtract(close, begun), begun)
    if case.reference is not None:
        since = subtract(case.reference, close)
        yield "derived.since_close_percent", _percent(since, close)


def _percent(part: Decimal, whole: Decimal) -> KnownValue:
    return KnownValue(KEPT_DIGITS.plus(quotient(product(part, HUNDRED), whole)), PERCENT)


def _features(signal: signals_pb2.SignalRaised) -> list[tuple[str, tuple[str, Decimal]]]:
    """The values of the strategy's rules and their expressions, by fact id."""
    known: dict[str, Decimal] = {}
    for rule in signal.rules:
        for one in rule.values:
            value = _decimal(one.value) if one.HasField("value") else None
            if value is not None:
                known.setdefault(one.expression, value)
    found = list(known.items())[:FEATURES_MAX]
    return [(f"feature.{number}", one) for number, one in enumerate(found, start=1)]


def _size_unit(case: DecisionCase) -> str:
    return CONTRACTS if case.instrument.contract_kind else case.instrument.base


def _decimal(number: float) -> Decimal | None:
    """The digits that a model sees of a float; None for infinity, NaN and absurd values."""
    value = SHOWN_DIGITS.create_decimal(repr(number))
    return value if value.is_finite() and (not value or -12 < value.adjusted() < 18) else None
