"""What has changed balances at OKX other than fills: the bills of the trading account.

Amounts are texts. Bills of fills name a ``tradeId``. Spot and swaps share the account: bills of
trades of the other kind are listed as OTHER, because their fills are not listed.
https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-bills-details-last-3-months
"""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.connector.orders import text_conversion
from kit.connector.orders.cash_flow_spans import RawCashFlows
from kit.connector.orders.rest_session import RestQuerySession
from kit.execution.cash_flows import CashFlowKind, VenueCashFlow
from venues.okx.account import PAGE, pages_of_rows

OF_FILLS = frozenset({"2", "5", "9", "14"})
"""Trade, liquidation, auto-deleveraging and block trade, where they name a ``tradeId``."""
KINDS: Mapping[str, CashFlowKind] = {
    "1": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "3": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
    "5": cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION,
    "6": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "7": cash_flows_pb2.CASH_FLOW_KIND_INTEREST,
    "8": cash_flows_pb2.CASH_FLOW_KIND_FUNDING,
    "9": cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION,
    "10": cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION,
    "12": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "34": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
}
"""By bill type. 10 is a clawback."""


class OkxCashFlowApi:
    """The trading account."""

    kept_days = 90
    span_days_max = 90

    def __init__(self, kind: str) -> None:
        """``kind``: SPOT or SWAP."""
        self._kind = kind

    async def read(self, queries: RestQuerySession, begin_ns: int, end_ns: int) -> RawCashFlows:
        """GET /api/v5/account/bills-archive, newest first."""
        query = {
            "begin": str(text_conversion.milliseconds(begin_ns)),
            "end": str(text_conversion.milliseconds(end_ns)),
            "limit": str(PAGE),
        }
        pages = pages_of_rows(queries, "privateGetAccountBillsArchive", query, "billId")
        async for rows in pages:
            yield [bill_of(row) for row in rows if not self._is_of_fill(row)]

    def _is_of_fill(self, row: Mapping[str, Any]) -> bool:
        is_traded = row["type"] in OF_FILLS and row["instType"] == self._kind
        return is_traded and row.get("tradeId") not in (None, "", "0")


def bill_of(row: Mapping[str, Any]) -> VenueCashFlow:
    """{"billId":"623950854533513219","type":"8","subType":"173","instId":"BTC-USDT-SWAP",
    "ccy":"USDT","balChg":"-0.5","bal":"99.5","notes":"","ts":"1695033476167",…}"""
    bill_type = row["type"]
    return VenueCashFlow(
        cash_flow_id=row["billId"],
        kind=KINDS.get(bill_type, cash_flows_pb2.CASH_FLOW_KIND_OTHER),
        symbol=row.get("instId") or "",
        asset=row["ccy"],
        amount=text_conversion.amount(row["balChg"]),
        venue_time_ns=text_conversion.time_ns(row["ts"]),
        detail=f"type {bill_type}/{row.get('subType', '')} {row.get('notes') or ''}".rstrip(),
    )
