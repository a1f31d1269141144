"""Errors as Coinbase's two REST APIs write them.

Documentation: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api
https://docs.cdp.coinbase.com/exchange/introduction/welcome
Advanced Trade rejects an order in an answer with the HTTP status 200, Exchange with 400 or 404.
"""

from collections.abc import Mapping

from kit.simulator.exchange.rest import ApiError, ApiErrors
from kit.simulator.matching.contract import RejectCode

FAILURES: Mapping[int, bytes] = {
    403: b'{"error":"PERMISSION_DENIED","message":"Forbidden"}',
    418: b'{"error":"rate_limit_exceeded","message":"Public rate limit exceeded"}',
    429: b'{"error":"rate_limit_exceeded","message":"Public rate limit exceeded"}',
    500: b'{"error":"internal_server_error","message":"Internal server error"}',
    503: b'{"error":"UNAVAILABLE","message":"Service unavailable"}',
}
"""For both APIs: clients of Advanced Trade read ``error``, clients of Exchange ``message``."""
UNKNOWN_PATH = b'{"error":"NOT_FOUND","error_details":"no such path","message":"NotFound"}'
UNKNOWN_REASON = "UNKNOWN_FAILURE_REASON"
UNKNOWN_PREVIEW = "UNKNOWN_PREVIEW_FAILURE_REASON"
COMMANDER = "COMMANDER_REJECTED_NEW_ORDER"
ORDER_REJECTED = 200
"""The HTTP status of a rejected order at Advanced Trade."""
UNAUTHORIZED = ApiError("Unauthorized", status=401)
"""Advanced Trade does not say why."""
ADVANCED_NO_ORDER = ApiError("unknown", "order with this orderID was not found", 404)
EXCHANGE_NO_ORDER = ApiError("NotFound", "NotFound", 404)


def advanced_invalid(name: str) -> ApiError:
    """A parameter cannot be read."""
    return advanced_error(f"{name} argument is invalid")


def advanced_error(message: str) -> ApiError:
    """The request itself is wrong."""
    return ApiError("INVALID_ARGUMENT", message, 400)


def exchange_invalid(name: str) -> ApiError:
    """A parameter cannot be read."""
    return exchange_error(f"Invalid {name}")


def exchange_error(message: str, status: int = 400) -> ApiError:
    """Exchange has no codes, only texts."""
    return ApiError(message, message, status)


def order_error(
    code: str = UNKNOWN_REASON, preview: str = UNKNOWN_PREVIEW, message: str = ""
) -> ApiError:
    """Advanced Trade rejects an order."""
    return ApiError(code, message, ORDER_REJECTED, preview=preview)


INVALID_SIDE = order_error("INVALID_SIDE", "PREVIEW_INVALID_SIDE")
_MALFORMED = "UNSUPPORTED_ORDER_CONFIGURATION"
_POST_ONLY = "INVALID_LIMIT_PRICE_POST_ONLY"
_NO_FUNDS = "Insufficient balance in source account"

ADVANCED_ERRORS = ApiErrors(
    rejections={
        RejectCode.UNKNOWN_SYMBOL: order_error("INVALID_PRODUCT_ID", "PREVIEW_INVALID_PRODUCT_ID"),
        RejectCode.HALTED: order_error("ORDER_ENTRY_DISABLED"),
        RejectCode.TICK: order_error("INVALID_PRICE_PRECISION", "PREVIEW_INVALID_PRICE_PRECISION"),
        RejectCode.LOT: order_error("INVALID_SIZE_PRECISION", "PREVIEW_INVALID_SIZE_PRECISION"),
        RejectCode.SIZE_MIN: order_error(preview="PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
        RejectCode.NOTIONAL_MIN: order_error(preview="PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"),
        RejectCode.PRICE_BAND: order_error("INVALID_LIMIT_PRICE", "PREVIEW_INVALID_LIMIT_PRICE"),
        RejectCode.FUNDS: order_error("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND", _NO_FUNDS),
        RejectCode.WOULD_TAKE: order_error(_POST_ONLY, f"PREVIEW_{_POST_ONLY}"),
        RejectCode.WOULD_NOT_FILL: order_error(
            "INVALID_NO_LIQUIDITY", "PREVIEW_INVALID_NO_LIQUIDITY"
        ),
        RejectCode.REDUCE_ONLY: order_error("INVALID_REQUEST"),
        RejectCode.STOP_WOULD_TRIGGER: order_error(preview="PREVIEW_INVALID_STOP_PRICE"),
        RejectCode.SELF_TRADE: order_error(COMMANDER),
        RejectCode.DUPLICATE_ID: order_error(COMMANDER),
        RejectCode.UNKNOWN_ORDER: order_error(),
        RejectCode.FINISHED: order_error(),
        RejectCode.TOO_MANY: order_error(COMMANDER),
        RejectCode.MALFORMED: order_error(_MALFORMED, "PREVIEW_INVALID_ORDER_CONFIG"),
    },
    unavailable=ApiError("UNAVAILABLE", "Service unavailable", 503),
    unknown_symbol=ApiError("NOT_FOUND", "product_id is not found", 404),
    invalid=advanced_invalid,
)
EXCHANGE_ERRORS = ApiErrors(
    rejections={
        RejectCode.UNKNOWN_SYMBOL: exchange_error("Product not found"),
        RejectCode.HALTED: exchange_error("Cancel only mode"),
        RejectCode.TICK: exchange_error("price too precise"),
        RejectCode.LOT: exchange_error("size too precise"),
        RejectCode.SIZE_MIN: exchange_error("size is too small"),
        RejectCode.NOTIONAL_MIN: exchange_error("size is too small"),
        RejectCode.PRICE_BAND: exchange_error("price is out of range"),
        RejectCode.FUNDS: exchange_error("Insufficient funds"),
        RejectCode.WOULD_TAKE: exchange_error("post only"),
        RejectCode.WOULD_NOT_FILL: exchange_error("fill or kill"),
        RejectCode.REDUCE_ONLY: exchange_error("Invalid order"),
        RejectCode.STOP_WOULD_TRIGGER: exchange_error("Stop price would trigger at once"),
        RejectCode.SELF_TRADE: exchange_error("self trade"),
        RejectCode.DUPLICATE_ID: exchange_error("client_oid is in use"),
        RejectCode.UNKNOWN_ORDER: exchange_error("order not found", 404),
        RejectCode.FINISHED: exchange_error("Order already done"),
        RejectCode.TOO_MANY: exchange_error("Too many open orders"),
        RejectCode.MALFORMED: exchange_error("Invalid order"),
    },
    unavailable=exchange_error("Service unavailable", 503),
    unknown_symbol=EXCHANGE_NO_ORDER,
    invalid=exchange_invalid,
)
