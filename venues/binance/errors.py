"""The error codes of Binance, and what each means for an order."""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders.errors import ErrorTable, VenueError
from kit.execution.contract import RejectReason

TEXTS: Mapping[str, RejectReason] = {
    "insufficient balance": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "immediately match and take": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "duplicate order sent": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "trigger immediately": orders_pb2.REJECT_REASON_STOP_PRICE,
    "would not be filled": orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    "price_filter": orders_pb2.REJECT_REASON_PRICE,
    "percent_price": orders_pb2.REJECT_REASON_PRICE,
    "market_lot_size": orders_pb2.REJECT_REASON_SIZE,
    "lot_size": orders_pb2.REJECT_REASON_SIZE,
    "notional": orders_pb2.REJECT_REASON_NOTIONAL,
    "max_num": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
    "max_position": orders_pb2.REJECT_REASON_SIZE,
    "market is closed": orders_pb2.REJECT_REASON_INSTRUMENT,
    "trading is not enabled": orders_pb2.REJECT_REASON_INSTRUMENT,
    "not supported for this symbol": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "disabled on this account": orders_pb2.REJECT_REASON_PERMISSION,
    "is not permitted for this": orders_pb2.REJECT_REASON_PERMISSION,
    "is restricted for this": orders_pb2.REJECT_REASON_PERMISSION,
    "may not place": orders_pb2.REJECT_REASON_PERMISSION,
    "invalid quantity": orders_pb2.REJECT_REASON_SIZE,
    "invalid price": orders_pb2.REJECT_REASON_PRICE,
    "service unavailable from a restricted location": orders_pb2.REJECT_REASON_PERMISSION,
}
"""Several codes, as -2010 and -1013, stand for many reasons; the message says which."""
CODES: Mapping[str, RejectReason] = {
    "-1013": orders_pb2.REJECT_REASON_OTHER,
    "-1014": orders_pb2.REJECT_REASON_OTHER,
    "-1020": orders_pb2.REJECT_REASON_OTHER,
    "-1100": orders_pb2.REJECT_REASON_OTHER,
    "-1101": orders_pb2.REJECT_REASON_OTHER,
    "-1102": orders_pb2.REJECT_REASON_OTHER,
    "-1103": orders_pb2.REJECT_REASON_OTHER,
    "-1104": orders_pb2.REJECT_REASON_OTHER,
    "-1105": orders_pb2.REJECT_REASON_OTHER,
    "-1106": orders_pb2.REJECT_REASON_OTHER,
    "-1108": orders_pb2.REJECT_REASON_INSTRUMENT,
    "-1111": orders_pb2.REJECT_REASON_OTHER,
    "-1114": orders_pb2.REJECT_REASON_OTHER,
    "-1115": orders_pb2.REJECT_REASON_OTHER,
    "-1116": orders_pb2.REJECT_REASON_OTHER,
    "-1117": orders_pb2.REJECT_REASON_OTHER,
    "-1118": orders_pb2.REJECT_REASON_OTHER,
    "-1119": orders_pb2.REJECT_REASON_OTHER,
    "-1122": orders_pb2.REJECT_REASON_OTHER,
    "-1128": orders_pb2.REJECT_REASON_OTHER,
    "-1130": orders_pb2.REJECT_REASON_OTHER,
    "-1134": orders_pb2.REJECT_REASON_OTHER,
    "-1135": orders_pb2.REJECT_REASON_OTHER,
    "-1145": orders_pb2.REJECT_REASON_OTHER,
    "-2010": orders_pb2.REJECT_REASON_OTHER,
    "-2016": orders_pb2.REJECT_REASON_OTHER,
    "-2038": orders_pb2.REJECT_REASON_OTHER,
    "-2039": orders_pb2.REJECT_REASON_OTHER,
    "-4015": orders_pb2.REJECT_REASON_OTHER,
    "-4061": orders_pb2.REJECT_REASON_OTHER,
    "-5025": orders_pb2.REJECT_REASON_OTHER,
    "-5026": orders_pb2.REJECT_REASON_OTHER,
    "-5027": orders_pb2.REJECT_REASON_OTHER,
    "-5028": orders_pb2.REJECT_REASON_CLOCK,
    "-1002": orders_pb2.REJECT_REASON_PERMISSION,
    "-1003": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "-1008": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "-1015": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "-1112": orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    "-1016": orders_pb2.REJECT_REASON_MAINTENANCE,
    "-1021": orders_pb2.REJECT_REASON_CLOCK,
    "-4013": orders_pb2.REJECT_REASON_PRICE,
    "-4023": orders_pb2.REJECT_REASON_SIZE,
    "-4045": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
    "-4062": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "-1022": orders_pb2.REJECT_REASON_PERMISSION,
    "-1121": orders_pb2.REJECT_REASON_INSTRUMENT,
    "-2020": orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    "-2023": orders_pb2.REJECT_REASON_PERMISSION,
    "-2024": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "-2028": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "-2018": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "-2019": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "-2021": orders_pb2.REJECT_REASON_STOP_PRICE,
    "-2022": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "-2025": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
    "-2027": orders_pb2.REJECT_REASON_SIZE,
    "-4001": orders_pb2.REJECT_REASON_PRICE,
    "-4002": orders_pb2.REJECT_REASON_PRICE,
    "-4003": orders_pb2.REJECT_REASON_SIZE,
    "-4004": orders_pb2.REJECT_REASON_SIZE,
    "-4005": orders_pb2.REJECT_REASON_SIZE,
    "-4014": orders_pb2.REJECT_REASON_PRICE,
    "-4016": orders_pb2.REJECT_REASON_PRICE,
    "-4024": orders_pb2.REJECT_REASON_PRICE,
    "-4116": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "-4118": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "-4120": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "-4131": orders_pb2.REJECT_REASON_PRICE,
    "-4140": orders_pb2.REJECT_REASON_INSTRUMENT,
    "-4141": orders_pb2.REJECT_REASON_INSTRUMENT,
    "-4142": orders_pb2.REJECT_REASON_STOP_PRICE,
    "-4164": orders_pb2.REJECT_REASON_NOTIONAL,
    "-4183": orders_pb2.REJECT_REASON_PRICE,
    "-4184": orders_pb2.REJECT_REASON_PRICE,
    "-4210": orders_pb2.REJECT_REASON_STOP_PRICE,
    "-4211": orders_pb2.REJECT_REASON_STOP_PRICE,
    "-5021": orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    "-5022": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "-5041": orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    "-2014": orders_pb2.REJECT_REASON_PERMISSION,
    "-2015": orders_pb2.REJECT_REASON_PERMISSION,
}
"""Rejections by the API, by a filter, or by the matching engine. Unlisted on purpose: unknown error
(-1000), disconnected (-1001), busy (-1004), unexpected response (-1006), timeout (-1007), error of
the matching engine without a kind (-1010), and a failed cancellation of all orders (-2012).
https://developers.binance.com/docs/binance-spot-api-docs/errors
https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code"""
ERROR_STATUSES = frozenset({400, 401, 403, 404})
"""A status of 5XX means that the execution status is unknown, unless the code is -1008: such a
request was not executed."""
THROTTLED = {"-1008": 503}


def find_error(answer: Any) -> VenueError | None:
    """{"code":-2010,"msg":"Account has insufficient balance for requested action."}"""
    if isinstance(answer, dict) and "code" in answer and int(answer["code"]) < 0:
        return VenueError(str(answer["code"]), str(answer.get("msg", "")))
    return None


ERRORS = ErrorTable(
    find_error,
    CODES,
    TEXTS,
    not_found=frozenset({"-2011", "-2013"}),
    error_statuses=ERROR_STATUSES,
    other_statuses=THROTTLED,
)
