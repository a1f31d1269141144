"""``./venuemesh inspector``: the modes of the mesh, and what strategies hold."""

import argparse
import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc, reconciliations_pb2

from kit.base.paging import whole_list
from ops import gateway
from ops.arguments import add_verbs
from ops.inspector import tables
from ops.output import print_json
from ops.tables import console

if TYPE_CHECKING:
    Stub: TypeAlias = inspector_pb2_grpc.InspectorAsyncStub

CALL_SECONDS_MAX = 30
MODES = {
    name: risk_pb2.TradingMode.Value(f"{tables.PREFIX}{name.upper().replace('-', '_')}")
    for name in ("active", "throttled", "standing-down", "closing-all", "halted")
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    gateway.add_verb(verbs, "state", "the modes, and what strategies hold")
    gateway.add_verb(verbs, "reconciliation", "on what venue, ledger and inspector differ")
    mode = gateway.add_verb(verbs, "mode", "stop entries, close what is held, or go on")
    mode.add_argument(
        "scope", metavar="SCOPE", help="mesh, venue:V, account:V/A or strategy:S; as in state"
    )
    mode.add_argument("mode", choices=MODES, help="closing-all also closes what strategies hold")
    mode.add_argument("--reason", required=True, help="why; it is kept with the change")


def run(chosen: argparse.Namespace) -> int:
    """Return 0."""
    return asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> int:
    async with gateway.connected(gateway.require(chosen)) as channel:
        stub: Stub = inspector_pb2_grpc.InspectorStub(channel)
        if chosen.verb == "mode":
            return await _set_mode(stub, chosen)
        if chosen.verb == "reconciliation":
            return await _show_reconciliation(stub, chosen)
        return await _show_state(stub, chosen)


async def _show_state(stub: "Stub", chosen: argparse.Namespace) -> int:
    state = await stub.GetState(inspector_pb2.GetStateRequest(), timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(state)
        return 0
    console().print(tables.modes(state.modes))
    if state.positions or state.rests:
        console().print(tables.positions([*state.positions, *state.rests]))
    _warn(state.unfenced_accounts)
    return 0


async def _show_reconciliation(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = reconciliations_pb2.ListReconciliationsRequest()
    found = await whole_list(stub.ListReconciliations, request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(found)
        return 0
    console().print(tables.reconciliations(found.reconciliations))
    differing = [one for one in found.reconciliations if one.differences]
    if differing:
        console().print(tables.differences(differing))
    return 0


async def _set_mode(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = inspector_pb2.SetModeRequest(
        scope=chosen.scope, mode=MODES[chosen.mode], reason=chosen.reason
    )
    answer = await stub.SetMode(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        console().print(tables.modes([answer.mode]))
        _warn(answer.mode.unfenced_accounts)
    return 0


def _warn(accounts: Sequence[str]) -> None:
    text = tables.unfenced(accounts)
    if text:
        console().print(text)
