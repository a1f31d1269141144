"""Errors as Kraken writes them: a text, with the HTTP status 200.

Documentation: https://docs.kraken.com/api/docs/guides/spot-errors
"""

from collections.abc import Mapping

from kit.simulator.exchange.rest import ApiError, ApiErrors
from kit.simulator.matching.contract import RejectCode

INVALID_ARGUMENTS = "EGeneral:Invalid arguments"
UNAVAILABLE = "EService:Unavailable"
UNKNOWN_ORDER = ApiError("EOrder:Unknown order")
INVALID_SESSION = ApiError("ESession:Invalid session")
DEADLINE_ELAPSED = ApiError("EService:Deadline elapsed")
FAILURES: Mapping[int, bytes] = {
    418: b'{"error":["EGeneral:Temporary lockout"]}',
    429: b'{"error":["EGeneral:Too many requests"]}',
    500: b'{"error":["EGeneral:Internal error"]}',
    503: b'{"error":["EService:Unavailable"]}',
}
UNKNOWN_METHOD = b'{"error":["EGeneral:Unknown method"]}'


def invalid(name: str = "") -> ApiError:
    """A parameter cannot be read."""
    return ApiError(f"{INVALID_ARGUMENTS}:{name}" if name else INVALID_ARGUMENTS)


_REJECTIONS: Mapping[RejectCode, str] = {
    RejectCode.UNKNOWN_SYMBOL: "EQuery:Unknown asset pair",
    RejectCode.HALTED: "EService:Market in cancel_only mode",
    RejectCode.TICK: "EOrder:Tick size check failed",
    RejectCode.LOT: "EGeneral:Invalid arguments:volume",
    RejectCode.SIZE_MIN: "EOrder:Order minimum not met",
    RejectCode.NOTIONAL_MIN: "EOrder:Cost minimum not met",
    RejectCode.PRICE_BAND: "EOrder:Invalid price",
    RejectCode.FUNDS: "EOrder:Insufficient funds",
    RejectCode.WOULD_TAKE: "EOrder:Post only order",
    RejectCode.WOULD_NOT_FILL: "EOrder:Invalid order",
    RejectCode.REDUCE_ONLY: "EOrder:Reduce only:Non-PC",
    RejectCode.STOP_WOULD_TRIGGER: "EOrder:Invalid price",
    RejectCode.DUPLICATE_ID: "EGeneral:Invalid arguments:cl_ord_id",
    RejectCode.UNKNOWN_ORDER: "EOrder:Unknown order",
    RejectCode.FINISHED: "EOrder:Unknown order",
    RejectCode.TOO_MANY: "EOrder:Orders limit exceeded",
    RejectCode.SELF_TRADE: "EOrder:Invalid order",
    RejectCode.MALFORMED: INVALID_ARGUMENTS,
}
ERRORS = ApiErrors(
    rejections={code: ApiError(text) for code, text in _REJECTIONS.items()},
    unavailable=ApiError(UNAVAILABLE),
    unknown_symbol=ApiError("EQuery:Unknown asset pair"),
    invalid=invalid,
)
