"""Stage 2: checks that the facts are good enough for a decision.

The score is the sum of three parts, each from 0 to 1: how lately the best prices were asked for,
how much of the bar is without a gap, and how soon after the bar the decision is made.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from venuemesh.events.v1 import checks_pb2

from core.advisor import facts as fact_ids
from core.advisor.amounts import shown
from core.advisor.decision_case import Assessment, DecisionCase, StageOutput
from kit.base.clock import NANOSECONDS_PER_MILLISECOND as NS_PER_MS
from kit.base.clock import NANOSECONDS_PER_SECOND

QUOTE_AGE_WEIGHT = 0.4
BAR_COVERAGE_WEIGHT = 0.4
BAR_DELAY_WEIGHT = 0.2
PROVEN, UNPROVEN = "proven", "unproven"
"""States of an exact book."""

PRICES = (fact_ids.BID_PRICE, fact_ids.ASK_PRICE)
NEEDED_AMOUNTS = (
    fact_ids.PRICE_TICK,
    fact_ids.SIZE_STEP,
    fact_ids.SIZE_MIN,
    fact_ids.NOTIONAL_MIN,
)
NEEDED_WORDS = (fact_ids.STATUS, fact_ids.KIND, fact_ids.BASE, fact_ids.QUOTE)


def run(case: DecisionCase, found: Assessment) -> StageOutput:
    """Check that everything is known and current, and compute the score."""
    score = quality_score(case)
    checks = [*_unknown(case), *_current(case)]
    least = case.rules.quality_score_min
    checks.append(case.check("quality_score", score >= least, score, least))
    return StageOutput(replace(found, quality=score), checks)


def quality_score(case: DecisionCase) -> float:
    """From 0 to 1."""
    rules = case.rules
    quote_age_ns, delay_ns = case.quote_age_ns, bar_delay(case)
    coverage = bar_coverage(case)
    age_max_ns = rules.quote_age_max_ms * NS_PER_MS
    delay_max_ns = rules.bar_delay_max_s * NANOSECONDS_PER_SECOND
    return (
        QUOTE_AGE_WEIGHT * _left(quote_age_ns, age_max_ns)
        + BAR_COVERAGE_WEIGHT * min(max(coverage or 0.0, 0.0), 1.0)
        + BAR_DELAY_WEIGHT * _left(delay_ns, delay_max_ns)
    )


def bar_coverage(case: DecisionCase) -> float | None:
    """The part of the bar without a gap."""
    bar = case.signal.bar
    length_ns = bar.close_time_ns - bar.open_time_ns
    return bar.covered_ns / length_ns if length_ns > 0 else None


def bar_delay(case: DecisionCase) -> int | None:
    """Time from the end of the bar to the decision, ns."""
    if case.now_ns is None or not case.signal.bar.close_time_ns:
        return None
    return case.now_ns - case.signal.bar.close_time_ns


def _left(age_ns: int | None, most_ns: int) -> float:
    """1 for something new, 0 from the largest age on."""
    return 0.0 if age_ns is None else 1.0 - min(max(age_ns / most_ns, 0.0), 1.0)


def _ages(case: DecisionCase, wanted: Iterable[str]) -> list[int]:
    """The ages of the known ones of these facts."""
    ages = (case.age_ns(fact_id) for fact_id in wanted)
    return [age for age in ages if age is not None]


def _unknown(case: DecisionCase) -> Iterator[checks_pb2.Check]:
    """A check for each fact that is needed and not known."""
    wanted = [*PRICES]
    if case.facts.rules_version == 1:
        wanted.append(fact_ids.QUOTE_CHANGED_TIME)
    wanted += NEEDED_AMOUNTS
    if case.signal.request.risk_fraction:
        wanted.append(fact_ids.EQUITY)
    missing = [one for one in wanted if case.facts.amount(one) is None]
    missing += [one for one in NEEDED_WORDS if not case.facts.text(one)]
    for fact_id in missing:
        yield case.check(fact_id, False, shown(case.facts.text(fact_id)), "known")


def _current(case: DecisionCase) -> Iterator[checks_pb2.Check]:
    rules = case.rules
    if case.facts.rules_version > 1:
        yield from _answer(case)
    age_ns = case.quote_age_ns
    age_ms = None if age_ns is None else age_ns // NS_PER_MS
    most = rules.quote_age_max_ms
    yield case.check("quote_age", age_ms is not None and age_ms <= most, age_ms, most, "ms")
    # A time in the future shows that the clocks differ.
    ages = _ages(case, (*PRICES, fact_ids.BOOK_VENUE_TIME))
    ahead_ms = None if age_ms is None else max(0, -min(ages) // NS_PER_MS)
    yield case.check("quote_ahead", ahead_ms is not None and ahead_ms <= most, ahead_ms, most, "ms")
    yield _unchanged(case)
    bid, ask = case.bid, case.ask
    is_open = bid is not None and ask is not None and bid < ask
    yield case.check("quote_crossed", is_open, f"{bid} {ask}", "bid below ask")
    coverage, least = bar_coverage(case), rules.bar_coverage_min
    yield case.check("bar_coverage", coverage is not None and coverage >= least, coverage, least)
    if case.signal.request.risk_fraction:
        read_s = _seconds_since(case, case.facts.time_ns(fact_ids.EQUITY))
        most = rules.equity_age_max_s
        yield case.check("equity_age", read_s is not None and read_s <= most, read_s, most, "s")
    status = case.facts.text(fact_ids.STATUS)
    yield case.check(fact_ids.STATUS, status == "trading", status, "trading")


def _answer(case: DecisionCase) -> Iterator[checks_pb2.Check]:
    """Whether the venue process has answered in time, from a book that is exact."""
    asked_ns = case.facts.whole(fact_ids.BOOK_ASKED_TIME)
    answered_ns = case.facts.whole(fact_ids.BOOK_ANSWERED_TIME)
    took_ms = None
    if asked_ns is not None and answered_ns is not None:
        took_ms = (answered_ns - asked_ns) // NS_PER_MS
    most = case.rules.book_answer_max_ms
    yield case.check(
        "book_answer", took_ms is not None and 0 <= took_ms <= most, took_ms, most, "ms"
    )
    state = case.facts.text(fact_ids.BOOK_STATE)
    yield case.check("book_state", state in (PROVEN, UNPROVEN), state, f"{PROVEN} or {UNPROVEN}")


def _unchanged(case: DecisionCase) -> checks_pb2.Check:
    """Whether the best prices have changed of late, if a change could be missed unnoticed."""
    is_asked = case.facts.rules_version > 1
    fact_id = fact_ids.BOOK_VENUE_TIME if is_asked else fact_ids.QUOTE_CHANGED_TIME
    unchanged_s = _seconds_since(case, case.facts.whole(fact_id))
    if is_asked and case.facts.text(fact_ids.BOOK_STATE) == PROVEN:
        return case.check("quote_unchanged", True, unchanged_s, "any, the book is proven", "s")
    most = case.rules.quote_unchanged_max_s
    within = unchanged_s is not None and unchanged_s <= most
    return case.check("quote_unchanged", within, unchanged_s, most, "s")


def _seconds_since(case: DecisionCase, time_ns: int | None) -> int | None:
    if case.now_ns is None or time_ns is None:
        return None
    return (case.now_ns - time_ns) // NANOSECONDS_PER_SECOND
