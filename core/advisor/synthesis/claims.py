"""Compares every number in an answer with what is known.

A claim names the fact that it repeats. In the free text of a reason a number is written behind the
id of its fact, as in ``quote.ask_price is 60010 USDT``: so it is clear which instrument, bar and
unit it is about. A number anywhere else is rejected, also one in words.
"""

import re
from decimal import Decimal

from core.advisor.amounts import amount_of, shown
from core.advisor.synthesis.answer import Hallucination, ModelAnswer
from core.advisor.synthesis.model_context import ModelContext
from core.advisor.synthesis.stray_words import reject_stray_words
from kit.accounting.amounts import product, subtract

SIGNIFICANT_DIGITS_MIN = 3
"""Of a rounded value."""
HALF = Decimal("0.5")

FACT_ID = re.compile(r"(?<![\w.-])[a-z]+\.[a-z0-9_]+(?!\w)")
VALUE = re.compile(
    r"(?: is | of | at | = |=|: | )([+-]?\d++(?:\.\d++)?)(?!\w|[.,]\d)(?:( ?%)| ([A-Za-z0-9]+)\b)?"
)
WORD_VALUE = re.compile(r"(?: is | = |=|: )([A-Za-z_]+)")
COMPARISON = re.compile(
    r"( is|,|, which is|,? and is|)"
    r" (above|over|exceeds|higher than|greater than|below|under|lower than|less than)"
    r" (?:the )?([a-z]+\.[a-z0-9_]+)(?!\w)"
)
IS_ABOVE = frozenset({"above", "over", "exceeds", "higher than", "greater than"})
NEXT_WORD = re.compile(r"[ ,]*([A-Za-z]+)")
CHANGES_MEANING = frozenset(
    {
        *(
            "above",
            "ago",
            "apart",
            "away",
            "below",
            "beyond",
            "down",
            "each",
            "fewer",
            "from",
            "greater",
        ),
        *("higher", "larger", "less", "lower", "more", "off", "over", "per", "short", "smaller"),
        *("plus", "than", "times", "under", "up", "wide", "wider", "x", "k", "m"),
        *("basis", "cents", "coins", "dollars", "euros", "gain", "loss", "lots", "points"),
        *("profit", "ticks"),
    }
)
"""Behind a value: then it is not that of the fact."""
OF_THE_BAR = "(?=(?:bar|bars|candle|candles|chart|interval|timeframe)\\b)"
"""Behind an interval, whose ``1m`` would be a million elsewhere."""
ABBREVIATIONS = frozenset({"e.g", "i.e"})


def check(answer: ModelAnswer, context: ModelContext) -> None:
    """Raises Hallucination at the first claim that is not so."""
    for what, said, known in (
        ("symbol", answer.symbol, context.symbol),
        ("interval", answer.interval, context.interval),
    ):
        if said != known:
            raise Hallucination(f"{what} {shown(said)!r}, asked about {shown(known)!r}")
    for claim in answer.claims:
        _check_value(claim.fact_id, claim.value, claim.unit, context)
    left = " ; ".join(_without_values(reason, context) for reason in answer.reasons)
    if context.interval:
        left = re.sub(rf"(?<![\w.]){re.escape(context.interval)} {OF_THE_BAR}", "bar ", left)
    reject_stray_words(left, context.names)


def _check_value(fact_id: str, text: str, unit: str, context: ModelContext) -> None:
    known = context.values.get(fact_id)
    if known is None:
        if fact_id in context.words and not unit:
            _check_word(fact_id, text, context)
            return
        raise Hallucination(f"there is no value {shown(fact_id)!r}")
    if unit != known.unit:
        said = shown(f"{text} {unit}")
        raise Hallucination(f"{fact_id} {said!r}: its unit is {known.unit!r}")
    said_value = amount_of(text)
    if said_value is None or not _is_same(said_value, known.value, known.shown):
        raise Hallucination(f"{fact_id} {shown(text)!r}: it is {known.shown}")


def _check_word(fact_id: str, text: str, context: ModelContext) -> None:
    if text != context.words[fact_id]:
        raise Hallucination(f"{fact_id} {shown(text)!r}: it is {context.words[fact_id]!r}")


def _is_same(said: Decimal, exact: Decimal, as_shown: str) -> bool:
    """Whether it is the value as it was shown, or rounded to the digits that are said."""
    if said == exact or said == Decimal(as_shown):
        return True
    if not said or said.adjusted() - int(said.as_tuple().exponent) + 1 < SIGNIFICANT_DIGITS_MIN:
        return False
    last_place = Decimal((0, (1,), int(said.as_tuple().exponent)))
    return subtract(said, exact).copy_abs() <= product(HALF, last_place)


def _without_values(reason: str, context: ModelContext) -> str:
    """Check each value behind a fact id. Returns the rest of the text."""
    text = " ".join(reason.split())
    left, end = [], 0
    for found in FACT_ID.finditer(text):
        if found.start() < end or found.group() in ABBREVIATIONS:
            continue
        fact_id = found.group()
        if fact_id not in context.values and fact_id not in context.words:
            raise Hallucination(f"there is no fact {shown(fact_id)!r}")
        left.append(text[end : found.start()])
        end = _end_of_value(text, found.end(), fact_id, context)
        _check_what_follows(text, end, fact_id, context, has_value=end > found.end())
    left.append(text[end:])
    return " ; ".join(left)


def _end_of_value(text: str, begin: int, fact_id: str, context: ModelContext) -> int:
    """Check the value behind a fact id, if there is one. Returns where the text goes on."""
    if fact_id in context.words:
        said = WORD_VALUE.match(text, begin)
        if said is not None:
            _check_word(fact_id, said.group(1), context)
        return begin
    found = VALUE.match(text, begin)
    if found is None:
        return begin
    value, percent, word = found.groups()
    unit, end = "%" if percent else word or "", found.end()
    known = context.values.get(fact_id)
    if known is not None and not known.unit and word and not _is_unit(word, context):
        # The word behind a plain number belongs to the sentence.
        unit, end = "", found.start(3)
    _check_value(fact_id, value.removeprefix("+"), unit, context)
    return end


def _check_what_follows(
    text: str, end: int, fact_id: str, context: ModelContext, has_value: bool
) -> None:
    """Check which of two values is larger, and that no word makes another value of this one."""
    found = COMPARISON.match(text, end)
    if found is not None and (found.group(1) or not has_value):
        _check_comparison(fact_id, found.group(2), found.group(3), context)
        return
    after = NEXT_WORD.match(text, end) if has_value else None
    if after is not None and after.group(1).lower() in CHANGES_MEANING:
        raise Hallucination(f"the value of {fact_id} before the word {after.group(1)!r}")


def _check_comparison(first_id: str, word: str, second_id: str, context: ModelContext) -> None:
    first, second = context.values.get(first_id), context.values.get(second_id)
    if first is None or second is None or first.unit != second.unit:
        raise Hallucination(f"{first_id} cannot be compared with {shown(second_id)!r}")
    is_so = first.value > second.value if word in IS_ABOVE else first.value < second.value
    if not is_so:
        raise Hallucination(f"{first_id} is not so: {word} {second_id}")


def _is_unit(word: str, context: ModelContext) -> bool:
    return word in context.names or any(word == known.unit for known in context.values.values())
