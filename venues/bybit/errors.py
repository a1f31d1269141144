"""The error codes of Bybit, and what each means for an order."""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders.errors import STATUSES, ErrorTable, VenueError
from kit.execution.contract import RejectReason

CODES: Mapping[str, RejectReason] = {
    "10001": orders_pb2.REJECT_REASON_OTHER,
    "10002": orders_pb2.REJECT_REASON_CLOCK,
    "30084": orders_pb2.REJECT_REASON_OTHER,
    "110043": orders_pb2.REJECT_REASON_OTHER,
    "170105": orders_pb2.REJECT_REASON_OTHER,
    "170117": orders_pb2.REJECT_REASON_OTHER,
    "170130": orders_pb2.REJECT_REASON_OTHER,
    "170210": orders_pb2.REJECT_REASON_OTHER,
    "10007": orders_pb2.REJECT_REASON_PERMISSION,
    "10009": orders_pb2.REJECT_REASON_PERMISSION,
    "10404": orders_pb2.REJECT_REASON_OTHER,
    "20006": orders_pb2.REJECT_REASON_OTHER,
    "10003": orders_pb2.REJECT_REASON_PERMISSION,
    "10004": orders_pb2.REJECT_REASON_PERMISSION,
    "10005": orders_pb2.REJECT_REASON_PERMISSION,
    "10006": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "10010": orders_pb2.REJECT_REASON_PERMISSION,
    "10018": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "10429": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "10403": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "20003": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "12137": orders_pb2.REJECT_REASON_SIZE,
    "33004": orders_pb2.REJECT_REASON_PERMISSION,
    "110003": orders_pb2.REJECT_REASON_PRICE,
    "110094": orders_pb2.REJECT_REASON_NOTIONAL,
    "110004": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110006": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110007": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110009": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
    "110012": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110014": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110016": orders_pb2.REJECT_REASON_SIZE,
    "110017": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "110020": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
    "110021": orders_pb2.REJECT_REASON_SIZE,
    "110030": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "110044": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110045": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110051": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110052": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110053": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "110063": orders_pb2.REJECT_REASON_INSTRUMENT,
    "110066": orders_pb2.REJECT_REASON_INSTRUMENT,
    "110070": orders_pb2.REJECT_REASON_INSTRUMENT,
    "110072": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "110092": orders_pb2.REJECT_REASON_STOP_PRICE,
    "110093": orders_pb2.REJECT_REASON_STOP_PRICE,
    "131001": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "131212": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "170033": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "170034": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "170005": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "170115": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170116": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170121": orders_pb2.REJECT_REASON_INSTRUMENT,
    "170124": orders_pb2.REJECT_REASON_SIZE,
    "170131": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "170132": orders_pb2.REJECT_REASON_PRICE,
    "170133": orders_pb2.REJECT_REASON_PRICE,
    "170134": orders_pb2.REJECT_REASON_PRICE,
    "170135": orders_pb2.REJECT_REASON_SIZE,
    "170136": orders_pb2.REJECT_REASON_SIZE,
    "170137": orders_pb2.REJECT_REASON_SIZE,
    "170140": orders_pb2.REJECT_REASON_NOTIONAL,
    "170141": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "170148": orders_pb2.REJECT_REASON_SIZE,
    "170151": orders_pb2.REJECT_REASON_INSTRUMENT,
    "170157": orders_pb2.REJECT_REASON_INSTRUMENT,
    "170159": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170192": orders_pb2.REJECT_REASON_PRICE,
    "170193": orders_pb2.REJECT_REASON_PRICE,
    "170194": orders_pb2.REJECT_REASON_PRICE,
    "170197": orders_pb2.REJECT_REASON_SIZE,
    "170198": orders_pb2.REJECT_REASON_SIZE,
    "170199": orders_pb2.REJECT_REASON_SIZE,
    "170200": orders_pb2.REJECT_REASON_SIZE,
    "170204": orders_pb2.REJECT_REASON_STOP_PRICE,
    "170206": orders_pb2.REJECT_REASON_STOP_PRICE,
    "170209": orders_pb2.REJECT_REASON_PERMISSION,
    "170217": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170218": orders_pb2.REJECT_REASON_WOULD_TAKE,
    "170222": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "170223": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "170226": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "170227": orders_pb2.REJECT_REASON_NOT_SUPPORTED,
    "170228": orders_pb2.REJECT_REASON_SIZE,
    "170229": orders_pb2.REJECT_REASON_SIZE,
    "170371": orders_pb2.REJECT_REASON_PRICE,
    "170372": orders_pb2.REJECT_REASON_PRICE,
    "170810": orders_pb2.REJECT_REASON_TOO_MANY_ORDERS,
}
TEXTS: Mapping[str, RejectReason] = {
    "invalid api_key": orders_pb2.REJECT_REASON_PERMISSION,
    "sign params error": orders_pb2.REJECT_REASON_PERMISSION,
    "not supported symbols": orders_pb2.REJECT_REASON_INSTRUMENT,
    "oc_diff": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
    "new_oc": orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS,
}
"""10001 and 30084 stand for many reasons; the message says which."""
TIMEOUT = "10000"
"""The server's timeout. It is unlisted on purpose, as are the errors inside the venue and its
restarts: 10016, 10019, 5004, 170001, 170007, 170032, 170146, 170147, 170149, 170150, 170234."""


def find_error(answer: Any) -> VenueError | None:
    """{"retCode":170131,"retMsg":"Insufficient balance.","result":{},"time":1}: always HTTP 200. A
    timeout has several codes."""
    if isinstance(answer, dict) and str(answer.get("retCode", "0")) != "0":
        message = str(answer.get("retMsg", ""))
        is_timeout = "request timeout" in message.lower()
        return VenueError(TIMEOUT if is_timeout else str(answer["retCode"]), message)
    return None


ERRORS = ErrorTable(
    find_error,
    CODES,
    TEXTS,
    not_found=frozenset(
        {"110001", "110008", "110010", "170139", "170142", "170143", "170190", "170213"}
    ),
    error_statuses=frozenset({200, 400, 401}),
    statuses={**STATUSES, 403: orders_pb2.REJECT_REASON_RATE_LIMIT},
)
