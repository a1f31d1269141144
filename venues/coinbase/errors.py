"""The error codes of Coinbase's Advanced Trade, and what each means for an order."""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders.errors import STATUSES, ErrorTable, VenueError
from kit.execution.contract import RejectReason

TEXTS: Mapping[str, RejectReason] = {
    "insufficient_fund": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "post_only": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "stop_price": orders_pb2.REJECT_REASON_STOP_PRICE,
    "size_precision": orders_pb2.REJECT_REASON_SIZE,
    "base_size": orders_pb2.REJECT_REASON_SIZE,
    "quote_size": orders_pb2.REJECT_REASON_NOTIONAL,
    "min_notional": orders_pb2.REJECT_REASON_NOTIONAL,
    "price_precision": orders_pb2.REJECT_REASON_PRICE,
    "limit_price": orders_pb2.REJECT_REASON_PRICE,
    "price_too": orders_pb2.REJECT_REASON_PRICE,
    "product_id": orders_pb2.REJECT_REASON_INSTRUMENT,
    "invalid_product": orders_pb2.REJECT_REASON_INSTRUMENT,
    "unsupported_order": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "insufficient balance": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "rate_limit": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "resource_exhausted": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "open_order_limit": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
    "permission_denied": orders_pb2.REJECT_REASON_PERMISSION,
    "unauthenticated": orders_pb2.REJECT_REASON_PERMISSION,
    "unauthorized": orders_pb2.REJECT_REASON_PERMISSION,
    "authentication": orders_pb2.REJECT_REASON_PERMISSION,
    "verification_required": orders_pb2.REJECT_REASON_PERMISSION,
    "personal_details_required": orders_pb2.REJECT_REASON_PERMISSION,
    "two_factor_required": orders_pb2.REJECT_REASON_PERMISSION,
    "unverified_email": orders_pb2.REJECT_REASON_PERMISSION,
    "_token": orders_pb2.REJECT_REASON_PERMISSION,
    "invalid_scope": orders_pb2.REJECT_REASON_PERMISSION,
    "maintenance": orders_pb2.REJECT_REASON_MAINTENANCE,
}
"""By a part of the code, in lower case. Their order matters: INVALID_LIMIT_PRICE_POST_ONLY is not
about the price."""
UNCLEAR = frozenset(
    {
        "UNKNOWN_FAILURE_REASON",
        "UNKNOWN_CANCEL_FAILURE_REASON",
        "UNKNOWN",
        "INTERNAL",
        "internal_server_error",
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "COMMANDER_REJECTED_NEW_ORDER_TIMEOUT",
    }
)
NOT_FOUND = frozenset(
    {"UNKNOWN_CANCEL_ORDER", "NOT_FOUND", "not_found", "ORDER_NOT_FOUND", "INVALID_CANCEL_REQUEST",
     "ORDER_IS_FULLY_FILLED"}
)  # fmt: skip
UNKNOWN_REASONS = ("", "UNKNOWN_FAILURE_REASON", "UNKNOWN_PREVIEW_FAILURE_REASON")


def find_error(answer: Any) -> VenueError | None:
    """{"success":false,"error_response":{"error":"UNKNOWN_FAILURE_REASON","message":"",
    "preview_failure_reason":"PREVIEW_INSUFFICIENT_FUND",…}}, {"results":[{"success":false,
    "failure_reason":"UNKNOWN_CANCEL_ORDER",…}]}, {"success":false,"errors":[{
    "edit_failure_reason":"…"}]}, {"error":"INVALID_ARGUMENT","message":"…"} or {"errors":[{
    "id":"not_found","message":"Not found"}]}. One that failed in the preview was not placed."""
    if not isinstance(answer, dict):
        return None
    for row in answer.get("results") or ():
        if not row["success"]:
            return _said(str(row["failure_reason"]), "")
    if isinstance(answer.get("error"), str):
        return _said(answer["error"], str(answer.get("message", "")))
    if answer.get("success") is None and answer.get("errors"):
        first = answer["errors"][0]
        return _said(str(first["id"]), str(first.get("message", "")))
    if answer.get("success") is not False:
        return None
    parts = answer.get("error_response") or (answer.get("errors") or [{}])[0]
    names = (
        "preview_failure_reason",
        "new_order_failure_reason",
        "edit_failure_reason",
        "error",
    )
    codes = [str(parts[name]) for name in names if parts.get(name) not in (None, *UNKNOWN_REASONS)]
    return _said(codes[0] if codes else UNKNOWN_REASONS[1], str(parts.get("message", "")))


def _said(code: str, message: str) -> VenueError:
    """The reason is found by parts of the code, which is therefore part of the message."""
    return VenueError(code, f"{code} {message}".strip())


ERRORS = ErrorTable(
    find_error,
    {},
    TEXTS,
    unclear=UNCLEAR,
    not_found=NOT_FOUND,
    statuses={**STATUSES, 401: orders_pb2.REJECT_REASON_PERMISSION},
)
