"""What has changed balances at Deribit other than trades: the transaction log.

Amounts are numbers, read as the text that the venue has sent. A trade changes the balance by its
fee. Its profit is in the ``change`` of the daily settlement, with that of the open position and
with the funding of the session, which is ``total_interest_pl``.
https://docs.deribit.com/api-reference/account-management/private-get_transaction_log
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.accounting.amounts import subtract
from kit.connector.orders import text_conversion
from kit.connector.orders.cash_flow_spans import RawCashFlows
from kit.connector.orders.rest_session import RestQuerySession
from kit.execution.cash_flows import CashFlowKind, VenueCashFlow
from venues.deribit.account import DeribitAccountApi

PAGE = 100
CALLS_AT_ONCE = 6
PAUSE_S = 1.0
"""Between more calls than these: the venue allows one per second, and eight at once."""
TRADE = "trade"
KINDS: Mapping[str, CashFlowKind] = {
    "deposit": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "withdrawal": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "transfer": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "settlement": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
    "delivery": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
}


class DeribitCashFlowApi:
    """All currencies of an account."""

    kept_days = 3650
    span_days_max = None

    def __init__(self, account: DeribitAccountApi) -> None:
        self._account = account

    async def read(self, queries: RestQuerySession, begin_ns: int, end_ns: int) -> RawCashFlows:
        """GET private/get_transaction_log, by currency."""
        calls = 0
        for currency in self._account.currencies:
            query: dict[str, Any] = {
                "currency": currency,
                "start_timestamp": text_conversion.milliseconds(begin_ns),
                "end_timestamp": text_conversion.milliseconds(end_ns),
                "count": PAGE,
            }
            while query:
                calls += 1
                if calls > CALLS_AT_ONCE:
                    await asyncio.sleep(PAUSE_S)
                result = (await queries.ask("privateGetGetTransactionLog", query))["result"]
                yield [flow for row in result["logs"] for flow in log_of(row)]
                more = result.get("continuation")
                query = {**query, "continuation": more} if more and result["logs"] else {}


def log_of(row: Mapping[str, Any]) -> Iterator[VenueCashFlow]:
    """{"id":61312,"type":"settlement","timestamp":1613657734620,"currency":"BTC",
    "instrument_name":"BTC-PERPETUAL","change":-0.00123,"interest_pl":0.0000001,
    "total_interest_pl":0.0000003,"cashflow":-0.00123,"balance":1.5,"commission":0,…}. Nothing for
    a trade; funding is a change of its own."""
    if row["type"] == TRADE:
        return
    change = text_conversion.amount(row["change"])
    of_session = row.get("total_interest_pl")
    funding = row.get("interest_pl") if of_session is None else of_session
    funding = text_conversion.amount(funding) if change else change
    parts = (
        (cash_flows_pb2.CASH_FLOW_KIND_FUNDING, funding),
        (KINDS.get(row["type"], cash_flows_pb2.CASH_FLOW_KIND_OTHER), subtract(change, funding)),
    )
    for kind, amount in parts:
        if amount:
            yield VenueCashFlow(
                cash_flow_id=str(row["id"]),
                kind=kind,
                symbol=row.get("instrument_name") or "",
                asset=row["currency"],
                amount=amount,
                venue_time_ns=text_conversion.time_ns(row["timestamp"]),
                detail=row["type"],
            )
