"""``./venuemesh advisor``: lists, explains and repeats decisions, and shows calibration and what
results are due to."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.advisor.v1 import advisor_pb2_grpc, decision_reports_pb2

from kit.base.paging import whole_list
from ops import gateway
from ops.advisor import explanation, tables
from ops.arguments import add_verbs
from ops.data_files.time_text import parse_time
from ops.errors import EXIT_FAILED, UsageError
from ops.event_ids import event_id_of
from ops.output import print_json
from ops.tables import console, time_text

if TYPE_CHECKING:
    Stub: TypeAlias = advisor_pb2_grpc.AdvisorAsyncStub

CALL_SECONDS_MAX = 30
COUNT = 20
DECISION_FORM = "id of the decision or of its signal in hex, or lc-… of an order"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    listed = gateway.add_verb(verbs, "list", f"the newest {COUNT} decisions with their outcomes")
    explain = gateway.add_verb(verbs, "explain", "a decision stage by stage, in plain words")
    repeat = gateway.add_verb(verbs, "repeat", "decide again from the record, and compare")
    for verb in (explain, repeat):
        verb.add_argument("decision", type=_event_id, metavar="DECISION", help=DECISION_FORM)
    calibration = gateway.add_verb(verbs, "calibration", "the calibration maps in force")
    calibration.add_argument("--bins", action="store_true", help="also the reliability of each")
    attribution = gateway.add_verb(verbs, "attribution", "what has earned or lost how much")
    attribution.add_argument("--from", dest="start", metavar="TIME", help="default: 24 hours ago")
    for verb in (listed, calibration, attribution):
        verb.add_argument("--strategy", default="", metavar="NAME", help="only of this strategy")


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if a repeated decision differs."""
    return asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> int:
    async with gateway.connected(gateway.require(chosen)) as channel:
        return await VERBS[chosen.verb](advisor_pb2_grpc.AdvisorStub(channel), chosen)


async def _list(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = decision_reports_pb2.ListDecisionsRequest(strategy=chosen.strategy, page_size=COUNT)
    found = await stub.ListDecisions(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(found)
    else:
        console().print(tables.decisions(found.decisions))
    return 0


async def _explain(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = decision_reports_pb2.ExplainDecisionRequest(event_id=chosen.decision)
    found = await stub.ExplainDecision(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(found)
        return 0
    for line in explanation.lines(found):
        print(line)
    return 0


async def _repeat(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = decision_reports_pb2.RepeatDecisionRequest(event_id=chosen.decision)
    found = await stub.RepeatDecision(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(found)
    elif found.is_equal:
        print(f"decision {found.event_id.hex()} made again: every byte is equal")
    else:
        print(f"decision {found.event_id.hex()} made again differs")
        console().print(tables.differences(found.differences))
    return 0 if found.is_equal else EXIT_FAILED


async def _calibration(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = decision_reports_pb2.ListCalibrationsRequest(strategy=chosen.strategy)
    found = await whole_list(stub.ListCalibrations, request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(found)
        return 0
    console().print(tables.calibrations(found.calibrations))
    for one in found.calibrations if chosen.bins else ():
        if one.HasField("report"):
            print(f"{one.map.strategy}, {tables.regime(one.map)}")
            console().print(tables.reliability(one.report))
    return 0


async def _attribution(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = decision_reports_pb2.GetAttributionRequest(
        strategy=chosen.strategy, since_time_ns=parse_time(chosen.start) if chosen.start else 0
    )
    found = await stub.GetAttribution(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(found)
    else:
        print(f"outcomes of decisions since {time_text(found.counted_since_time_ns)}")
        console().print(tables.attribution(found.results))
    return 0


VERBS: Mapping[str, Callable[["Stub", argparse.Namespace], Awaitable[int]]] = {
    "list": _list,
    "explain": _explain,
    "repeat": _repeat,
    "calibration": _calibration,
    "attribution": _attribution,
}


def _event_id(text: str) -> bytes:
    """Raises UsageError."""
    found = event_id_of(text)
    if not found:
        raise UsageError(f"{text!r} names no decision: allowed is the {DECISION_FORM}")
    return found
