"""``./venuemesh order costs``: what orders have cost, one by one or added up."""

import argparse
import asyncio
from typing import Any

from google.protobuf.message import Message
from rich.table import Table
from venuemesh.history.v1 import history_pb2_grpc, order_costs_pb2

from ops import gateway
from ops.data_files.time_text import parse_time
from ops.orders import cost_tables
from ops.output import print_json
from ops.tables import console

CALL_SECONDS_MAX = 600
"""A summary reads thousands of orders."""
COUNT = 50
PREFIX = "ORDER_COSTS_GROUPING_"
GROUPINGS = {
    name.removeprefix(PREFIX).lower().replace("_", "-"): number
    for name, number in order_costs_pb2.OrderCostsGrouping.items()
    if number
}


def add_arguments(verbs: Any) -> None:
    """Add the verb ``costs``."""
    costs = gateway.add_verb(verbs, "costs", "what orders have cost: slippage, shortfall, fees")
    costs.add_argument("--venue", default="", help="of one venue only")
    costs.add_argument("--account", default="", help="of one account at the venue only")
    costs.add_argument("--symbol", default="", help="of one instrument only")
    costs.add_argument("--strategy", default="", help="of one strategy only")
    costs.add_argument("--from", dest="start", metavar="TIME", help="stored at this time or later")
    costs.add_argument("--to", dest="end", metavar="TIME", help="stored before this time")
    costs.add_argument(
        "--count", type=int, default=COUNT, metavar="N", help=f"newest orders; default: {COUNT}"
    )
    costs.add_argument(
        "--by", nargs="*", choices=GROUPINGS, help="add up, weighted by notional; none: all of it"
    )


def run(chosen: argparse.Namespace) -> int:
    """Return 0."""
    return asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> int:
    async with gateway.connected(gateway.require(chosen)) as channel:
        stub: history_pb2_grpc.HistoryAsyncStub = history_pb2_grpc.HistoryStub(channel)
        answer: Message
        if chosen.by is None:
            listed = answer = await _listed(stub, chosen)
            shown = cost_tables.orders(listed.orders)
        else:
            request = order_costs_pb2.SummarizeOrderCostsRequest(
                filter=_filter(chosen), groupings=[GROUPINGS[name] for name in chosen.by]
            )
            added = answer = await stub.SummarizeOrderCosts(request, timeout=CALL_SECONDS_MAX)
            shown = cost_tables.groups(added.groups, chosen.by)
            if added.is_truncated and not chosen.json:
                print(cost_tables.truncated(added))
    _show(answer, shown, chosen)
    return 0


async def _listed(
    stub: "history_pb2_grpc.HistoryAsyncStub", chosen: argparse.Namespace
) -> order_costs_pb2.ListOrderCostsResponse:
    """The newest orders, from as many pages as they need."""
    request = order_costs_pb2.ListOrderCostsRequest(filter=_filter(chosen))
    found = order_costs_pb2.ListOrderCostsResponse()
    while len(found.orders) < chosen.count:
        request.page_size = min(chosen.count - len(found.orders), COUNT)
        page = await stub.ListOrderCosts(request, timeout=CALL_SECONDS_MAX)
        found.MergeFrom(page)
        found.next_page_token = request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    return found


def _filter(chosen: argparse.Namespace) -> order_costs_pb2.OrderCostsFilter:
    return order_costs_pb2.OrderCostsFilter(
        venue=chosen.venue,
        account=chosen.account,
        symbol=chosen.symbol,
        strategy=chosen.strategy,
        start_time_ns=parse_time(chosen.start) if chosen.start else 0,
        end_time_ns=parse_time(chosen.end) if chosen.end else 0,
    )


def _show(answer: Message, shown: Table, chosen: argparse.Namespace) -> None:
    if chosen.json:
        print_json(answer)
    else:
        console().print(shown)
