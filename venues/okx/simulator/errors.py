"""Errors as OKX writes them. A rejected call has the HTTP status 200, unless the client could not
authenticate or its body could not be read.

Documentation: https://www.okx.com/docs-v5/en/#error-code
"""

from collections.abc import Mapping

from kit.simulator.exchange.rest import ApiError, ApiErrors
from kit.simulator.matching.contract import RejectCode

FAILURES: Mapping[int, bytes] = {
    418: b'{"code":"50011","data":[],"msg":"Too Many Requests"}',
    429: b'{"code":"50011","data":[],"msg":"Too Many Requests"}',
    500: b'{"code":"50026","data":[],"msg":"System error. Try again later"}',
    503: b'{"code":"50001","data":[],"msg":"Service temporarily unavailable. Try again later"}',
}
NO_INSTRUMENT = ApiError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
NO_ORDER = ApiError("51603", "Order does not exist")
ORDER_FINISHED = ApiError("51503", "Your order has already been filled or canceled.")
NOTHING_CHANGES = ApiError("51500", "You must enter a price, quantity, or TP/SL")
RATE_LIMIT = ApiError("50011", "Rate limit reached. Please refer to API documentation")
NO_LIMIT_PRICE = ApiError("51204", "The price for the limit order cannot be empty")
WRONG_MODE = ApiError("51010", "Request unsupported under current account mode")
EMPTY_BODY = ApiError("50000", "Body for POST request cannot be empty.", 400)
JSON_ERROR = ApiError("50002", "JSON syntax error", 400)
NOT_LOGGED_IN = ApiError("60011", "Please log in")


def invalid(name: str) -> ApiError:
    """A parameter cannot be read."""
    return ApiError("51000", f"Parameter {name} error")


def missing(name: str) -> ApiError:
    return ApiError("50014", f"Parameter {name} can not be empty.")


_TOO_SMALL = ApiError("51020", "Your order should meet or exceed the minimum order amount.")
_NOT_OPEN = ApiError(
    "51400", "Order cancellation failed as the order has been filled, canceled or does not exist."
)
ERRORS = ApiErrors(
    rejections={
        RejectCode.UNKNOWN_SYMBOL: NO_INSTRUMENT,
        RejectCode.HALTED: ApiError("51022", "Contract suspended"),
        RejectCode.TICK: invalid("px"),
        RejectCode.LOT: ApiError("51121", "Order quantity must be a multiple of the lot size."),
        RejectCode.SIZE_MIN: _TOO_SMALL,
        RejectCode.NOTIONAL_MIN: _TOO_SMALL,
        RejectCode.PRICE_BAND: ApiError("51006", "Order price is not within the price limit"),
        RejectCode.FUNDS: ApiError("51008", "Order failed. Insufficient balance in account"),
        RejectCode.WOULD_TAKE: ApiError("51019", "Post-only order would take liquidity"),
        RejectCode.WOULD_NOT_FILL: ApiError(
            "51109", "There is no available order that can be matched"
        ),
        RejectCode.REDUCE_ONLY: ApiError(
            "51169",
            "Order failed because you don't have any positions in this direction to reduce or "
            "close.",
        ),
        RejectCode.STOP_WOULD_TRIGGER: ApiError(
            "51280", "SL trigger price cannot be higher than the last price"
        ),
        RejectCode.DUPLICATE_ID: ApiError("51016", "Client order ID already exists."),
        RejectCode.UNKNOWN_ORDER: _NOT_OPEN,
        RejectCode.FINISHED: _NOT_OPEN,
        RejectCode.TOO_MANY: ApiError(
            "51174", "The number of pending orders reached the upper limit."
        ),
        RejectCode.SELF_TRADE: invalid("stpMode"),
        RejectCode.MALFORMED: invalid("sz"),
    },
    unavailable=ApiError("50001", "Service temporarily unavailable. Try again later", 503),
    unknown_symbol=NO_INSTRUMENT,
    invalid=invalid,
)
