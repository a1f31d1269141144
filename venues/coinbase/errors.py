"""The error codes of Coinbase's Advanced Trade, and what each means for an order."""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders.errors import STATUSES, ErrorTable, VenueError
from kit.execution.contract import RejectReason

CODES: Mapping[str, RejectReason] = {
    **dict.fromkeys(
        (
            "INSUFFICIENT_FUND",
            "INSUFFICIENT_FUNDS",
            "INVALID_LEDGER_BALANCE",
            "PREVIEW_INSUFFICIENT_FUND",
            "PREVIEW_INSUFFICIENT_FUNDS_FOR_FUTURES",
            "PREVIEW_INSUFFICIENT_LEDGER_BALANCE",
            "PREVIEW_INVALID_LEDGER_BALANCE",
            "PREVIEW_INVALID_MARGIN_HEALTH",
        ),
        orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    ),
    **dict.fromkeys(
        (
            "INVALID_LIMIT_PRICE_POST_ONLY",
            "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY",
        ),
        orders_pb2.REJECT_REASON_WOULD_TAKE,
    ),
    **dict.fromkeys(
        (
            "INVALID_NO_LIQUIDITY",
            "PREVIEW_INVALID_NO_LIQUIDITY",
        ),
        orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    ),
    **dict.fromkeys(
        (
            "PREVIEW_INVALID_STOP_PRICE",
            "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE",
            "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE",
            "PREVIEW_STOP_PRICE_ABOVE_LIMIT_PRICE",
            "PREVIEW_STOP_PRICE_BELOW_LIMIT_PRICE",
        ),
        orders_pb2.REJECT_REASON_STOP_PRICE,
    ),
    **dict.fromkeys(
        (
            "CANNOT_EDIT_TO_BELOW_FILLED_SIZE",
            "INVALID_EDITED_SIZE",
            "INVALID_SIZE_PRECISION",
            "PREVIEW_BREACHED_ACCOUNT_POSITION_LIMIT",
            "PREVIEW_BREACHED_COMPANY_POSITION_LIMIT",
            "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE",
            "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL",
            "PREVIEW_INVALID_SIZE_PRECISION",
        ),
        orders_pb2.REJECT_REASON_SIZE,
    ),
    **dict.fromkeys(
        (
            "PREVIEW_INVALID_QUOTE_SIZE_PRECISION",
            "PREVIEW_INVALID_QUOTE_SIZE_TOO_LARGE",
            "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL",
        ),
        orders_pb2.REJECT_REASON_NOTIONAL,
    ),
    **dict.fromkeys(
        (
            "INVALID_EDITED_PRICE",
            "INVALID_LIMIT_PRICE",
            "INVALID_PRICE_PRECISION",
            "LIMIT_PRICE_TOO_FAR_FROM_MARKET",
            "PREVIEW_BREACHED_PRICE_LIMIT",
            "PREVIEW_INVALID_LIMIT_PRICE",
            "PREVIEW_INVALID_PRICE_PRECISION",
            "PREVIEW_INVALID_PRICE_TOO_LARGE",
        ),
        orders_pb2.REJECT_REASON_PRICE,
    ),
    **dict.fromkeys(
        (
            "INELIGIBLE_PAIR",
            "INVALID_CANCEL_PRODUCT_ID",
            "INVALID_PRODUCT_ID",
            "ORDER_ENTRY_DISABLED",
            "PREVIEW_INVALID_PRODUCT_ID",
            "UNTRADABLE_PRODUCT",
        ),
        orders_pb2.REJECT_REASON_INSTRUMENT,
    ),
    **dict.fromkeys(
        (
            "INVALID_ORDER_TYPE",
            "ONLY_LIMIT_ORDER_EDITS_SUPPORTED",
            "PREVIEW_INVALID_ORDER_CONFIG",
            "UNSUPPORTED_ORDER_CONFIGURATION",
        ),
        orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    ),
    **dict.fromkeys(
        (
            "RESOURCE_EXHAUSTED",
            "rate_limit_exceeded",
            "resource_exhausted",
        ),
        orders_pb2.REJECT_REASON_RATE_LIMIT,
    ),
    **dict.fromkeys(
        (
            "GEOFENCING_RESTRICTION",
            "PERMISSION_DENIED",
            "PREVIEW_UNTRADABLE_FCM_ACCOUNT_STATUS",
            "UNAUTHENTICATED",
            "Unauthorized",
            "authentication_error",
            "expired_token",
            "identity_verification_required",
            "invalid_authentication_method",
            "invalid_scope",
            "invalid_token",
            "jumio_face_match_verification_required",
            "jumio_verification_required",
            "personal_details_required",
            "revoked_token",
            "two_factor_required",
            "unauthorized",
            "unverified_email",
        ),
        orders_pb2.REJECT_REASON_PERMISSION,
    ),
    **dict.fromkeys(
        (
            "CALLER_ID_MISMATCH",
            "COMMANDER_REJECTED_CANCEL_ORDER",
            "COMMANDER_REJECTED_EDIT_ORDER",
            "COMMANDER_REJECTED_NEW_ORDER",
            "INVALID_ARGUMENT",
            "INVALID_REQUEST",
            "INVALID_SIDE",
            "ONLY_OPEN_ORDERS_CAN_BE_EDITED",
            "PREVIEW_INVALID_SIDE",
            "PREVIEW_MISSING_PRODUCT_PRICE_BOOK",
            "invalid_request",
            "param_required",
            "validation_error",
        ),
        orders_pb2.REJECT_REASON_OTHER,
    ),
}
"""Reasons of the API, of the preview, of edits and of cancellations. Unlisted on purpose: unknown
reasons, INTERNAL, UNKNOWN, UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, CANCELLED, and an order that
the venue's order system timed out on (COMMANDER_REJECTED_NEW_ORDER_TIMEOUT).
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order"""
TEXTS: Mapping[str, RejectReason] = {
    "insufficient balance": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "product_id": orders_pb2.REJECT_REASON_INSTRUMENT,
    "base_size": orders_pb2.REJECT_REASON_SIZE,
    "quote_size": orders_pb2.REJECT_REASON_NOTIONAL,
    "limit_price": orders_pb2.REJECT_REASON_PRICE,
    "stop_price": orders_pb2.REJECT_REASON_STOP_PRICE,
}
"""INVALID_ARGUMENT names the parameter in its message."""
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
            return VenueError(str(row["failure_reason"]), "")
    if isinstance(answer.get("error"), str):
        return VenueError(answer["error"], str(answer.get("message", "")))
    if answer.get("success") is None and answer.get("errors"):
        first = answer["errors"][0]
        return VenueError(str(first["id"]), str(first.get("message", "")))
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
    # One reason that proves nothing is enough: the others may be about another attempt.
    code = next((one for one in codes if one not in CODES), (codes or UNKNOWN_REASONS[1:])[0])
    return VenueError(code, str(parts.get("message", "")))


ERRORS = ErrorTable(
    find_error,
    CODES,
    TEXTS,
    not_found=NOT_FOUND,
    statuses={**STATUSES, 401: orders_pb2.REJECT_REASON_PERMISSION},
)
