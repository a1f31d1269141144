"""Errors as Bybit writes them. A rejected call has the HTTP status 200 and a ``retCode``.

Documentation: https://bybit-exchange.github.io/docs/v5/error
"""

from collections.abc import Mapping

from kit.simulator.exchange.rest import ApiError, ApiErrors
from kit.simulator.matching.contract import RejectCode

PARAMETER_ERROR, SYSTEM_ERROR = 10001, 10016
NO_ORDER = ApiError(170213, "Order does not exist.")
ILLEGAL_CATEGORY = ApiError(PARAMETER_ERROR, "Illegal category")
SIZE_TOO_SMALL = ApiError(170136, "Order quantity exceeded lower limit.")
FAILURES: Mapping[int, bytes] = {
    403: b"403, access too frequent",
    418: b"403, access too frequent",
    429: b'{"retCode":10006,"retMsg":"Too many visits!","result":{},"retExtInfo":{},"time":0}',
    500: b'{"retCode":10016,"retMsg":"System error. Please try again later.","result":{},'
    b'"retExtInfo":{},"time":0}',
}
_REJECTED = ApiError(170210, "New order rejected.")
REJECTIONS: Mapping[RejectCode, ApiError] = {
    RejectCode.UNKNOWN_SYMBOL: ApiError(170121, "Invalid symbol."),
    RejectCode.HALTED: ApiError(170151, "The trading pair is not open yet."),
    RejectCode.TICK: ApiError(170134, "Order price has too many decimals."),
    RejectCode.LOT: ApiError(170137, "Order quantity has too many decimals."),
    RejectCode.SIZE_MIN: SIZE_TOO_SMALL,
    RejectCode.NOTIONAL_MIN: ApiError(170140, "Order value exceeded lower limit."),
    RejectCode.PRICE_BAND: ApiError(170132, "Order price too high."),
    RejectCode.FUNDS: ApiError(170131, "Insufficient balance."),
    RejectCode.WOULD_TAKE: ApiError(
        170218, "The LIMIT-MAKER order is rejected due to invalid price."
    ),
    RejectCode.WOULD_NOT_FILL: _REJECTED,
    RejectCode.REDUCE_ONLY: _REJECTED,
    RejectCode.STOP_WOULD_TRIGGER: _REJECTED,
    RejectCode.SELF_TRADE: _REJECTED,
    RejectCode.DUPLICATE_ID: ApiError(170141, "Duplicate clientOrderId."),
    RejectCode.UNKNOWN_ORDER: NO_ORDER,
    RejectCode.FINISHED: NO_ORDER,
    RejectCode.TOO_MANY: ApiError(
        170810, "Cannot exceed maximum of 500 conditional, TP/SL and active orders."
    ),
    RejectCode.MALFORMED: ApiError(PARAMETER_ERROR, "params error: order invalid"),
}


def invalid(name: str) -> ApiError:
    """A parameter cannot be read."""
    return ApiError(PARAMETER_ERROR, f"params error: {name} invalid")


ERRORS = ApiErrors(
    rejections=REJECTIONS,
    unavailable=ApiError(SYSTEM_ERROR, "Server error."),
    unknown_symbol=ApiError(PARAMETER_ERROR, "Not supported symbols"),
    invalid=invalid,
)
