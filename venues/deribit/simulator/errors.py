"""Errors as Deribit writes them: ``{"message":"order_not_found","code":10004}``.

Documentation: https://docs.deribit.com/articles/errors
"""

from collections.abc import Mapping

from kit.simulator.exchange.rest import ApiError, ApiErrors
from kit.simulator.matching.contract import RejectCode

BAD_REQUEST = 400
TOO_MANY_REQUESTS = (
    b'{"jsonrpc":"2.0","error":{"message":"too_many_requests","code":10028},"testnet":false}'
)
FAILURES: Mapping[int, bytes] = {
    429: TOO_MANY_REQUESTS,
    418: TOO_MANY_REQUESTS,
    500: b'{"jsonrpc":"2.0","error":{"message":"internal_server_error","code":11094},'
    b'"testnet":false}',
}


def rejection(code: int, message: str, **details: str) -> ApiError:
    """An error with Deribit's HTTP status."""
    return ApiError(code, message, BAD_REQUEST, **details)


def wrong(parameter: str, reason: str) -> ApiError:
    """A parameter is not as it should be."""
    return rejection(-32602, "Invalid params", reason=reason, param=parameter)


def unauthorized(reason: str = "invalid_token") -> ApiError:
    """The caller is not known."""
    return rejection(13009, "unauthorized", reason=reason)


METHOD_NOT_FOUND = rejection(-32601, "Method not found")
PARSE_ERROR = rejection(-32700, "Parse error")
NOT_FOUND = rejection(10004, "order_not_found")
OTHER = rejection(11030, "other_reject")
ERRORS = ApiErrors(
    rejections={
        RejectCode.UNKNOWN_SYMBOL: rejection(10020, "invalid_or_unsupported_instrument"),
        RejectCode.HALTED: rejection(10012, "book_closed"),
        RejectCode.TICK: rejection(10043, "price_wrong_tick"),
        RejectCode.LOT: rejection(10021, "invalid_amount"),
        RejectCode.SIZE_MIN: rejection(10002, "qty_too_low"),
        RejectCode.NOTIONAL_MIN: rejection(10032, "whole_cost_too_low"),
        RejectCode.PRICE_BAND: rejection(10007, "price_too_high"),
        RejectCode.FUNDS: rejection(10009, "not_enough_funds"),
        RejectCode.WOULD_TAKE: rejection(11054, "post_only_reject"),
        RejectCode.WOULD_NOT_FILL: OTHER,
        RejectCode.REDUCE_ONLY: rejection(11030, "other_reject reduce_only"),
        RejectCode.STOP_WOULD_TRIGGER: rejection(11036, "invalid_trigger_price"),
        RejectCode.SELF_TRADE: rejection(10003, "order_overlap"),
        RejectCode.DUPLICATE_ID: OTHER,
        RejectCode.UNKNOWN_ORDER: NOT_FOUND,
        RejectCode.FINISHED: rejection(11044, "not_open_order"),
        RejectCode.TOO_MANY: rejection(10013, "max_total_open_orders"),
        RejectCode.MALFORMED: rejection(11029, "invalid_arguments"),
    },
    unavailable=rejection(11051, "system_maintenance"),
    unknown_symbol=wrong("instrument_name", "instrument not found"),
    invalid=lambda name: wrong(name, "must be an integer"),
)


def error_row(error: ApiError) -> dict[str, object]:
    """``{"message":"Invalid params","data":{"reason":"…","param":"…"},"code":-32602}``"""
    data = {"data": error.details} if error.details else {}
    return {"message": error.message, **data, "code": error.code}
