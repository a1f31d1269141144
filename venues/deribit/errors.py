"""The error codes of Deribit, and what each means for an order."""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders.errors import ErrorTable, VenueError
from kit.execution.contract import RejectReason

_PRICE, _SIZE = orders_pb2.REJECT_REASON_PRICE, orders_pb2.REJECT_REASON_SIZE
_PERMISSION = orders_pb2.REJECT_REASON_PERMISSION
_INSTRUMENT = orders_pb2.REJECT_REASON_INSTRUMENT
_STOP_PRICE = orders_pb2.REJECT_REASON_STOP_PRICE
_TOO_MANY = orders_pb2.REJECT_REASON_TOO_MANY_ORDERS
_OTHER = orders_pb2.REJECT_REASON_OTHER
CODES: Mapping[str, RejectReason] = {
    "-32600": _OTHER,
    "-32601": _OTHER,
    "-32602": _OTHER,
    "-32700": _OTHER,
    "10024": _OTHER,
    "10025": _OTHER,
    "10036": _OTHER,
    "11029": _OTHER,
    "11030": _OTHER,
    "11038": _OTHER,
    "11039": _OTHER,
    "11041": _OTHER,
    "11043": _OTHER,
    "11047": _OTHER,
    "11049": _OTHER,
    "11050": _OTHER,
    "10033": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "10039": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "10066": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "11013": _TOO_MANY,
    "11022": _SIZE,
    "10000": _PERMISSION,
    "10002": _SIZE,
    "10003": orders_pb2.REJECT_REASON_SELF_TRADE,
    "10005": _PRICE,
    "10006": _PRICE,
    "10007": _PRICE,
    "10008": _PRICE,
    "10009": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "10011": _PRICE,
    "10012": _INSTRUMENT,
    "10013": _TOO_MANY,
    "10014": _TOO_MANY,
    "10015": _TOO_MANY,
    "10016": _SIZE,
    "10017": _SIZE,
    "10018": _SIZE,
    "10019": _PERMISSION,
    "10020": _INSTRUMENT,
    "10021": _SIZE,
    "10022": _SIZE,
    "10023": _PRICE,
    "10026": _PRICE,
    "10027": _SIZE,
    "10028": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "10031": _INSTRUMENT,
    "10034": _STOP_PRICE,
    "10035": _STOP_PRICE,
    "10044": _STOP_PRICE,
    "10032": orders_pb2.REJECT_REASON_NOTIONAL,
    "10041": orders_pb2.REJECT_REASON_MAINTENANCE,
    "10043": _PRICE,
    "10047": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "11035": _TOO_MANY,
    "11036": _STOP_PRICE,
    "11042": _PERMISSION,
    "11046": _INSTRUMENT,
    "11051": orders_pb2.REJECT_REASON_MAINTENANCE,
    "11054": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "11055": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "13004": _PERMISSION,
    "13009": _PERMISSION,
    "13019": _INSTRUMENT,
    "13020": _INSTRUMENT,
    "13021": _PERMISSION,
}
"""https://docs.deribit.com/articles/errors. Unlisted on purpose are errors inside the venue, "try
again", and timeouts: 10001, 10040, 11031, 11094, 13008, 13028, 13888, -32603."""
TEXTS: Mapping[str, RejectReason] = {
    "reduce_only": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "invalid params: amount": _SIZE,
    "invalid params: price": _PRICE,
    "invalid params: instrument_name": _INSTRUMENT,
}
NOTHING = "10004"
NOT_FOUND = frozenset({NOTHING, "10010", "10029", "11008", "11044"})


def find_error(answer: Any) -> VenueError | None:
    """{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":{"reason":"must be
    a multiple of the minimum order size","param":"amount"}},…}"""
    error = answer.get("error") if isinstance(answer, dict) else None
    if error is None:
        return None
    data = error.get("data")
    parts = [error.get("message", "")]
    if isinstance(data, dict):
        parts += [str(data[name]) for name in ("param", "reason") if name in data]
    return VenueError(str(error["code"]), ": ".join(parts))


ERRORS = ErrorTable(
    find_error, CODES, TEXTS, not_found=NOT_FOUND, error_statuses=frozenset({200, 400, 401})
)
