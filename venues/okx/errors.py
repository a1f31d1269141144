"""The error codes of OKX, and what each means for an order."""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.connector.orders.errors import ErrorTable, VenueError
from kit.execution.contract import RejectReason

_FUNDS = orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS
_PRICE, _STOP_PRICE = orders_pb2.REJECT_REASON_PRICE, orders_pb2.REJECT_REASON_STOP_PRICE
_SIZE, _TOO_MANY = orders_pb2.REJECT_REASON_SIZE, orders_pb2.REJECT_REASON_TOO_MANY_ORDERS
_PERMISSION = orders_pb2.REJECT_REASON_PERMISSION
_OTHER = orders_pb2.REJECT_REASON_OTHER
CODES: Mapping[str, RejectReason] = {
    "50000": _OTHER,
    "50002": _OTHER,
    "50014": _OTHER,
    "51000": _OTHER,
    "51002": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51003": _OTHER,
    "51019": _OTHER,
    "51500": _OTHER,
    "60011": _PERMISSION,
    "4088": _PERMISSION,
    "50011": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "50061": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "50102": orders_pb2.REJECT_REASON_CLOCK,
    "50007": _PERMISSION,
    "50008": _PERMISSION,
    "50009": _PERMISSION,
    "50027": _PERMISSION,
    "50030": _PERMISSION,
    "50100": _PERMISSION,
    "50101": _PERMISSION,
    "50103": _PERMISSION,
    "50104": _PERMISSION,
    "50105": _PERMISSION,
    "50110": _PERMISSION,
    "50111": _PERMISSION,
    "50112": orders_pb2.REJECT_REASON_CLOCK,
    "50113": _PERMISSION,
    "50114": _PERMISSION,
    "50119": _PERMISSION,
    "50120": _PERMISSION,
    "51001": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51004": _SIZE,
    "51005": _SIZE,
    "51006": _PRICE,
    "51007": _SIZE,
    "51008": _FUNDS,
    "51009": _PERMISSION,
    "51010": _PERMISSION,
    "51011": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "51014": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51016": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "51020": _SIZE,
    "51021": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51022": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51023": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "51024": _PERMISSION,
    "51025": _TOO_MANY,
    "51027": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51028": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51029": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51030": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51031": _PRICE,
    "51046": _STOP_PRICE,
    "51047": _STOP_PRICE,
    "51100": _SIZE,
    "51101": _SIZE,
    "51104": _SIZE,
    "51105": _SIZE,
    "51106": _SIZE,
    "51107": _SIZE,
    "51108": _SIZE,
    "51102": _TOO_MANY,
    "51103": _TOO_MANY,
    "51117": _TOO_MANY,
    "51109": orders_pb2.REJECT_REASON_WOULD_NOT_FILL,
    "51112": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "51113": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "51116": _PRICE,
    "51118": _SIZE,
    "51119": _FUNDS,
    "51120": _SIZE,
    "51121": _SIZE,
    "51122": _PRICE,
    "51127": _FUNDS,
    "51131": _FUNDS,
    "51133": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "51135": _PRICE,
    "51136": _PRICE,
    "51137": _PRICE,
    "51138": _PRICE,
    "51139": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "51155": _PERMISSION,
    "51169": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "51174": _TOO_MANY,
    "51185": orders_pb2.REJECT_REASON_NOTIONAL,
    "51201": orders_pb2.REJECT_REASON_NOTIONAL,
    "51202": _SIZE,
    "51203": _SIZE,
    "51204": _PRICE,
    "51205": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "51250": _PRICE,
    "51252": _PRICE,
    "51258": _STOP_PRICE,
    "51259": _STOP_PRICE,
    "51260": _TOO_MANY,
    "51261": _TOO_MANY,
    "51275": _SIZE,
    "51277": _STOP_PRICE,
    "51278": _STOP_PRICE,
    "51279": _STOP_PRICE,
    "51280": _STOP_PRICE,
    "51290": orders_pb2.REJECT_REASON_MAINTENANCE,
    "51502": _FUNDS,
    "51511": orders_pb2.REJECT_REASON_WOULD_TAKE,
}
INSIDE = "50026"
"""Not an error of a matching engine: it stands for errors inside the venue. Unlisted on purpose, as
are its timeouts, overload, and the connections that it closes: 50001, 50004, 50005, 50013, 51054,
51149, 4004, 4005, 60015, 60016, 64008."""
NOT_FOUND = frozenset(
    {"51400", "51401", "51402", "51405", "51410", "51503", "51509", "51510", "51603"}
)


def find_error(answer: Any) -> VenueError | None:
    """{"code":"1","data":[{"sCode":"51008","sMsg":"Insufficient balance",…}],"msg":""}, or
    {"code":"50011","msg":"Too Many Requests","data":[]}. The code of the order counts before the
    code of the call, and may be wrong where the call's is right. An error inside the venue may also
    come as {"code":500,"data":{},"msg":"Internal Server Error"}."""
    if not isinstance(answer, dict):
        return None
    for row in answer.get("data") or ():
        if isinstance(row, dict) and row.get("sCode", "0") != "0":
            return VenueError(str(row["sCode"]), str(row.get("sMsg", "")))
    code, message = str(answer["code"]), str(answer.get("msg", ""))
    if code == "0":
        return None
    return VenueError(INSIDE if "server error" in message.lower() else code, message)


ERRORS = ErrorTable(
    find_error, CODES, not_found=NOT_FOUND, error_statuses=frozenset({200, 400, 401})
)
