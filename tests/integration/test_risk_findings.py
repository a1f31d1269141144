"""What ``./venuemesh soak cash`` finds of limits and stops."""

from typing import Any

import pytest
from venuemesh.events.v1 import checks_pb2, event_pb2, risk_pb2
from venuemesh.inspector.v1 import risk_reports_pb2

from benchmarks.soaks.risk_findings import RiskFindings, UnprotectedTimes, findings, percentiles

ALLOW, BLOCK = risk_pb2.VERDICT_ALLOW, risk_pb2.VERDICT_BLOCK
PASSED, BLOCKED = checks_pb2.CHECK_RESULT_PASSED, checks_pb2.CHECK_RESULT_BLOCKED
PROTECTED = risk_reports_pb2.PROTECTION_STATE_PROTECTED
UNKNOWN = risk_reports_pb2.PROTECTION_STATE_UNKNOWN
UNPROTECTED = risk_reports_pb2.PROTECTION_STATE_UNPROTECTED
SECOND_NS = 1_000_000_000


def rows(*_: object) -> list[tuple[Any, ...]]:
    return []


def test_time_without_a_stop_is_from_its_loss_to_its_return_or_the_end_of_the_position() -> None:
    times = UnprotectedTimes(rows)
    times.add([(b"a", PROTECTED, SECOND_NS), (b"b", UNPROTECTED, SECOND_NS)], SECOND_NS)
    times.add([(b"a", PROTECTED, SECOND_NS), (b"b", UNPROTECTED, 2 * SECOND_NS)], 2 * SECOND_NS)
    assert percentiles(times.seconds) == {"p50": 0, "p99": 0, "max": 0}
    times.add([(b"a", PROTECTED, SECOND_NS), (b"b", PROTECTED, 5 * SECOND_NS)], 5 * SECOND_NS)
    times.add([(b"a", UNPROTECTED, 6 * SECOND_NS)], 6 * SECOND_NS)
    times.add([], 7 * SECOND_NS)
    assert times.seconds == [0, 4, 1]
    assert percentiles(times.seconds) == {"p50": 1, "p99": 4, "max": 4}


def test_time_in_which_the_stop_is_not_known_ends_no_time_without_it() -> None:
    times = UnprotectedTimes(rows)
    times.add([(b"a", UNPROTECTED, SECOND_NS), (b"b", UNKNOWN, SECOND_NS)], SECOND_NS)
    times.add([(b"a", UNKNOWN, 2 * SECOND_NS), (b"b", UNKNOWN, SECOND_NS)], 2 * SECOND_NS)
    times.add([(b"a", PROTECTED, 4 * SECOND_NS)], 8 * SECOND_NS)
    assert times.seconds == [3]
    assert times.unknown_seconds == [2, 7]


@pytest.mark.parametrize(
    ("verdict", "check", "breaches"),
    [
        (ALLOW, {"name": "exposure_max", "projected": "11", "limit": "10"}, 1),
        (ALLOW, {"name": "exposure_max", "projected": "10", "limit": "10"}, 0),
        (ALLOW, {"name": "balance_min", "projected": "9", "limit": "10"}, 1),
        (ALLOW, {"name": "mode", "result": BLOCKED}, 1),
        (BLOCK, {"name": "exposure_max", "projected": "11", "limit": "10", "result": BLOCKED}, 0),
    ],
)
def test_allowed_entry_beyond_a_limit_is_a_breach(
    verdict: int, check: dict[str, Any], breaches: int
) -> None:
    event = event_pb2.Event(event_id=b"e")
    event.verdict_given.verdict = verdict  # type: ignore[assignment]
    event.verdict_given.checks.add(**{"result": PASSED, **check})
    found = findings(lambda query: [(event.SerializeToString(),)], UnprotectedTimes(rows))
    assert len(found.limit_breaches) == breaches
    assert (found.entries_allowed, found.entries_refused) == (verdict == ALLOW, verdict == BLOCK)
    assert found.refused_by == ({"exposure_max": 1} if verdict == BLOCK else {})


def test_reductions_have_no_limit() -> None:
    event = event_pb2.Event(event_id=b"e")
    event.verdict_given.is_reduction = True
    event.verdict_given.verdict = ALLOW
    event.verdict_given.checks.add(name="mode", result=BLOCKED)
    found = findings(lambda query: [(event.SerializeToString(),)], UnprotectedTimes(rows))
    assert found == RiskFindings()
