"""Calls of TradeFlow, and what their answers say."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, signed_pb2, trade_flow_pb2

from kit.base.errors import AccountNotReady, StoreUnavailable, VenueUnavailable
from kit.execution.client_order_ids import client_order_id

WHERE = {"venue": "fake", "account": "main"}
REPEATED_S = 10
"""So long after its answer a call that has its effect once is made again: others were made since.
"""
MAY_BE_REPEATED = (AccountNotReady, StoreUnavailable, VenueUnavailable)


@dataclass(eq=False)
class Request:
    """A call of TradeFlow, which is repeated until it is answered."""

    rpc: str
    message: Any
    text: str
    approved: Sequence[signed_pb2.ApprovedOrder] = ()
    keys: Sequence[str] = ()
    """Client order ids of the orders that it places or cancels."""
    is_answered: bool = False
    response: Any = None
    tries: int = field(default=0)

    @property
    def has_one_effect(self) -> bool:
        """Whether it has no effect when it is made again after its answer."""
        return self.rpc.startswith("Place") or (
            self.rpc in ("CancelAllOrders", "Flatten") and self.message.HasField("approved")
        )


class LeavingCallers:
    """Callers that do not wait for the answer."""

    share, left_per_s = 0.2, 5

    def __init__(self, chance, venue) -> None:
        self._chance, self._venue = chance, venue

    def may_leave(self, call):
        """End a call before its answer, now and then."""
        if self._chance.random() < self.share:
            self._venue.later(self._chance.expovariate(self.left_per_s), call.cancel)


def may_be_repeated(error):
    """Whether the same call may succeed later."""
    return isinstance(error, MAY_BE_REPEATED)


def place_many(approved):
    """The request to place several orders."""
    return batches_pb2.PlaceOrdersRequest(approved=approved, **WHERE)


def cancel_many(cancels):
    """The request to cancel several orders: client order ids, and approvals or None."""
    orders = [
        batches_pb2.OrderCancel(client_order_id=key, approved=approved) for key, approved in cancels
    ]
    return batches_pb2.CancelOrdersRequest(orders=orders, **WHERE)


def taken(request, response):
    """The numbers of the orders that a response shows; all of a call without a list of results."""
    if request.rpc not in ("PlaceOrders", "CancelOrders"):
        return range(len(request.approved))
    results = enumerate(response.results)
    return [number for number, result in results if result.HasField("order")]


def shown(response):
    """The orders that a response to a request to place them shows."""
    if isinstance(response, trade_flow_pb2.PlaceOrderResponse):
        return [response.order]
    if isinstance(response, batches_pb2.PlaceOrderGroupResponse):
        return response.orders
    return [result.order for result in response.results if result.HasField("order")]


def key_of(request_id):
    """The client order id of a request."""
    return client_order_id("fake", "main", request_id)


def text_of(content):
    """An order in a few words, for the history."""
    kind = orders_pb2.OrderType.Name(content.type).removeprefix("ORDER_TYPE_")
    side = types_pb2.Side.Name(content.side).removeprefix("SIDE_")
    price = content.price or content.stop_price or content.trailing_offset or "-"
    more = " reduce_only" if content.reduce_only else ""
    return f"{side} {kind} {content.size} at {price}{more}"
