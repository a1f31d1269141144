"""The errors of Kraken, and what each means for an order."""

import re
from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders.errors import OK, ErrorTable, VenueError
from kit.execution.contract import RejectReason

_PRICE, _SIZE = orders_pb2.REJECT_REASON_PRICE, orders_pb2.REJECT_REASON_SIZE
_FUNDS = orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS
_INSTRUMENT = orders_pb2.REJECT_REASON_INSTRUMENT
_PERMISSION = orders_pb2.REJECT_REASON_PERMISSION
_RATE_LIMIT = orders_pb2.REJECT_REASON_RATE_LIMIT
_TOO_MANY = orders_pb2.REJECT_REASON_TOO_MANY_ORDERS
_OTHER = orders_pb2.REJECT_REASON_OTHER
INVALID_PRICE = "EOrder:Invalid price"
CODES: Mapping[str, RejectReason] = {
    "EAPI:Feature disabled": _PERMISSION,
    "EAPI:Invalid key": _PERMISSION,
    "EAPI:Invalid nonce": orders_pb2.REJECT_REASON_CLOCK,
    "EAPI:Invalid signature": _PERMISSION,
    "EAPI:Rate limit exceeded": _RATE_LIMIT,
    "EGeneral:Invalid arguments": _OTHER,
    "EGeneral:Invalid arguments:cl_ord_id": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "EGeneral:Invalid arguments:ordertype": _OTHER,
    "EGeneral:Invalid arguments:price": _PRICE,
    "EGeneral:Invalid arguments:timeinforce": _OTHER,
    "EGeneral:Invalid arguments:type": _OTHER,
    "EGeneral:Invalid arguments:viqc": _SIZE,
    "EGeneral:Invalid arguments:volume": _SIZE,
    "EGeneral:Permission denied": _PERMISSION,
    "EGeneral:Temporary lockout": _RATE_LIMIT,
    "EGeneral:Too many requests": _RATE_LIMIT,
    "EGeneral:Unknown method": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "EOrder:Cost minimum not met": orders_pb2.REJECT_REASON_NOTIONAL,
    "EOrder:Insufficient funds": _FUNDS,
    "EOrder:Insufficient margin": _FUNDS,
    "EOrder:Invalid order": _OTHER,
    INVALID_PRICE: _PRICE,
    "EOrder:Invalid price:Invalid price argument": _PRICE,
    "EOrder:Margin allowance exceeded": _FUNDS,
    "EOrder:Margin level too low": _FUNDS,
    "EOrder:Margin position size exceeded": _SIZE,
    "EOrder:Order minimum not met": _SIZE,
    "EOrder:Orders limit exceeded": _TOO_MANY,
    "EOrder:Positions limit exceeded": _TOO_MANY,
    "EOrder:Post only order": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "EOrder:Rate limit exceeded": _RATE_LIMIT,
    "EOrder:Reduce only:No position exists": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "EOrder:Reduce only:Non-PC": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "EOrder:Tick size check failed": _PRICE,
    "EOrder:Trading agreement required": _PERMISSION,
    "EQuery:Invalid asset pair": _INSTRUMENT,
    "EQuery:Unknown asset": _INSTRUMENT,
    "EQuery:Unknown asset pair": _INSTRUMENT,
    "EService:Market in cancel_only mode": orders_pb2.REJECT_REASON_MAINTENANCE,
    "EService:Market in limit_only mode": orders_pb2.REJECT_REASON_MAINTENANCE,
    "EService:Market in post_only mode": orders_pb2.REJECT_REASON_MAINTENANCE,
    "ESession:Invalid session": _PERMISSION,
    "ETrade:User Locked": _PERMISSION,
}
"""By the whole text, which has the form ``severity category:message[:extra]``: Kraken has no other
codes. A text with an extra that is not here proves nothing. After EService: (Unavailable, Busy,
Timeout, Deadline elapsed) and after internal errors an order may exist.
https://docs.kraken.com/api/docs/guides/spot-errors"""
UNKNOWN_ORDER = "EOrder:Unknown order"
_TOO_MANY_DECIMALS = re.compile(
    r"EOrder:Invalid price:[A-Z0-9./]{3,24} price can only be specified up to \d{1,2} decimals\."
)
"""A known text whose extra names the pair."""


def find_error(answer: Any) -> VenueError | None:
    """{"error":["EOrder:Insufficient funds"]}: always HTTP 200. Several errors together are a code
    that no table lists."""
    errors = answer.get("error") if isinstance(answer, dict) else None
    if not errors:
        return None
    text = "; ".join(map(str, errors))
    if _TOO_MANY_DECIMALS.fullmatch(text):
        return VenueError(INVALID_PRICE, text)
    return VenueError(text, "")


ERRORS = ErrorTable(
    find_error,
    CODES,
    not_found=frozenset({UNKNOWN_ORDER, "EOrder:Invalid order"}),
    error_statuses=frozenset({OK}),
)
