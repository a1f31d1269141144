"""What ``./venuemesh soak cash`` finds of limits and stops."""

from typing import Any

import pytest
from venuemesh.events.v1 import checks_pb2, event_pb2, risk_pb2
from venuemesh.inspector.v1 import risk_reports_pb2

from benchmarks.soaks.risk_findings import RiskFindings, UnprotectedTimes, findings

ALLOW, BLOCK = risk_pb2.VERDICT_ALLOW, risk_pb2.VERDICT_BLOCK
PASSED, BLOCKED = checks_pb2.CHECK_RESULT_PASSED, checks_pb2.CHECK_RESULT_BLOCKED
PROTECTED = risk_reports_pb2.PROTECTION_STATE_PROTECTED
UNPROTECTED = risk_reports_pb2.PROTECTION_STATE_UNPROTECTED
SECOND_NS = 1_000_000_000


def rows(*_: object) -> list[tuple[Any, ...]]:
    return []


def test_time_without_a_stop_is_from_its_loss_to_its_return() -> None:
    times = UnprotectedTimes(rows)
    times.add([(b"a", PROTECTED, SECOND_NS), (b"b", UNPROTECTED, SECOND_NS)])
    times.add([(b"a", PROTECTED, SECOND_NS), (b"b", UNPROTECTED, 2 * SECOND_NS)])
    assert times.percentiles() == {"p50": 0, "p99": 0, "max": 0}
    times.add([(b"a", PROTECTED, SECOND_NS), (b"b", PROTECTED, 5 * SECOND_NS)])
    times.add([(b"a", UNPROTECTED, 6 * SECOND_NS), (b"b", PROTECTED, 5 * SECOND_NS)])
    times.add([(b"a", PROTECTED, 7 * SECOND_NS)])
    assert times.seconds == [0, 4, 1]
    assert times.percentiles() == {"p50": 1, "p99": 4, "max": 4}


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


def test_reductions_have_no_limit() -> None:
    event = event_pb2.Event(event_id=b"e")
    event.verdict_given.is_reduction = True
    event.verdict_given.verdict = ALLOW
    event.verdict_given.checks.add(name="mode", result=BLOCKED)
    found = findings(lambda query: [(event.SerializeToString(),)], UnprotectedTimes(rows))
    assert found == RiskFindings()
