"""The calendar, and bad input of the lists of a policy."""

from datetime import UTC, datetime

import pytest

from kit.risk.closed_periods import ClosedPeriod, at, overlap_of
from kit.risk.limits import BLOCKED, PASSED
from kit.risk.policy import Policy
from kit.risk.policy_file import PolicyInvalid, read_policy
from kit.risk.tests.contexts import NOW_NS, context

SECOND_NS = 1_000_000_000
NOW = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def period(start, end, reason="holidays"):
    return ClosedPeriod(start=NOW.replace(second=start), end=NOW.replace(second=end), reason=reason)


def test_period_begins_with_its_start_and_ends_before_its_end():
    for found, expected in ((period(20, 30), BLOCKED), (period(10, 20), PASSED)):
        (check,) = Policy(closed_periods=(found,)).checks(context())
        assert (check.name, check.result) == ("closed_periods", expected)
    (check,) = Policy(closed_periods=(period(20, 30),)).checks(context())
    assert check.observed == "2023-11-14 22:13:20"
    assert check.limit.endswith("to 2023-11-14 22:13:30: holidays")
    assert at((period(20, 30),), NOW_NS - 1) is None
    assert at((period(20, 30),), NOW_NS + 10 * SECOND_NS) is None


def test_overlap_is_found_in_any_order():
    assert overlap_of((period(30, 40), period(20, 30))) == ""
    assert overlap_of((period(29, 40), period(20, 30))) == "2023-11-14 22:13:29"


RULE = 'escalations = [{ limit = "drawdown_max", mode = "closing_all" }]'
OVERLAPPING = """
closed_periods = [
  { start = 2026-01-01T00:00:00Z, end = 2026-01-03T00:00:00Z },
  { start = 2026-01-02T00:00:00Z, end = 2026-01-04T00:00:00Z },
]
"""
SET = 'currency = "USDT"\ndrawdown_max = 5\n'


@pytest.mark.parametrize(
    ("text", "field", "value", "allowed"),
    [
        ("closed_periods = 1", "closed_periods", "1", "2026-12-24T18:00:00Z"),
        (
            "closed_periods = [{ start = 2026-01-01T00:00:00, end = 2026-01-02T00:00:00Z }]",
            "closed_periods[0]", "2026", "reason",
        ),
        (
            "closed_periods = [{ start = 2026-01-02T00:00:00Z, end = 2026-01-01T00:00:00Z }]",
            "closed_periods[0].end", "2026-01-01", "later than start",
        ),
        (
            OVERLAPPING, "closed_periods", "2026-01-02", "do not overlap",
        ),
        ('book_states = ["good"]', "book_states", "good", "proven, unproven"),
        ("book_states = []", "book_states", "[]", "a list of"),
        (RULE, "escalations[0].limit", "drawdown_max", "that the policy sets for one of mesh"),
        (SET + RULE.replace("drawdown_max", "drawdown_mx"), "escalations[0].limit", "drawdown_mx",
         "did you mean 'drawdown_max'"),
        (SET + RULE.replace("closing_all", "panic"), "escalations[0]", "panic", "closing_all"),
        (SET + RULE.replace(" }]", ", share = 0 }]"), "escalations[0].share", "0", "above 0"),
        (SET + RULE.replace(" }]", ", release_seconds = 0 }]"),
         "escalations[0].release_seconds", "0", "above 0"),
        (SET + RULE.replace('"closing_all" }', '"halted", release_seconds = 5 }'),
         "escalations[0].release_seconds", "5", "a person releases"),
        (SET + RULE.replace("closing_all", "throttled"), "escalations[0].mode", "throttled",
         "throttled_entries_per_minute_max"),
        (SET + RULE.replace("}]", '}, { limit = "drawdown_max", mode = "closing_all" }]'),
         "escalations[1].mode", "closing_all", "once"),
        ("escalations = [1]", "escalations[0]", "1", "a list of"),
        ("liquidation_distance_min = 0.1", "maintenance_margin", "", "needs it"),
        ("maintenance_margin = { okx = 1 }", "maintenance_margin.okx", "1", "below 1"),
        ("liquidation_distance_min = 1.1\nmaintenance_margin = { okx = 0.1 }",
         "liquidation_distance_min", "1.1", "0 to 1"),
        ('drawdown_max = -1\ncurrency = "USDT"', "drawdown_max", "-1", "0 or above"),
        ("drawdown_max = 1", "currency", "", "drawdown_max need it"),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_what_is_allowed(text, field, value, allowed):
    with pytest.raises(PolicyInvalid) as raised:
        read_policy(text, is_complete=False)
    (problem,) = raised.value.problems
    assert problem.field == field
    assert value in problem.value
    assert allowed in problem.allowed
