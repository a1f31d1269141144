"""ListCashFlows: pages of what the venue lists. Nothing of it is kept here."""

from contextlib import aclosing
from typing import NamedTuple

from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.accounting.amounts import plain
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import BadPageToken
from kit.base.paging import make_token, page_size, read_token
from kit.execution.cash_flows import CashFlowPosition, CashFlowQueries, VenueCashFlow
from kit.execution.context import AccountContext
from kit.execution.venue_calls import pages_of

PAGE_SIZE = 200
PAGE_SIZE_MAX = 1000
ANSWER_NS = 5 * NANOSECONDS_PER_SECOND
"""After this time a page ends, however many changes it has: a long history takes many calls."""


class _LeftAt(NamedTuple):
    """Where a page has left the list."""

    after: CashFlowPosition
    span_ns: int = 0
    """How much to ask for next: with each page from a day on, empty years would take hundreds."""


async def list_cash_flows(
    client: CashFlowQueries,
    context: AccountContext,
    request: cash_flows_pb2.ListCashFlowsRequest,
) -> cash_flows_pb2.ListCashFlowsResponse:
    """Return the requested page. Raises as TradeFlow.ListCashFlows."""
    size = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
    left = _left_at(request)
    after, span_ns = (left.after, left.span_ns) if left else (None, 0)
    since_ns = max(0, request.start_time_ns if after is None else after[0])
    answer_by_ns = context.clock.monotonic_ns() + ANSWER_NS
    found: list[VenueCashFlow] = []
    rest: _LeftAt | None = None
    pages = pages_of(client.cash_flows(since_ns, span_ns), context.settings.ask_timeout_s)
    async with aclosing(pages):
        async for page in pages:
            found += [one for one in page.flows if after is None or one.position > after]
            if len(found) > size:
                rest = _LeftAt(found[size - 1].position)
                break
            if context.clock.monotonic_ns() >= answer_by_ns:
                rest = _LeftAt((page.end_ns, 0, ""), page.next_span_ns)
                break
    response = cash_flows_pb2.ListCashFlowsResponse(
        cash_flows=[_message(context, one) for one in found[:size]]
    )
    if rest is not None:
        response.next_page_token = make_token(request, [*rest.after, rest.span_ns])
    return response


def _left_at(request: cash_flows_pb2.ListCashFlowsRequest) -> _LeftAt | None:
    match read_token(request):
        case None:
            return None
        case [int() as time_ns, int() as kind, str() as cash_flow_id, int() as span_ns]:
            return _LeftAt((time_ns, kind, cash_flow_id), span_ns)
    raise BadPageToken("not a page token of this list", page_token=request.page_token)


def _message(context: AccountContext, flow: VenueCashFlow) -> cash_flows_pb2.CashFlow:
    return cash_flows_pb2.CashFlow(
        venue=context.venue,
        account=context.account,
        cash_flow_id=flow.cash_flow_id,
        kind=flow.kind,
        symbol=flow.symbol,
        asset=flow.asset,
        amount=plain(flow.amount),
        venue_time_ns=flow.venue_time_ns,
        detail=flow.detail,
    )
