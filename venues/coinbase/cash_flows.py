"""What has changed balances at Coinbase other than fills: the transactions of each account.

An asset has an account. Amounts are texts, and include a network fee. Lists have no times: they are
read from the newest row on. A row counts from its creation, once it is completed.
https://docs.cdp.coinbase.com/coinbase-app/track-apis/transactions
"""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.connector.orders import text_conversion
from kit.connector.orders.cash_flow_spans import RawCashFlows
from kit.connector.orders.rest_session import RestQuerySession
from kit.execution.cash_flows import CashFlowKind, VenueCashFlow
from kit.marketdata.frames.reference_reader import time_ns
from venues.coinbase.account import ACCOUNTS_PAGE, pages_of_rows

PAGE = 100
FILL = "advanced_trade_fill"
COMPLETED = "completed"
TRANSFERS = (
    "send",
    "receive",
    "request",
    "transfer",
    "fiat_deposit",
    "fiat_withdrawal",
    "exchange_deposit",
    "exchange_withdrawal",
    "pro_deposit",
    "pro_withdrawal",
    "intx_deposit",
    "intx_withdrawal",
    "vault_withdrawal",
    "staking_transfer",
    "unstaking_transfer",
)
KINDS: Mapping[str, CashFlowKind] = {
    **dict.fromkeys(TRANSFERS, cash_flows_pb2.CASH_FLOW_KIND_TRANSFER),
    "interest": cash_flows_pb2.CASH_FLOW_KIND_INTEREST,
    "staking_reward": cash_flows_pb2.CASH_FLOW_KIND_INTEREST,
    "inflation_reward": cash_flows_pb2.CASH_FLOW_KIND_INTEREST,
    "subscription": cash_flows_pb2.CASH_FLOW_KIND_FEE,
    "subscription_rebate": cash_flows_pb2.CASH_FLOW_KIND_FEE,
}


class CoinbaseCashFlowApi:
    """All accounts of a user."""

    kept_days = 3650
    span_days_max = None

    async def read(self, queries: RestQuerySession, begin_ns: int, end_ns: int) -> RawCashFlows:
        """GET accounts, and GET /v2/accounts/{id}/transactions, newest first."""
        pages = pages_of_rows(queries, "Accounts", {"limit": ACCOUNTS_PAGE}, "accounts")
        accounts = [row["uuid"] async for rows in pages for row in rows]
        for account in accounts:
            query: dict[str, Any] = {"account_id": account, "limit": PAGE, "order": "desc"}
            while query:
                answer = await queries.ask("v2PrivateGetAccountsAccountIdTransactions", query)
                rows = answer["data"]
                yield [
                    transaction_of(row)
                    for row in rows
                    if row["type"] != FILL and row["status"] == COMPLETED
                ]
                more = (answer.get("pagination") or {}).get("next_starting_after")
                if not more or not rows or time_ns(rows[-1]["created_at"]) < begin_ns:
                    break
                query["starting_after"] = more


def transaction_of(row: Mapping[str, Any]) -> VenueCashFlow:
    """{"id":"34e4816b-…","type":"send","status":"completed","created_at":"2019-02-28T12:35:20Z",
    "amount":{"amount":"28.31976528","currency":"BCH"},"description":null,…}"""
    return VenueCashFlow(
        cash_flow_id=row["id"],
        kind=KINDS.get(row["type"], cash_flows_pb2.CASH_FLOW_KIND_OTHER),
        symbol="",
        asset=row["amount"]["currency"],
        amount=text_conversion.amount(row["amount"]["amount"]),
        venue_time_ns=time_ns(row["created_at"]),
        detail=f"{row['type']} {row.get('description') or ''}".rstrip(),
    )
