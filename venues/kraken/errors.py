"""The error codes of Kraken, and what each means for an order."""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders.errors import ErrorTable, VenueError
from kit.execution.contract import RejectReason

TEXTS: Mapping[str, RejectReason] = {
    "insufficient funds": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "post only order": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "order minimum not met": orders_pb2.REJECT_REASON_SIZE,
    "invalid arguments:volume": orders_pb2.REJECT_REASON_SIZE,
    "cost minimum not met": orders_pb2.REJECT_REASON_NOTIONAL,
    "invalid arguments:price": orders_pb2.REJECT_REASON_PRICE,
    "tick size check failed": orders_pb2.REJECT_REASON_PRICE,
    "invalid price": orders_pb2.REJECT_REASON_PRICE,
    "cl_ord_id": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "orders limit exceeded": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
    "rate limit exceeded": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "too many requests": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "throttled": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "temporary lockout": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "asset pair": orders_pb2.REJECT_REASON_INSTRUMENT,
    "unknown asset": orders_pb2.REJECT_REASON_INSTRUMENT,
    "market in": orders_pb2.REJECT_REASON_MAINTENANCE,
    "reduce only": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "invalid key": orders_pb2.REJECT_REASON_PERMISSION,
    "invalid session": orders_pb2.REJECT_REASON_PERMISSION,
    "user locked": orders_pb2.REJECT_REASON_PERMISSION,
    "invalid signature": orders_pb2.REJECT_REASON_PERMISSION,
    "permission denied": orders_pb2.REJECT_REASON_PERMISSION,
    "trading agreement": orders_pb2.REJECT_REASON_PERMISSION,
    "invalid nonce": orders_pb2.REJECT_REASON_OTHER,
}
"""By a part of the message: the venue's errors have no other code."""
UNCLEAR = frozenset(
    {
        "EService",
        "EGeneral:Internal error",
        "EGeneral:Unknown error",
        "EDatabase:Internal error",
        "EOrder:Cancel pending",
    }
)
UNKNOWN_ORDER = "EOrder:Unknown order"


def find_error(answer: Any) -> VenueError | None:
    """{"error":["EOrder:Insufficient funds"]}: always HTTP 200. After EService: (Unavailable,
    Busy, Timeout, Deadline elapsed) an order may exist, unless the error is about the mode of a
    market."""
    errors = answer.get("error") if isinstance(answer, dict) else None
    if not errors:
        return None
    message = str(errors[0])
    inside = message.startswith("EService:") and "market in" not in message.lower()
    return VenueError("EService" if inside else message, message)


ERRORS = ErrorTable(
    find_error,
    {},
    TEXTS,
    unclear=UNCLEAR,
    not_found=frozenset({UNKNOWN_ORDER, "EOrder:Invalid order"}),
)
