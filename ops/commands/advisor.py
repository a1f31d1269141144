"""``./venuemesh advisor``: lists, explains and repeats decisions, shows calibration and what
results are due to, and trains scoring models and puts them to use."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from venuemesh.advisor.v1 import advisor_pb2_grpc, decision_reports_pb2
from venuemesh.advisor.v1 import scoring_models_pb2 as registry_pb2
from venuemesh.events.v1 import scoring_models_pb2

from kit.base.paging import whole_list
from ops import gateway, record_database
from ops.advisor import explanation, scoring_models, tables
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
    models = gateway.add_verb(verbs, "models", "the scoring models that were put to use")
    for verb in (listed, calibration, attribution, models):
        verb.add_argument("--strategy", default="", metavar="NAME", help="only of this strategy")
    _add_model_verbs(verbs)


def _add_model_verbs(verbs: Any) -> None:
    train = verbs.add_parser("train", help="train a scoring model on the recorded outcomes")
    train.add_argument("strategy", metavar="STRATEGY")
    train.add_argument("--output", type=Path, required=True, metavar="FILE", help="a new JSON file")
    train.add_argument("--from", dest="start", metavar="TIME", help="of the first decision")
    train.add_argument("--to", dest="end", metavar="TIME", help="the first time after the outcomes")
    record_database.add_arguments(train)
    assign = gateway.add_verb(verbs, "assign", "put a scoring model to use, or to another use")
    assign.add_argument("model", metavar="MODEL", help="its file, or its id if it is registered")
    assign.add_argument("use", choices=scoring_models.USES)
    assign.add_argument("--reason", required=True, help="why; it is kept with the change")


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if a repeated decision differs."""
    if chosen.verb == "train":
        return _train(chosen)
    return asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> int:
    async with gateway.connected(gateway.require(chosen)) as channel:
        return await VERBS[chosen.verb](advisor_pb2_grpc.AdvisorStub(channel), chosen)


def _train(chosen: argparse.Namespace) -> int:
    if chosen.output.exists():
        raise UsageError(f"{chosen.output} is there already: allowed is a new file")
    start_ns = parse_time(chosen.start) if chosen.start else 0
    end_ns = parse_time(chosen.end) if chosen.end else scoring_models.FOREVER_NS
    url = record_database.url_to_read(chosen)
    text = scoring_models.trained(url, chosen.strategy, start_ns, end_ns)
    chosen.output.write_text(text)
    if chosen.json:
        print_json(scoring_models.parsed(text))
    else:
        print(scoring_models.report_line(scoring_models.parsed(text)))
    return 0


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


async def _models(stub: "Stub", chosen: argparse.Namespace) -> int:
    found = await _registered(stub, chosen.strategy)
    if chosen.json:
        print_json(found)
    else:
        console().print(scoring_models.models_table(found.models))
    return 0


async def _registered(stub: "Stub", strategy: str) -> registry_pb2.ListScoringModelsResponse:
    request = registry_pb2.ListScoringModelsRequest(strategy=strategy)
    return await whole_list(stub.ListScoringModels, request, timeout=CALL_SECONDS_MAX)


async def _assign(stub: "Stub", chosen: argparse.Namespace) -> int:
    path = Path(chosen.model)
    if path.is_file():
        model = scoring_models.read_file(path)
    else:
        registered = await _registered(stub, "")
        model = scoring_models.find(registered.models, chosen.model)
    assigned = scoring_models_pb2.AssignedScoringModel(
        model=model, use=scoring_models.use_of(chosen.use)
    )
    request = registry_pb2.SetScoringModelRequest(assigned=assigned, reason=chosen.reason)
    found = await stub.SetScoringModel(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(found)
        return 0
    print(f"{scoring_models.report_line(model)}, is {chosen.use.replace('_', ' ')}")
    if found.changed.replaced_model_id:
        print(f"it replaces model {found.changed.replaced_model_id.hex()[:16]}")
    return 0


VERBS: Mapping[str, Callable[["Stub", argparse.Namespace], Awaitable[int]]] = {
    "list": _list,
    "explain": _explain,
    "repeat": _repeat,
    "calibration": _calibration,
    "attribution": _attribution,
    "models": _models,
    "assign": _assign,
}


def _event_id(text: str) -> bytes:
    """Raises UsageError."""
    found = event_id_of(text)
    if not found:
        raise UsageError(f"{text!r} names no decision: allowed is the {DECISION_FORM}")
    return found
