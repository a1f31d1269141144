"""``./venuemesh risk``: checks a policy, explains a verdict, compares the past with a policy,
reports the use of capital, and adopts positions."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.audit.v1 import audit_pb2, audit_pb2_grpc
from venuemesh.events.v1 import event_pb2, events_pb2_grpc
from venuemesh.inspector.v1 import (
    adoptions_pb2,
    capital_reports_pb2,
    inspector_pb2_grpc,
    risk_reports_pb2_grpc,
)

from kit.base.paging import whole_list
from kit.risk.policy import Policy
from kit.risk.policy_file import PolicyInvalid, PolicyProblem, read_policy
from ops import gateway
from ops.arguments import add_verbs
from ops.data_files.time_text import parse_time
from ops.errors import EXIT_FAILED, OperationsError, UsageError
from ops.event_ids import event_id_of
from ops.output import print_json
from ops.risk import record, tables
from ops.risk.record import SimulatedEntry
from ops.risk.venue_names import unknown_venues
from ops.supervisor.options import WORLDS
from ops.tables import console, time_text

if TYPE_CHECKING:
    AuditStub: TypeAlias = audit_pb2_grpc.AuditAsyncStub
    InspectorStub: TypeAlias = inspector_pb2_grpc.InspectorAsyncStub
    ReportsStub: TypeAlias = risk_reports_pb2_grpc.RiskReportsAsyncStub

CALL_SECONDS_MAX = 30
NEVER_NS = 2**63 - 1
LIVE = "live"
ORDER_FORM = "EVENT, lc-… of an order, or VENUE ACCOUNT ORDER"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    check = verbs.add_parser("check", help="name everything that is wrong with a policy file")
    check.add_argument("file", type=Path, metavar="FILE", help="the TOML file of a policy")
    check.add_argument(
        "--world",
        choices=WORLDS,
        default=LIVE,
        help="in live, the default, each limit must be set or waived",
    )
    explain = gateway.add_verb(verbs, "explain", "show each check of a verdict")
    explain.add_argument("ids", nargs="+", metavar="ID", help=ORDER_FORM)
    simulate = gateway.add_verb(
        verbs, "simulate", "compare the recorded entries with a policy: what it would have blocked"
    )
    simulate.add_argument("file", type=Path, metavar="FILE", help="the TOML file of a policy")
    simulate.add_argument("--from", dest="start", metavar="TIME", help="default: of the first one")
    simulate.add_argument("--to", dest="end", metavar="TIME", help="the first time after")
    simulate.add_argument("--all", action="store_true", help="also entries that stay as they were")
    capital = gateway.add_verb(
        verbs, "capital", "what strategies use of the capital, and signals that led to no order"
    )
    capital.add_argument("--from", dest="start", metavar="TIME", help="default: 24 hours ago")
    gateway.add_verb(verbs, "legacy", "positions in derivatives that no strategy has opened")
    adopt = gateway.add_verb(verbs, "adopt", "protect and manage such a position from now on")
    adopt.add_argument("venue", metavar="VENUE")
    adopt.add_argument("account", metavar="ACCOUNT")
    adopt.add_argument("symbol", metavar="SYMBOL")
    adopt.add_argument("--stop", required=True, metavar="PRICE", help="where the loss is limited")
    adopt.add_argument("--target", default="", metavar="PRICE", help="where the profit is taken")
    adopt.add_argument(
        "--trail", default="", metavar="DISTANCE", help="of a second stop from the best price"
    )
    adopt.add_argument("--reason", required=True, help="why; it is kept with the adoption")


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if the policy is wrong or nothing is there to explain."""
    if chosen.verb == "check":
        return _check(chosen)
    if chosen.verb == "simulate":
        return asyncio.run(_simulate(chosen))
    if chosen.verb == "capital":
        return asyncio.run(_capital(chosen))
    if chosen.verb == "legacy":
        return asyncio.run(_legacy(chosen))
    if chosen.verb == "adopt":
        return asyncio.run(_adopt(chosen))
    return asyncio.run(_explain(chosen))


def _check(chosen: argparse.Namespace) -> int:
    problems: list[PolicyProblem] = []
    version = ""
    try:
        policy = _read(chosen.file, is_complete=chosen.world == LIVE)
        version, problems = policy.version.hex(), unknown_venues(policy)
    except PolicyInvalid as error:
        problems = error.problems
    if chosen.json:
        found = [problem._asdict() for problem in problems]
        print_json({"file": str(chosen.file), "problems": found, "version": version})
    elif problems:
        for problem in problems:
            print(f"{chosen.file}: {problem}")
    else:
        print(f"{chosen.file}: right, version {version}")
    return EXIT_FAILED if problems else 0


def _read(file: Path, *, is_complete: bool) -> Policy:
    """Raises PolicyInvalid and OperationsError."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OperationsError(f"the policy cannot be read: {error}") from None
    return read_policy(text, is_complete=is_complete)


async def _explain(chosen: argparse.Namespace) -> int:
    request = _question(chosen.ids)
    async with gateway.connected(gateway.require(chosen)) as channel:
        stub: AuditStub = audit_pb2_grpc.AuditStub(channel)
        answer = await stub.Why(request, timeout=CALL_SECONDS_MAX)
    events = [one.event for one in answer.events if one.event.HasField("verdict_given")]
    own = [one for one in events if one.event_id == request.event_id]
    for event in own or events:
        _print_verdict(event, chosen)
    if not events:
        raise OperationsError(f"{' '.join(chosen.ids)}: no verdict is recorded in its chain")
    return 0


async def _capital(chosen: argparse.Namespace) -> int:
    since_ns = parse_time(chosen.start) if chosen.start else 0
    async with gateway.connected(gateway.require(chosen)) as channel:
        stub: ReportsStub = risk_reports_pb2_grpc.RiskReportsStub(channel)
        request = capital_reports_pb2.GetCapitalUseRequest(since_time_ns=since_ns)
        found = await stub.GetCapitalUse(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(found)
        return 0
    print(f"equity {found.equity or f'not known: {found.problem}'} {found.currency}".rstrip())
    console().print(tables.capital(found.strategies))
    print(f"signals to enter that led to no order, since {time_text(found.counted_since_time_ns)}")
    console().print(tables.suppressed(found.suppressed))
    return 0


async def _legacy(chosen: argparse.Namespace) -> int:
    async with gateway.connected(gateway.require(chosen)) as channel:
        stub: ReportsStub = risk_reports_pb2_grpc.RiskReportsStub(channel)
        request = adoptions_pb2.ListLegacyPositionsRequest()
        found = await whole_list(stub.ListLegacyPositions, request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(found)
    else:
        console().print(tables.legacy(found.positions))
    return 0


async def _adopt(chosen: argparse.Namespace) -> int:
    request = adoptions_pb2.AdoptPositionRequest(
        venue=chosen.venue,
        account=chosen.account,
        symbol=chosen.symbol,
        stop_price=chosen.stop,
        target_price=chosen.target,
        trailing_offset=chosen.trail,
        reason=chosen.reason,
    )
    async with gateway.connected(gateway.require(chosen)) as channel:
        stub: InspectorStub = inspector_pb2_grpc.InspectorStub(channel)
        answer = await stub.AdoptPosition(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        print(f"{answer.size} of {chosen.symbol} is adopted, lc-{answer.lifecycle_id.hex()}")
    return 0


def _print_verdict(event: event_pb2.Event, chosen: argparse.Namespace) -> None:
    if chosen.json:
        print_json(event)
        return
    console().print(tables.title(event))
    console().print(tables.checks(event.verdict_given.checks))


def _question(ids: list[str]) -> audit_pb2.WhyRequest:
    """Raises UsageError."""
    if len(ids) == 3:
        return audit_pb2.WhyRequest(venue=ids[0], account=ids[1], order_id=ids[2])
    event_id = event_id_of(ids[0])
    if len(ids) != 1 or not event_id:
        raise UsageError(f"{' '.join(ids)!r} names no event and no order: allowed is {ORDER_FORM}")
    return audit_pb2.WhyRequest(event_id=event_id)


async def _simulate(chosen: argparse.Namespace) -> int:
    from_ns = parse_time(chosen.start) if chosen.start else 0
    to_ns = parse_time(chosen.end) if chosen.end else NEVER_NS
    try:
        policy = _read(chosen.file, is_complete=False)
    except PolicyInvalid as error:
        raise OperationsError(f"{chosen.file}: {error}") from None
    async with gateway.connected(gateway.require(chosen)) as channel:
        stub = events_pb2_grpc.EventsStub(channel)
        found = [one async for one in record.simulated(stub, policy, from_ns, to_ns)]
    shown = [one for one in found if chosen.all or _differs(one) or one.verdict.not_recorded]
    counts = {
        "entries": len(found),
        "were_allowed": sum(one.verdict.was_allowed for one in found),
        "would_be_blocked": sum(_differs(one) and one.verdict.was_allowed for one in found),
        "would_be_allowed": sum(_differs(one) and one.verdict.is_allowed for one in found),
        "not_recorded": sum(bool(one.verdict.not_recorded) for one in found),
    }
    if chosen.json:
        for one in shown:
            print_json(_row(one))
        print_json(counts)
        return 0
    if shown:
        console().print(tables.simulated(shown))
    print(
        f"{counts['entries']} entries, {counts['were_allowed']} were allowed; "
        f"{counts['would_be_blocked']} of these would be blocked, and "
        f"{counts['would_be_allowed']} others allowed; of {counts['not_recorded']} a fact that a "
        "limit needs was not recorded"
    )
    return 0


def _differs(one: SimulatedEntry) -> bool:
    """Whether the policy decides otherwise. What was not recorded decides nothing."""
    if one.verdict.is_allowed and one.verdict.not_recorded:
        return False
    return one.verdict.is_allowed != one.verdict.was_allowed


def _row(one: SimulatedEntry) -> dict[str, object]:
    place = one.entry.position_key
    return {
        "event_id": one.event_id.hex(),
        "time_ns": one.time_ns,
        "venue": place.venue,
        "account": place.account,
        "symbol": place.symbol,
        "strategy": place.strategy,
        "was_allowed": one.verdict.was_allowed,
        "would_be_allowed": one.verdict.is_allowed,
        "blocked_by": list(one.verdict.blocked_by),
        "not_recorded": list(one.verdict.not_recorded),
    }
