"""What has changed balances at Bybit other than fills: the transaction log of a unified account.

Amounts are texts: ``change`` is ``cashFlow`` plus ``funding`` less ``fee``. Other products share
the account with spot: their trades are listed as OTHER, because their fills are not listed.
https://bybit-exchange.github.io/docs/v5/account/transaction-log
"""

from collections.abc import Iterator, Mapping
from typing import Any

from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.accounting.amounts import subtract
from kit.connector.orders import text_conversion
from kit.connector.orders.cash_flow_spans import RawCashFlows
from kit.connector.orders.rest_session import RestQuerySession
from kit.execution.cash_flows import CashFlowKind, VenueCashFlow
from venues.bybit.account import KEPT_DAYS, pages_of_rows

PAGE = 50
KINDS: Mapping[str, CashFlowKind] = {
    "TRANSFER_IN": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "TRANSFER_OUT": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "SETTLEMENT": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
    "DELIVERY": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
    "LIQUIDATION": cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION,
    "ADL": cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION,
    "FEE_REFUND": cash_flows_pb2.CASH_FLOW_KIND_FEE,
    "INTEREST": cash_flows_pb2.CASH_FLOW_KIND_INTEREST,
}


class BybitCashFlowApi:
    """A unified account that trades spot."""

    kept_days = KEPT_DAYS
    span_days_max = 7

    async def read(self, queries: RestQuerySession, begin_ns: int, end_ns: int) -> RawCashFlows:
        """GET /v5/account/transaction-log, newest first."""
        query = {
            "accountType": "UNIFIED",
            "startTime": text_conversion.milliseconds(begin_ns),
            "endTime": text_conversion.milliseconds(end_ns) - 1,
            "limit": PAGE,
        }
        async for rows in pages_of_rows(queries, "privateGetV5AccountTransactionLog", query):
            yield [flow for row in rows for flow in log_of(row)]


def log_of(row: Mapping[str, Any]) -> Iterator[VenueCashFlow]:
    """{"id":"592324_XRPUSDT_161440249321","symbol":"XRPUSDT","category":"linear",
    "transactionTime":"1672128000000","type":"SETTLEMENT","currency":"USDT","funding":"-0.003676",
    "fee":"0","cashFlow":"0","change":"-0.003676","cashBalance":"1086.3","tradeId":"",…}. Nothing
    for a trade on spot; funding is a change of its own."""
    if row["type"] == "TRADE" and row["category"] == "spot":
        return
    change = text_conversion.amount(row["change"])
    funding = text_conversion.amount(row.get("funding"))
    kind = KINDS.get(row["type"], cash_flows_pb2.CASH_FLOW_KIND_OTHER)
    parts = (
        (cash_flows_pb2.CASH_FLOW_KIND_FUNDING, funding),
        (kind, subtract(change, funding)),
    )
    for part, amount in parts:
        if amount:
            yield VenueCashFlow(
                cash_flow_id=row["id"],
                kind=part,
                symbol=row.get("symbol") or "",
                asset=row["currency"],
                amount=amount,
                venue_time_ns=text_conversion.time_ns(row["transactionTime"]),
                detail=" ".join(filter(None, (row["type"], row.get("transSubType")))),
            )
