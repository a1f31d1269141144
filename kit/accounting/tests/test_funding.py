"""When funding is due."""

from decimal import Decimal
from fractions import Fraction

from kit.accounting.funding import UNSEEN_MAX_NS, FundingCharge, FundingMark, FundingSchedule

D = Decimal
HOUR_NS = 3600 * 10**9


def mark(price: str, rate: str | None, time_ns: int, next_ns: int = 0) -> FundingMark:
    return FundingMark(D(price), None if rate is None else D(rate), next_ns, time_ns)


def test_funding_is_due_once_when_its_time_has_passed_at_what_was_published_before():
    schedule = FundingSchedule()
    assert schedule.observe("A", mark("100", "0.01", 10, 20)) is None
    assert schedule.observe("A", mark("101", None, 19)) is None
    due = schedule.observe("A", mark("102", "0.5", 20, 40))
    assert due == FundingCharge(D(101), Fraction(1, 100))
    assert schedule.observe("A", mark("103", "0.5", 21, 40)) is None
    assert schedule.price("A") == 103
    schedule.keep_only([])
    assert schedule.price("A") is None


def test_a_time_that_is_past_when_it_is_published_is_not_charged():
    schedule = FundingSchedule()
    for time_ns in (30, 31, 32):
        assert schedule.observe("A", mark("100", "0.01", time_ns, 20)) is None


def test_continuous_funding_is_due_for_the_time_between_two_marks():
    schedule = FundingSchedule(8 * HOUR_NS)
    assert schedule.observe("A", mark("100", "0.008", 0)) is None
    due = schedule.observe("A", mark("101", "0", HOUR_NS // 10))
    assert due == FundingCharge(D(100), Fraction(8, 1000) / 80)
    assert schedule.observe("A", mark("101", "0.01", HOUR_NS // 8)) is None


def test_continuous_funding_skips_overtaken_marks_and_long_silence():
    schedule = FundingSchedule(8 * HOUR_NS)
    schedule.observe("A", mark("100", "0.008", HOUR_NS))
    assert schedule.observe("A", mark("90", "0.1", HOUR_NS - 5)) is None
    due = schedule.observe("A", mark("100", "0.008", HOUR_NS + 10))
    assert due == FundingCharge(D(100), Fraction(8, 1000) * Fraction(10, 8 * HOUR_NS))
    assert schedule.observe("A", mark("100", "0.008", HOUR_NS + 11 + UNSEEN_MAX_NS)) is None
    assert schedule.observe("A", mark("100", "0.008", 7)) is None
    assert schedule.observe("A", mark("100", "0.008", 8)) is not None
