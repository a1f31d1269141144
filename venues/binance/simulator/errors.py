"""Errors as Binance writes them, and the checks of parameters that raise them.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code
A rejected call has the HTTP status 400 unless the error has its own.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from kit.simulator import text_conversion
from kit.simulator.exchange.rest import ApiCall, ApiError, ApiErrors, ChoiceT
from kit.simulator.matching.contract import OrderRejected, RejectCode

STATUS_DEFAULT, STATUS_REJECTED = 200, 400
CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
PLACES_MAX = 8
FAILURES: Mapping[int, bytes] = {
    418: b'{"code":-1003,"msg":"Way too much request weight used; IP banned. Please use WebSocket '
    b'Streams for live updates to avoid bans."}',
    429: b'{"code":-1003,"msg":"Too much request weight used; current limit is 6000 request weight '
    b'per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."}',
    500: b'{"code":-1000,"msg":"An unknown error occurred while processing the request."}',
    503: b'{"code":-1008,"msg":"Request throttled by system-level protection."}',
}
INVALID_SYMBOL = ApiError(-1121, "Invalid symbol.")
INVALID_SIDE = ApiError(-1117, "Invalid side.")
INVALID_ORDER_TYPE = ApiError(-1116, "Invalid orderType.")
INVALID_TIME_IN_FORCE = ApiError(-1115, "Invalid timeInForce.")
NO_ORDER = ApiError(-2013, "Order does not exist.")
UNKNOWN_ORDER = ApiError(-2011, "Unknown order sent.")
MARKET_CLOSED = ApiError(-1013, "Market is closed.")
PRICE_FILTER = ApiError(-1013, "Filter failure: PRICE_FILTER")
LOT_SIZE = ApiError(-1013, "Filter failure: LOT_SIZE")
NOTIONAL = ApiError(-1013, "Filter failure: NOTIONAL")
KEY_REJECTED = ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
THROTTLED = ApiError(-1008, "Request throttled by system-level protection.", 503)
UNAVAILABLE = ApiError(-1016, "This service is no longer available.", 503)
NOT_KEPT = "rejected. The order will not be recorded in the order history"
SPOT_REJECTIONS: Mapping[RejectCode, ApiError] = {
    RejectCode.UNKNOWN_SYMBOL: INVALID_SYMBOL,
    RejectCode.HALTED: MARKET_CLOSED,
    RejectCode.TICK: PRICE_FILTER,
    RejectCode.LOT: LOT_SIZE,
    RejectCode.SIZE_MIN: LOT_SIZE,
    RejectCode.NOTIONAL_MIN: NOTIONAL,
    RejectCode.PRICE_BAND: ApiError(-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    RejectCode.FUNDS: ApiError(-2010, "Account has insufficient balance for requested action."),
    RejectCode.WOULD_TAKE: ApiError(-2010, "Order would immediately match and take."),
    RejectCode.WOULD_NOT_FILL: ApiError(-2010, "Order would not be filled."),
    RejectCode.REDUCE_ONLY: ApiError(-2010, "This action is disabled on this account."),
    RejectCode.STOP_WOULD_TRIGGER: ApiError(-2010, "Stop price would trigger immediately."),
    RejectCode.DUPLICATE_ID: ApiError(-2010, "Duplicate order sent."),
    RejectCode.UNKNOWN_ORDER: UNKNOWN_ORDER,
    RejectCode.FINISHED: UNKNOWN_ORDER,
    RejectCode.TOO_MANY: ApiError(-1013, "Filter failure: MAX_NUM_ORDERS"),
    RejectCode.SELF_TRADE: ApiError(-2010, "Order would trade with an order of the same account."),
    RejectCode.MALFORMED: ApiError(-1013, "Invalid quantity."),
}
NO_QUANTITY = ApiError(-4003, "Quantity less than or equal to zero.")
FUTURES_REJECTIONS: Mapping[RejectCode, ApiError] = {
    RejectCode.UNKNOWN_SYMBOL: INVALID_SYMBOL,
    RejectCode.HALTED: ApiError(-4140, "Invalid symbol status for opening position."),
    RejectCode.TICK: ApiError(-4014, "Price not increased by tick size."),
    RejectCode.LOT: ApiError(-1111, "Precision is over the maximum defined for this asset."),
    RejectCode.SIZE_MIN: ApiError(-4004, "Quantity less than min quantity."),
    RejectCode.NOTIONAL_MIN: ApiError(
        -4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."
    ),
    RejectCode.PRICE_BAND: ApiError(
        -4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."
    ),
    RejectCode.FUNDS: ApiError(-2019, "Margin is insufficient."),
    RejectCode.WOULD_TAKE: ApiError(
        -5022,
        f"Due to the order could not be executed as maker, the Post Only order will be {NOT_KEPT}",
    ),
    RejectCode.WOULD_NOT_FILL: ApiError(
        -5021,
        f"Due to the order could not be filled immediately, the FOK order has been {NOT_KEPT}",
    ),
    RejectCode.REDUCE_ONLY: ApiError(-2022, "ReduceOnly Order is rejected."),
    RejectCode.STOP_WOULD_TRIGGER: ApiError(-2021, "Order would immediately trigger."),
    RejectCode.DUPLICATE_ID: ApiError(-4116, "ClientOrderId is duplicated."),
    RejectCode.UNKNOWN_ORDER: UNKNOWN_ORDER,
    RejectCode.FINISHED: UNKNOWN_ORDER,
    RejectCode.TOO_MANY: ApiError(-2025, "Reach max open order limit."),
    RejectCode.SELF_TRADE: ApiError(-2010, "NEW_ORDER_REJECTED"),
    RejectCode.MALFORMED: NO_QUANTITY,
}


def illegal(name: str, pattern: str = "^[0-9]{1,20}$") -> ApiError:
    """A parameter has characters that it may not have."""
    text = f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'."
    return ApiError(-1100, text)


def missing(name: str) -> ApiError:
    """A mandatory parameter is not there."""
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return ApiError(-1102, text)


def malformed(name: str) -> ApiError:
    """A parameter has a value that does not exist."""
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def errors(rejections: Mapping[RejectCode, ApiError]) -> ApiErrors:
    """The errors of a market."""
    return ApiErrors(
        rejections=rejections,
        unavailable=UNAVAILABLE,
        unknown_symbol=INVALID_SYMBOL,
        invalid=illegal,
    )


SPOT_ERRORS, FUTURES_ERRORS = errors(SPOT_REJECTIONS), errors(FUTURES_REJECTIONS)


def error_row(error: ApiError) -> dict[str, object]:
    """``{"code":-1121,"msg":"Invalid symbol."}``; details are JSON texts."""
    details = {name: msgspec.Raw(text.encode()) for name, text in error.details.items()}
    return {"code": error.code, "msg": error.message, **details}


def row_of(call: ApiCall, error: ApiError | OrderRejected) -> dict[str, object]:
    """The same for an error inside an answer."""
    return error_row(call.errors.of(error))


def status_of(error: ApiError) -> int:
    """The HTTP status of a rejected call."""
    return STATUS_REJECTED if error.status == STATUS_DEFAULT else error.status


def required(call: ApiCall, name: str) -> str:
    """A mandatory parameter. Raises ApiError."""
    text = call.text(name)
    if not text:
        raise missing(name)
    return text


def chosen(call: ApiCall, name: str, choices: Mapping[str, ChoiceT], error: ApiError) -> ChoiceT:
    """What the table has for a mandatory parameter. Raises ApiError."""
    required(call, name)
    return call.choice(name, choices, error)


def amount(call: ApiCall, name: str) -> Decimal:
    """A mandatory amount. Raises ApiError."""
    text = required(call, name)
    found = text_conversion.amount(text)
    if found is None:
        raise illegal(name, "^([0-9]{1,20})(\\.[0-9]{1,20})?$")
    if len(text.partition(".")[2].rstrip("0")) > PLACES_MAX:
        raise ApiError(-1111, f"Parameter '{name}' has too much precision.")
    return found


def flag(call: ApiCall, name: str) -> bool:
    """``true`` or ``false``, in any case; false when it is missing. Raises ApiError."""
    text = call.text(name, "false").lower()
    if text not in ("true", "false"):
        raise illegal(name, "^(true|false)$")
    return text == "true"


def client_id(call: ApiCall, name: str) -> str:
    """A client's own id of an order; "" when it has given none. Raises ApiError."""
    text = call.text(name)
    if name in call.parameters and not CLIENT_ID.fullmatch(text):
        raise illegal(name, "^[\\.A-Z\\:/a-z0-9_-]{1,36}$")
    return text
