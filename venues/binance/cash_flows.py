"""What has changed balances at Binance other than fills.

Spot has no list of all changes. Deposits, withdrawals, dividends, and transfers between the wallets
of the account have a list each; conversions and transfers of subaccounts are not read. Futures have
one list, the income. Amounts are texts. Ids are made of the kind of the row and its id, which is
unique per kind.
https://developers.binance.com/docs/wallet
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.connector.orders import text_conversion
from kit.connector.orders.cash_flow_spans import RawCashFlows
from kit.connector.orders.rest_session import RestQuerySession
from kit.execution.cash_flows import CashFlowKind, VenueCashFlow

ROWS_MAX = 1000
OF_FILLS = frozenset({"REALIZED_PNL", "COMMISSION"})
"""They belong to a fill where they name its ``tradeId``."""
INCOME_KINDS: Mapping[str, CashFlowKind] = {
    "FUNDING_FEE": cash_flows_pb2.CASH_FLOW_KIND_FUNDING,
    "SPECIAL_FUNDING_FEE": cash_flows_pb2.CASH_FLOW_KIND_FUNDING,
    "COMMISSION": cash_flows_pb2.CASH_FLOW_KIND_FEE,
    "COMMISSION_REBATE": cash_flows_pb2.CASH_FLOW_KIND_FEE,
    "API_REBATE": cash_flows_pb2.CASH_FLOW_KIND_FEE,
    "REFERRAL_KICKBACK": cash_flows_pb2.CASH_FLOW_KIND_FEE,
    "POSITION_LIMIT_INCREASE_FEE": cash_flows_pb2.CASH_FLOW_KIND_FEE,
    "REALIZED_PNL": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
    "DELIVERED_SETTELMENT": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
    "OPTIONS_SETTLE_PROFIT": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
    "INSURANCE_CLEAR": cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION,
    "TRANSFER": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "INTERNAL_TRANSFER": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "CROSS_COLLATERAL_TRANSFER": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "COIN_SWAP_DEPOSIT": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "COIN_SWAP_WITHDRAW": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
}


WALLET_ROWS_MAX = 1000
DIVIDENDS_MAX = 500
TRANSFERS_MAX = 100
TRANSFER_TYPES = tuple(
    name
    for wallet in ("UMFUTURE", "CMFUTURE", "MARGIN", "FUNDING", "OPTION")
    for name in (f"MAIN_{wallet}", f"{wallet}_MAIN")
)
"""Out of the spot wallet, and into it."""
CREDITED = frozenset({1, 6})
"""States of deposits whose amount is in the balance."""
COMPLETED = 6
"""State of a withdrawal that is done."""
CONFIRMED = "CONFIRMED"


class BinanceSpotCashFlowApi:
    """Spot."""

    kept_days = 180
    span_days_max = 30

    async def read(self, queries: RestQuerySession, begin_ns: int, end_ns: int) -> RawCashFlows:
        """GET capital/deposit/hisrec, capital/withdraw/history, asset/assetDividend, and
        asset/transfer for each type."""
        span = {
            "startTime": text_conversion.milliseconds(begin_ns),
            "endTime": text_conversion.milliseconds(end_ns) - 1,
        }
        async for rows in _by_offset(queries, "sapiGetCapitalDepositHisrec", span):
            yield [deposit_of(row) for row in rows if int(row["status"]) in CREDITED]
        async for rows in _by_offset(queries, "sapiGetCapitalWithdrawHistory", span):
            done = [row for row in rows if int(row["status"]) == COMPLETED]
            yield [flow for row in done for flow in withdrawal_of(row)]
        async for rows in _dividends(queries, span):
            yield [dividend_of(row) for row in rows]
        for name in TRANSFER_TYPES:
            async for rows in _transfers(queries, name, span):
                yield [transfer_of(row) for row in rows if row["status"] == CONFIRMED]


class BinanceFuturesCashFlowApi:
    """USD-M futures."""

    kept_days = 90
    span_days_max = 7

    async def read(self, queries: RestQuerySession, begin_ns: int, end_ns: int) -> RawCashFlows:
        """GET income, oldest first."""
        query = {
            "startTime": text_conversion.milliseconds(begin_ns),
            "endTime": text_conversion.milliseconds(end_ns) - 1,
            "limit": ROWS_MAX,
        }
        page = 1
        while rows := await queries.ask("fapiPrivateGetIncome", {**query, "page": page}):
            yield [income_of(row) for row in rows if not _is_of_fill(row)]
            page += 1


def income_of(row: Mapping[str, Any]) -> VenueCashFlow:
    """{"symbol":"BTCUSDT","incomeType":"FUNDING_FEE","income":"-0.37500000","asset":"USDT",
    "info":"FUNDING_FEE","time":1570608000000,"tranId":9689322392,"tradeId":""}"""
    income_type = row["incomeType"]
    info = row.get("info") or ""
    return VenueCashFlow(
        cash_flow_id=f"{income_type}:{row['tranId']}",
        kind=INCOME_KINDS.get(income_type, cash_flows_pb2.CASH_FLOW_KIND_OTHER),
        symbol=row.get("symbol") or "",
        asset=row["asset"],
        amount=text_conversion.amount(row["income"]),
        venue_time_ns=text_conversion.time_ns(row["time"]),
        detail=income_type if info in ("", income_type) else f"{income_type}: {info}",
    )


def _is_of_fill(row: Mapping[str, Any]) -> bool:
    return row["incomeType"] in OF_FILLS and bool(row.get("tradeId"))


def deposit_of(row: Mapping[str, Any]) -> VenueCashFlow:
    """{"id":"769800519366885376","amount":"0.001","coin":"BNB","status":1,
    "insertTime":1661493146000,"txId":"9838…",…}"""
    return VenueCashFlow(
        cash_flow_id=f"deposit:{row['id']}",
        kind=cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
        symbol="",
        asset=row["coin"],
        amount=text_conversion.amount(row["amount"]),
        venue_time_ns=text_conversion.time_ns(row["insertTime"]),
        detail=f"deposit {row.get('txId') or ''}".rstrip(),
    )


def withdrawal_of(row: Mapping[str, Any]) -> Iterator[VenueCashFlow]:
    """{"id":"b6ae22b3…","amount":"8.91000000","transactionFee":"0.004","coin":"USDT","status":6,
    "applyTime":"2019-10-12 11:12:02","txId":"0xb5ef…",…}. The fee is taken besides the amount."""
    parts = (
        (cash_flows_pb2.CASH_FLOW_KIND_TRANSFER, row["amount"]),
        (cash_flows_pb2.CASH_FLOW_KIND_FEE, row.get("transactionFee")),
    )
    applied = datetime.fromisoformat(row["applyTime"]).replace(tzinfo=UTC)
    for kind, text in parts:
        amount = text_conversion.amount(text)
        if amount:
            yield VenueCashFlow(
                cash_flow_id=f"withdrawal:{row['id']}",
                kind=kind,
                symbol="",
                asset=row["coin"],
                amount=-amount,
                venue_time_ns=int(applied.timestamp()) * NANOSECONDS_PER_SECOND,
                detail=f"withdrawal {row.get('txId') or ''}".rstrip(),
            )


def dividend_of(row: Mapping[str, Any]) -> VenueCashFlow:
    """{"id":1637366104,"amount":"10.00000000","asset":"BHFT","divTime":1563189166000,
    "enInfo":"BHFT distribution","tranId":2968885920,"direction":1}"""
    return VenueCashFlow(
        cash_flow_id=f"dividend:{row['id']}",
        kind=cash_flows_pb2.CASH_FLOW_KIND_OTHER,
        symbol="",
        asset=row["asset"],
        amount=text_conversion.amount(row["amount"]) * (1 if row.get("direction", 1) else -1),
        venue_time_ns=text_conversion.time_ns(row["divTime"]),
        detail=f"dividend {row.get('enInfo') or ''}".rstrip(),
    )


def transfer_of(row: Mapping[str, Any]) -> VenueCashFlow:
    """{"asset":"USDT","amount":"1","type":"MAIN_UMFUTURE","status":"CONFIRMED",
    "tranId":11415955596,"timestamp":1544433328000}"""
    amount = text_conversion.amount(row["amount"])
    return VenueCashFlow(
        cash_flow_id=f"transfer:{row['tranId']}",
        kind=cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
        symbol="",
        asset=row["asset"],
        amount=-amount if row["type"].startswith("MAIN_") else amount,
        venue_time_ns=text_conversion.time_ns(row["timestamp"]),
        detail=f"transfer {row['type']}",
    )


async def _by_offset(
    queries: RestQuerySession, method: str, span: Mapping[str, Any]
) -> AsyncIterator[Sequence[Any]]:
    """Pages of a list that is newest first, by the number of rows before each."""
    skipped = 0
    while rows := await queries.ask(method, {**span, "limit": WALLET_ROWS_MAX, "offset": skipped}):
        yield rows
        skipped += len(rows)
        if len(rows) < WALLET_ROWS_MAX:
            return


async def _dividends(
    queries: RestQuerySession, span: Mapping[str, Any]
) -> AsyncIterator[Sequence[Any]]:
    """Newest first; the last millisecond of a full page is asked for again."""
    query = {**span, "limit": DIVIDENDS_MAX}
    while True:
        rows = (await queries.ask("sapiGetAssetAssetDividend", query))["rows"]
        yield rows
        oldest_ms = min((int(row["divTime"]) for row in rows), default=0)
        if len(rows) < DIVIDENDS_MAX or oldest_ms >= query["endTime"]:
            return
        query["endTime"] = oldest_ms


async def _transfers(
    queries: RestQuerySession, name: str, span: Mapping[str, Any]
) -> AsyncIterator[Sequence[Any]]:
    """Newest first, in numbered pages."""
    page = 1
    while True:
        query = {**span, "type": name, "current": page, "size": TRANSFERS_MAX}
        rows = (await queries.ask("sapiGetAssetTransfer", query)).get("rows") or ()
        yield rows
        if len(rows) < TRANSFERS_MAX:
            return
        page += 1
