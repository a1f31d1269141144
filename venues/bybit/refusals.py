"""What Bybit refuses, and what it leaves open."""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.orders.ccxt.errors import STATUSES, Errors, Said
from kit.orders.contract import RejectReason

CODES: Mapping[str, RejectReason] = {
    "10001": orders_pb2.REJECT_REASON_OTHER,
    "10002": orders_pb2.REJECT_REASON_OTHER,
    "10003": orders_pb2.REJECT_REASON_PERMISSION,
    "10004": orders_pb2.REJECT_REASON_PERMISSION,
    "10005": orders_pb2.REJECT_REASON_PERMISSION,
    "10006": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "10010": orders_pb2.REJECT_REASON_PERMISSION,
    "10018": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "10429": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "10403": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "20003": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "33004": orders_pb2.REJECT_REASON_PERMISSION,
    "110007": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110012": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110017": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "110072": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "170005": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "170115": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170116": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170121": orders_pb2.REJECT_REASON_INSTRUMENT,
    "170124": orders_pb2.REJECT_REASON_SIZE,
    "170131": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "170132": orders_pb2.REJECT_REASON_PRICE,
    "170133": orders_pb2.REJECT_REASON_PRICE,
    "170134": orders_pb2.REJECT_REASON_PRICE,
    "170135": orders_pb2.REJECT_REASON_SIZE,
    "170136": orders_pb2.REJECT_REASON_SIZE,
    "170137": orders_pb2.REJECT_REASON_SIZE,
    "170139": orders_pb2.REJECT_REASON_OTHER,
    "170140": orders_pb2.REJECT_REASON_NOTIONAL,
    "170141": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "170151": orders_pb2.REJECT_REASON_INSTRUMENT,
    "170193": orders_pb2.REJECT_REASON_PRICE,
    "170194": orders_pb2.REJECT_REASON_PRICE,
    "170218": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "170227": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170234": orders_pb2.REJECT_REASON_MAINTENANCE,
    "170810": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
}
UNCLEAR = frozenset({"10000", "10016", "10019", "170001", "170007", "170146", "170147"})
"""Timeouts and errors inside the venue, and its restarts."""


def said(answer: Any) -> Said | None:
    """{"retCode":170131,"retMsg":"Insufficient balance.","result":{},"time":1}: always HTTP 200."""
    if isinstance(answer, dict) and str(answer.get("retCode", "0")) != "0":
        return Said(str(answer["retCode"]), str(answer.get("retMsg", "")))
    return None


ERRORS = Errors(
    said,
    CODES,
    unclear=UNCLEAR,
    absent=frozenset({"110001", "170213"}),
    statuses={**STATUSES, 403: orders_pb2.REJECT_REASON_RATE_LIMIT},
)
"""For the line."""
