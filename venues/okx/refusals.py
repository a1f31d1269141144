"""What OKX refuses, and what it leaves open."""

from collections.abc import Mapping
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.orders.ccxt.errors import Errors, Said
from kit.orders.contract import RejectReason

_FUNDS = orders_pb2.REJECT_REASON_INSUFFICIENT_FUNDS
_PERMISSION = orders_pb2.REJECT_REASON_PERMISSION
CODES: Mapping[str, RejectReason] = {
    "50011": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "50061": orders_pb2.REJECT_REASON_RATE_LIMIT,
    "50102": orders_pb2.REJECT_REASON_OTHER,
    "50030": _PERMISSION,
    "50100": _PERMISSION,
    "50101": _PERMISSION,
    "50103": _PERMISSION,
    "50104": _PERMISSION,
    "50105": _PERMISSION,
    "50110": _PERMISSION,
    "50111": _PERMISSION,
    "50113": _PERMISSION,
    "50114": _PERMISSION,
    "50119": _PERMISSION,
    "50120": _PERMISSION,
    "51001": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51004": orders_pb2.REJECT_REASON_SIZE,
    "51005": orders_pb2.REJECT_REASON_SIZE,
    "51006": orders_pb2.REJECT_REASON_PRICE,
    "51008": _FUNDS,
    "51010": _PERMISSION,
    "51014": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51016": orders_pb2.REJECT_REASON_DUPLICATE_ID,
    "51020": orders_pb2.REJECT_REASON_SIZE,
    "51021": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51022": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51023": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "51024": _PERMISSION,
    "51028": orders_pb2.REJECT_REASON_INSTRUMENT,
    "51112": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "51119": _FUNDS,
    "51120": orders_pb2.REJECT_REASON_SIZE,
    "51121": orders_pb2.REJECT_REASON_SIZE,
    "51127": _FUNDS,
    "51131": _FUNDS,
    "51137": orders_pb2.REJECT_REASON_PRICE,
    "51138": orders_pb2.REJECT_REASON_PRICE,
    "51169": orders_pb2.REJECT_REASON_REDUCE_ONLY,
    "51201": orders_pb2.REJECT_REASON_NOTIONAL,
    "51202": orders_pb2.REJECT_REASON_SIZE,
    "51277": orders_pb2.REJECT_REASON_STOP_PRICE,
    "51278": orders_pb2.REJECT_REASON_STOP_PRICE,
    "51279": orders_pb2.REJECT_REASON_STOP_PRICE,
    "51280": orders_pb2.REJECT_REASON_STOP_PRICE,
    "51290": orders_pb2.REJECT_REASON_MAINTENANCE,
}
UNCLEAR = frozenset({"50000", "50001", "50004", "50013", "50026", "51054", "51149"})
"""Timeouts, and errors and overload inside the venue."""
ABSENT = frozenset(
    {"51400", "51401", "51402", "51405", "51410", "51503", "51509", "51510", "51603"}
)


def said(answer: Any) -> Said | None:
    """{"code":"1","data":[{"sCode":"51008","sMsg":"Insufficient balance",…}],"msg":""}, or
    {"code":"50011","msg":"Too Many Requests","data":[]}. The code of the order counts before that
    of the call, and may be wrong where the call's is right."""
    if not isinstance(answer, dict):
        return None
    for row in answer.get("data") or ():
        if isinstance(row, dict) and row.get("sCode", "0") != "0":
            return Said(str(row["sCode"]), str(row.get("sMsg", "")))
    if answer["code"] != "0":
        return Said(str(answer["code"]), str(answer.get("msg", "")))
    return None


ERRORS = Errors(said, CODES, unclear=UNCLEAR, absent=ABSENT)
"""For the line."""
