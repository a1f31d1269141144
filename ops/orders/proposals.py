"""``./venuemesh order proposals``, ``confirm`` and ``decline``: what models have proposed."""

import argparse
import asyncio
from collections.abc import Iterator
from typing import TypeAlias

from google.protobuf.message import Message
from rich.console import RenderableType
from rich.table import Table
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc, proposals_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.paging import whole_list
from ops import gateway
from ops.orders import display, outcomes, tables
from ops.output import print_json
from ops.tables import console, table, time_text, word

CALL_SECONDS_MAX = 30
COLUMNS = ("request id", "by", "operation", "account", "symbol", "order", "expires", "detail")
STATE_PREFIX = "PROPOSAL_STATE_"

Stub: TypeAlias = "inspector_pb2_grpc.InspectorAsyncStub"


def run(chosen: argparse.Namespace) -> int:
    """Return an exit code of ``outcomes``."""
    return asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> int:
    async with gateway.connected(gateway.require(chosen)) as channel:
        stub: Stub = inspector_pb2_grpc.InspectorStub(channel)
        answer = await _answer(stub, chosen)
    if chosen.json:
        print_json(answer)
    else:
        for line in _lines(answer):
            console().print(line)
    if isinstance(answer, inspector_pb2.ConfirmProposalResponse):
        return outcomes.of_answer(answer.submitted, chosen)
    return 0


async def _answer(stub: Stub, chosen: argparse.Namespace) -> Message:
    if chosen.verb == "confirm":
        confirm = inspector_pb2.ConfirmProposalRequest(request_id=chosen.request_id)
        return await stub.ConfirmProposal(confirm, timeout=CALL_SECONDS_MAX)
    if chosen.verb == "decline":
        decline = proposals_pb2.DeclineProposalRequest(
            request_id=chosen.request_id, reason=chosen.reason
        )
        return await stub.DeclineProposal(decline, timeout=CALL_SECONDS_MAX)
    request = proposals_pb2.ListProposalsRequest()
    return await whole_list(stub.ListProposals, request, timeout=CALL_SECONDS_MAX)


def _lines(answer: Message) -> Iterator[RenderableType]:
    match answer:
        case inspector_pb2.ConfirmProposalResponse():
            yield from display.lines(answer.submitted)
        case proposals_pb2.DeclineProposalResponse():
            state = risk_pb2.ProposalState.Name(answer.proposal.state)
            yield f"{answer.proposal.requested.request_id} is {word(state, STATE_PREFIX)}"
        case proposals_pb2.ListProposalsResponse():
            yield _table(answer)


def _table(found: proposals_pb2.ListProposalsResponse) -> Table:
    rows = []
    for one in found.proposals:
        asked, content = one.requested, one.requested.content
        operation = word(signed_pb2.Operation.Name(asked.operation), "OPERATION_")
        account = f"{content.venue}/{content.account}"
        terms = "; ".join(map(_terms, [content, *asked.others]))
        orders = " to ".join(filter(None, (asked.target_client_order_id, terms)))
        expires = time_text(one.expires_time_ns)
        what = (operation, account, content.symbol, orders, expires, asked.reason)
        rows.append((asked.request_id, asked.caller, *what))
    return table(COLUMNS, rows)


def _terms(content: orders_pb2.OrderContent) -> str:
    """An order in words; "" of a cancel, which has no terms."""
    if not content.size:
        return ""
    kind = word(orders_pb2.OrderType.Name(content.type), "ORDER_TYPE_")
    parts = [tables.side(content.side), content.size, kind, content.price]
    if content.stop_price:
        parts.append(f"stop {content.stop_price}")
    if content.reduce_only:
        parts.append("reduce only")
    return " ".join(filter(None, parts))
