"""The exit codes of ``./venuemesh order``, by the outcome of a request."""

import argparse
from collections.abc import Iterable
from decimal import Decimal

import grpc
from google.protobuf.message import Message
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import orders_pb2, trade_flow_pb2

from kit.base import errors
from kit.execution.orders.order_states import FINAL, REJECTED
from ops.errors import EXIT_FAILED
from ops.orders.arguments import AMENDED_FIELDS

EXIT_REJECTED = 3
EXIT_UNKNOWN = 4
EXIT_LEFT_OPEN = 5
EXIT_CODES = (
    "exit code: 0 accepted or done; 1 refused before it was sent; 2 wrong use; 3 rejected by the "
    "venue; 4 not known: it may have been done; 5 done, and something is left open"
)

PLACING = frozenset({"place", "bracket", "oco", "amend", "confirm"})
ENDING = frozenset({"cancel", "cancel-all", "flatten"})
NOT_KNOWN = frozenset(
    {
        orders_pb2.ORDER_STATE_UNSPECIFIED,
        orders_pb2.ORDER_STATE_INTENDED,
        orders_pb2.ORDER_STATE_SENT,
        orders_pb2.ORDER_STATE_UNKNOWN,
    }
)
UNCLEAR = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)
"""After these the request may have been carried out."""


def of_answer(answer: Message, chosen: argparse.Namespace) -> int:
    """The exit code after an answer."""
    if isinstance(answer, inspector_pb2.SubmitManualResponse):
        exit_code = _of_submitted(answer)
        if exit_code:
            return exit_code
        answer = answer.submitted
    orders = _orders(answer)
    if chosen.verb in PLACING:
        states = {order.state for order in orders}
        if states & NOT_KNOWN or not all(_is_amended(order, chosen) for order in orders):
            return EXIT_UNKNOWN
        return EXIT_REJECTED if REJECTED in states else 0
    if chosen.verb in ENDING:
        if any(order.state not in FINAL for order in orders):
            return EXIT_UNKNOWN
        if isinstance(answer, trade_flow_pb2.CancelAllOrdersResponse) and answer.left_open:
            return EXIT_LEFT_OPEN
    return 0


def _of_submitted(answer: inspector_pb2.SubmitManualResponse) -> int:
    """0 if the venue's process has the orders."""
    if answer.proposal.state == risk_pb2.PROPOSAL_STATE_PENDING:
        return EXIT_UNKNOWN
    if answer.verdict.verdict != risk_pb2.VERDICT_ALLOW:
        return EXIT_FAILED
    match answer.submitted.outcome:
        case risk_pb2.SUBMISSION_OUTCOME_UNSPECIFIED:
            return EXIT_UNKNOWN
        case risk_pb2.SUBMISSION_OUTCOME_REFUSED | risk_pb2.SUBMISSION_OUTCOME_EXPIRED:
            return EXIT_FAILED
    return 0


def of_error(error: grpc.aio.AioRpcError, chosen: argparse.Namespace) -> int:
    """The exit code after a call that failed."""
    if chosen.verb in PLACING | ENDING and error.code() in UNCLEAR:
        return EXIT_UNKNOWN
    info = errors.error_info(error)
    # All other fields are those of an order that was not sent.
    was_sent = info is not None and info.metadata.get("field") == "content"
    return EXIT_REJECTED if chosen.verb == "amend" and was_sent else EXIT_FAILED


def _orders(answer: Message) -> Iterable[orders_pb2.Order]:
    if "order" in answer.DESCRIPTOR.fields_by_name:
        return [answer.order]  # type: ignore[attr-defined]
    return getattr(answer, "orders", ())


def _is_amended(order: orders_pb2.Order, chosen: argparse.Namespace) -> bool:
    """Whether an order has its new terms, which a venue may take over only later. The group sets
    the size of its orders."""
    if chosen.verb != "amend":
        return True
    wanted = {name: getattr(chosen, name) for name in AMENDED_FIELDS if getattr(chosen, name)}
    if order.content.HasField("group"):
        wanted.pop("size", None)
    return all(
        Decimal(getattr(order.content, name) or 0) == Decimal(value)
        for name, value in wanted.items()
    )
