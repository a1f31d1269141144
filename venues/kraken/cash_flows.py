"""What has changed balances at Kraken other than trades: the ledger.

Amounts are texts. The fee of an entry is taken besides its amount, and is a change of its own here.
https://docs.kraken.com/api/docs/rest-api/get-ledgers
"""

from collections.abc import Iterator, Mapping
from typing import Any

from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.connector.orders import text_conversion
from kit.connector.orders.cash_flow_spans import SPAN_NS_MIN, RawCashFlows, SpanTooLong
from kit.connector.orders.rest_session import RestQuerySession
from kit.execution.cash_flows import CashFlowKind, VenueCashFlow
from venues.kraken.account import KrakenRestNames, time_ns

ROWS_MAX = 200
"""Of a span: each fill has two rows, and a page of 50 takes six seconds."""
TRADE = "trade"
KINDS: Mapping[str, CashFlowKind] = {
    "deposit": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "withdrawal": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "transfer": cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
    "rollover": cash_flows_pb2.CASH_FLOW_KIND_INTEREST,
    "staking": cash_flows_pb2.CASH_FLOW_KIND_INTEREST,
    "earn": cash_flows_pb2.CASH_FLOW_KIND_INTEREST,
    "reward": cash_flows_pb2.CASH_FLOW_KIND_INTEREST,
    "settled": cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT,
}


class KrakenCashFlowApi:
    """Spot."""

    kept_days = 3650
    span_days_max = 3650

    def __init__(self, names: KrakenRestNames) -> None:
        self._names = names

    async def read(self, queries: RestQuerySession, begin_ns: int, end_ns: int) -> RawCashFlows:
        """POST Ledgers, newest first. ``start`` is left out of a list, ``end`` is in it."""
        query = {
            "start": str(max(0, begin_ns // NANOSECONDS_PER_SECOND - 1)),
            "end": str(end_ns // NANOSECONDS_PER_SECOND),
        }
        skipped = 0
        while True:
            answer = await queries.ask("privatePostLedgers", {**query, "ofs": skipped})
            result = answer["result"]
            rows, count = result["ledger"] or {}, int(result["count"])
            span_ns = end_ns - begin_ns
            if not skipped and count > ROWS_MAX and span_ns > SPAN_NS_MIN:
                raise SpanTooLong(span_ns * ROWS_MAX // count)
            yield [one for name, row in rows.items() for one in entry_of(name, row, self._names)]
            skipped += len(rows)
            if not rows or skipped >= count:
                return


def entry_of(name: str, row: Mapping[str, Any], names: KrakenRestNames) -> Iterator[VenueCashFlow]:
    """{"refid":"TJKLXF-PGMUI-4NTLXU","time":1688464484.1787,"type":"deposit","subtype":"",
    "aclass":"currency","asset":"ZGBP","amount":"24.5000","fee":"0.0000","balance":"459567.9171"}.
    Nothing for a trade."""
    kind = row["type"]
    if kind == TRADE:
        return
    asset = names.assets.get(row["asset"], row["asset"])
    detail = f"{kind} {row.get('subtype') or ''}".rstrip()
    found = VenueCashFlow(
        cash_flow_id=name,
        kind=KINDS.get(kind, cash_flows_pb2.CASH_FLOW_KIND_OTHER),
        symbol="",
        asset=asset,
        amount=text_conversion.amount(row["amount"]),
        venue_time_ns=time_ns(row["time"]),
        detail=detail,
    )
    fee = text_conversion.amount(row.get("fee"))
    if found.amount:
        yield found
    if fee:
        yield VenueCashFlow(
            cash_flow_id=name,
            kind=cash_flows_pb2.CASH_FLOW_KIND_FEE,
            symbol="",
            asset=asset,
            amount=-fee,
            venue_time_ns=found.venue_time_ns,
            detail=detail,
        )
