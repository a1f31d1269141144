"""Seeded decisions and faithful answers to them.

A faithful answer is computed from the signal and the facts with fractions, independently of
``model_context``.
"""

import random
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from venuemesh.events.v1 import signals_pb2

from core.advisor.decision_case import Assessment, DecisionCase, RuleFinding
from core.advisor.synthesis.model_context import ModelContext, context_of
from core.advisor.tests.examples import BUY, INVERSE, RULES, SELL, SPOT, facts, signal

INTERVALS = ("1m", "5m", "15m", "1h", "tick:100")
PROSE = (
    "The book is proven and fresh, so the quality of the data is not a concern.",
    "Takers bought more than they sold, which supports the entry.",
    "Momentum agrees with the direction of the signal.",
    "The spread is narrow; trading at once costs little.",
    "However, the price has already moved since the close, so I would be careful.",
    "Liquidity looks thin, and the risk of slippage is higher than usual.",
    "The stop is well outside of the noise of the last bars.",
    "Overall, the evidence is mixed - a smaller position seems prudent.",
    "There\u2019s no sign of a reversal in the bar\u2026 the trend persists.",
    "RSI and EMA point the same way (both are bullish).",
    "The strategy's own conviction is high, yet the rules abstain.",
    "A LONG position is consistent with the flow; a SHORT would not be.",
    "Volatility is elevated, i.e. the distance of the stop may be too small.",
    "I see nothing in the facts that argues against this trade.",
    "The reward is large in comparison with the risk.",
)
MENTIONS = (
    "{id} is {value}",
    "{id} of {value}",
    "{id}: {value}",
    "{id} = {value}",
    "{id} {value}",
    "{id} at {value}",
)
FRAMES = (
    "{first}, and {second}.",
    "With {first}, the entry looks reasonable; {second} does not change that.",
    "The facts are {first} and {second}; both support the view.",
    "Since {first}, a full size is fine ({second}).",
    "{first} while {second}, so the risk is acceptable.",
)


class Known(NamedTuple):
    """A value as the tests compute it."""

    value: Fraction
    unit: str


class Example(NamedTuple):
    """A decision, what a model is shown of it, and what is true."""

    case: DecisionCase
    found: Assessment
    context: ModelContext
    known: dict[str, Known]


class Bar(NamedTuple):
    """Amounts of a bar, and the best prices after it."""

    begun: Decimal
    close: Decimal
    bid: Decimal
    ask: Decimal
    volume: Decimal
    bought: Decimal
    trades: int

    @classmethod
    def of(cls, rng: random.Random, tick: Decimal) -> "Bar":
        begun = tick * rng.randrange(200, 9_000_000)
        close = begun + tick * rng.randrange(-99, 100)
        bid = close + tick * rng.randrange(-40, 40)
        volume = Decimal(rng.randrange(1, 10_000_000)) / 10_000
        bought = (volume * rng.randrange(101) / 100).quantize(Decimal("0.0001"))
        ask = bid + tick * rng.randrange(1, 30)
        return cls(begun, close, bid, ask, volume, bought, rng.randrange(1, 5_000))

    def fields(self) -> dict[str, Any]:
        return {
            "open": str(self.begun),
            "close": str(self.close),
            "high": str(max(self.begun, self.close)),
            "low": str(min(self.begun, self.close)),
            "volume": str(self.volume),
            "buy_volume": str(self.bought),
            "trade_count": self.trades,
        }

    def known(self, is_buy: bool, quote: str, sizes: str) -> dict[str, Known]:
        low, high = Fraction(self.bid), Fraction(self.ask)
        start, shut = Fraction(self.begun), Fraction(self.close)
        share = Fraction(self.bought) / Fraction(self.volume) * 100
        reference = high if is_buy else low
        return {
            "quote.bid_price": Known(low, quote),
            "quote.ask_price": Known(high, quote),
            "bar.open": Known(start, quote),
            "bar.close": Known(shut, quote),
            "bar.volume": Known(Fraction(self.volume), sizes),
            "bar.trades": Known(Fraction(self.trades), "trades"),
            "derived.buy_share": Known(share, "%"),
            "derived.mid": Known((low + high) / 2, quote),
            "derived.spread": Known(high - low, quote),
            "derived.spread_percent": Known((high - low) / ((high + low) / 2) * 100, "%"),
            "derived.bar_change": Known(shut - start, quote),
            "derived.bar_change_percent": Known((shut - start) / start * 100, "%"),
            "derived.since_close_percent": Known((reference - shut) / shut * 100, "%"),
        }


def example(rng: random.Random) -> Example:
    """A decision with random prices on the tick."""
    instrument, side = rng.choice((SPOT, INVERSE)), rng.choice((BUY, SELL))
    tick = Decimal(instrument.price_tick)
    bar, stop = Bar.of(rng, tick), tick * rng.randrange(1, 500)
    rule = signals_pb2.RuleScore(rule="trend", weight=1.0)
    features = {f"rsi(close, {n})": round(rng.uniform(-90, 90), 3) for n in (7, 14)}
    for expression, value in features.items():
        rule.values.add(expression=expression, value=value)
    raised = signal(
        side=side,
        symbol=instrument.symbol,
        conviction=rng.randrange(1, 1_001) / 1_000,
        score=rng.randrange(-1_000, 1_001) / 1_000,
        rules=[rule],
        regime="calm",
        request={"notional": "1000", "stop_distance": str(stop), "target_distance": str(2 * stop)},
        bar_fields={
            "symbol": instrument.symbol,
            "interval": rng.choice(INTERVALS),
            **bar.fields(),
        },
    )
    quality, scores = rng.randrange(1, 1_001) / 1_000, rng.randrange(-999, 1_000) / 1_000
    prices = facts(instrument, quote__bid_price=str(bar.bid), quote__ask_price=str(bar.ask))
    case = DecisionCase.of(raised, prices, RULES)
    found = Assessment(
        quality=quality,
        rules=(RuleFinding("trade_flow", 0.5, scores),),
        rules_score=scores,
        conviction=quality / 2,
    )
    numbers = (*features.values(), quality, scores, raised.score)
    names = ("feature.1", "feature.2", "stage.quality", "rule.trade_flow", "signal.score")
    known = bar.known(side == BUY, instrument.quote, "BTC" if instrument is SPOT else "contracts")
    known["request.stop_distance"] = Known(Fraction(stop), instrument.quote)
    for name, number in zip(names, numbers, strict=True):
        known[name] = Known(Fraction(str(number)), "")
    return Example(case, found, context_of(case, found), known)


def faithful(rng: random.Random, given: Example) -> dict[str, Any]:
    """An answer that is true, in the words of a model that keeps to the request."""
    said = {fact_id: text_of(rng, one.value) for fact_id, one in given.known.items()}
    chosen = rng.sample(list(given.known), 6)
    reasons = [
        rng.choice(FRAMES).format(
            first=mention(rng, chosen[n], said[chosen[n]], given),
            second=mention(rng, chosen[n + 1], said[chosen[n + 1]], given),
        )
        for n in range(0, rng.choice((2, 4, 6)), 2)
    ]
    reasons.insert(rng.randrange(len(reasons) + 1), rng.choice(PROSE))
    reasons[-1] += " " + rng.choice(PROSE)
    claims = [
        {"fact_id": one, "value": said[one], "unit": given.known[one].unit}
        for one in rng.sample(list(given.known), rng.randrange(1, 7))
    ]
    return {
        "symbol": given.case.signal.symbol,
        "interval": given.case.signal.bar.interval,
        "claims": claims,
        "reasons": reasons,
        "bias": rng.choice(("supports", "neutral", "opposes")),
        "size_percent": rng.randrange(101),
        "confidence_percent": rng.randrange(101),
    }


def mention(rng: random.Random, fact_id: str, value: str, given: Example) -> str:
    unit = given.known[fact_id].unit
    percent = rng.choice(("%", " %")) if unit == "%" else ""
    text = value + (percent or (f" {unit}" if unit else ""))
    return rng.choice(MENTIONS).format(id=fact_id, value=text)


def text_of(rng: random.Random, value: Fraction) -> str:
    """Exact, or with three significant digits or more."""
    exact = Decimal(value.numerator)
    places = 0
    while places <= 12:
        shifted = value * 10**places
        if shifted.denominator == 1:
            exact = Decimal(shifted.numerator).scaleb(-places)
            if rng.random() < 0.7:
                return f"{exact:f}"
            break
        places += 1
    near = Decimal(value.numerator) / Decimal(value.denominator)
    digits = rng.randrange(3, 7)
    places = max(digits - 1 - near.adjusted(), 0) if near else 0
    return f"{near.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP):f}"


def is_true(text: str, value: Fraction) -> bool:
    """Whether a decimal text is a value, or the value rounded to the digits of the text."""
    places = len(text.partition(".")[2])
    return abs(Fraction(text) - value) <= Fraction(1, 2 * 10**places)
