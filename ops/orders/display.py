"""The responses of ``./venuemesh order`` on a terminal."""

from collections.abc import Iterator, Sequence

from google.protobuf.message import Message
from rich.console import RenderableType
from venuemesh.events.v1 import checks_pb2, risk_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import accounts_pb2, flatten_pb2, trade_flow_pb2

from ops.orders import tables
from ops.orders.calls import left_open
from ops.tables import word

FLAT = "the account is flat: the venue has confirmed it"


def lines(answer: Message) -> Iterator[RenderableType]:
    """Tables and lines, in order."""
    match answer:
        case trade_flow_pb2.StreamExecutionsResponse():
            yield from _event(answer)
        case flatten_pb2.FlattenResponse():
            yield from _flattened(answer)
        case inspector_pb2.SubmitManualResponse():
            yield from _submitted(answer)
        case trade_flow_pb2.GetOrderResponse():
            yield tables.order(answer.order)
        case trade_flow_pb2.CancelAllOrdersResponse():
            yield tables.orders([*answer.orders, *answer.left_open])
        case trade_flow_pb2.ListFillsResponse():
            yield tables.fills(answer.fills)
        case trade_flow_pb2.ListBalancesResponse():
            yield tables.balances(answer.balances)
        case trade_flow_pb2.ListPositionsResponse():
            yield tables.positions(answer.positions)
        case accounts_pb2.ListAccountsResponse() | accounts_pb2.HeartbeatResponse():
            yield tables.accounts(_accounts(answer))
        case _:
            yield _orders(answer)


def _accounts(
    answer: accounts_pb2.ListAccountsResponse | accounts_pb2.HeartbeatResponse,
) -> Sequence[accounts_pb2.Account]:
    if isinstance(answer, accounts_pb2.HeartbeatResponse):
        return [answer.account]
    return answer.accounts


def _orders(answer: Message) -> RenderableType:
    """Of a response with one order, or with several."""
    one = "order" in answer.DESCRIPTOR.fields_by_name
    return tables.orders([answer.order] if one else answer.orders)  # type: ignore[attr-defined]


def _submitted(answer: inspector_pb2.SubmitManualResponse) -> Iterator[RenderableType]:
    verdict, submitted = answer.verdict, answer.submitted
    if answer.HasField("proposal"):
        state = risk_pb2.ProposalState.Name(answer.proposal.state)
        yield f"it is a proposal: {word(state, 'PROPOSAL_STATE_')}; nothing was sent"
        return
    if verdict.verdict != risk_pb2.VERDICT_ALLOW:
        name = risk_pb2.Verdict.Name(verdict.verdict).removeprefix("VERDICT_")
        yield f"the inspector has not approved it: {name}; nothing was sent"
        yield tables.checks(
            [one for one in verdict.checks if one.result == checks_pb2.CHECK_RESULT_BLOCKED]
        )
    elif not answer.HasField("submitted"):
        yield "the inspector has approved it; whether it reached the venue is not known yet"
    elif submitted.outcome == risk_pb2.SUBMISSION_OUTCOME_TAKEN:
        yield tables.orders(submitted.orders)
    else:
        reason = submitted.refusal_reason or "the approval has ended"
        yield f"nothing was sent: {reason}: {submitted.detail}"
    yield f"why: ./venuemesh audit why event {answer.lifecycle_id.hex()}"


def _flattened(answer: flatten_pb2.FlattenResponse) -> Iterator[RenderableType]:
    if answer.under_way:
        yield f"under way: {left_open(answer.left_open)}"
        return
    if not answer.left_open:
        yield FLAT
    yield tables.orders(answer.orders)


def _event(answer: trade_flow_pb2.StreamExecutionsResponse) -> Iterator[RenderableType]:
    kind = answer.WhichOneof("event") or ""
    match kind:
        case "snapshot":
            yield tables.orders(answer.snapshot.orders)
            for one in answer.snapshot.left_open:
                yield f"left open {left_open([one])}"
        case "order":
            yield " ".join((kind, *tables.order_cells(answer.order)))
        case "fill":
            yield " ".join((kind, *tables.fill_cells(answer.fill)))
        case "account":
            yield " ".join((kind, *tables.account_cells(answer.account)))
        case _:
            yield " ".join((kind, str(getattr(answer, kind)).replace("\n", " ")))
