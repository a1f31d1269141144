"""Orders through the gateway of a mesh, and the same orders as the simulated exchange has them."""

import hashlib
import hmac
import itertools
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import grpc
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from kit.base import errors
from kit.execution.approval.keys import INSPECTOR_KEY_ID, inspector_key
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from tests.integration.mesh import SYMBOL, VENUE, Mesh

ACCOUNT = "demo"
HERE = {"venue": VENUE, "account": ACCOUNT}
HEADER = [("venuemesh-venue", VENUE)]
CALL_SECONDS_MAX = 30
APPROVED_NS = 30 * 10**9
TICK = Decimal("0.01")
_numbers = itertools.count(1)


class OrderCaller:
    """A client of one account."""

    def __init__(self, mesh: Mesh, account: str = ACCOUNT) -> None:
        self.mesh = mesh
        self.here = {"venue": VENUE, "account": account}
        self.flow = trade_flow_pb2_grpc.TradeFlowStub(mesh.channel)
        self.inspector = inspector_pb2_grpc.InspectorStub(mesh.channel)
        self._market = market_data_pb2_grpc.MarketDataStub(mesh.channel)

    def call(self, method: str, request: Any) -> Any:
        """Call a method of TradeFlow."""
        return getattr(self.flow, method)(request, metadata=HEADER, timeout=CALL_SECONDS_MAX)

    def is_ready(self) -> bool:
        """Whether the account accepts orders."""
        request = accounts_pb2.ListAccountsRequest(venue=VENUE)
        accounts = self.call("ListAccounts", request).accounts
        ready = accounts_pb2.ACCOUNT_STATE_READY
        return [one.state for one in accounts if one.account == self.here["account"]] == [ready]

    def takes_requests(self) -> bool:
        """Whether the account accepts orders, and the inspector requests of persons."""
        request = inspector_pb2.GetStateRequest()
        state = self.inspector.GetState(request, timeout=CALL_SECONDS_MAX)
        return state.is_acting and self.is_ready()

    @property
    def signer(self) -> ApprovalSigner:
        """The key of the mesh, with the epoch of the inspector: neither fences the other."""
        state, key = self.mesh.state(), inspector_key(self.mesh.data)
        scope = MeshScope(state["mesh_id"], state["world"])
        return ApprovalSigner(INSPECTOR_KEY_ID, key, self.epoch, scope)

    @property
    def epoch(self) -> int:
        """That of the inspector's lease."""
        found = self.mesh.sql("SELECT epoch FROM leases WHERE name = 'inspector'")
        return int(found[0][0]) if found else 1

    def approved(
        self,
        content: orders_pb2.OrderContent,
        request_id: str = "",
        operation: signed_pb2.Operation.ValueType = signed_pb2.OPERATION_PLACE,
    ) -> signed_pb2.ApprovedOrder:
        """Allowed without a policy."""
        name = request_id or f"test-{time.time_ns()}-{next(_numbers)}"
        return self.signer.approve(content, name, time.time_ns() + APPROVED_NS, operation)

    def place(self, content: orders_pb2.OrderContent, request_id: str = "") -> orders_pb2.Order:
        """Approve and place."""
        return self.send(self.approved(content, request_id))

    def send(self, approved: signed_pb2.ApprovedOrder) -> orders_pb2.Order:
        """Place an approved order."""
        request = trade_flow_pb2.PlaceOrderRequest(venue=VENUE, approved=approved)
        return self.call("PlaceOrder", request).order

    def cancel(self, client_order_id: str) -> orders_pb2.Order:
        """Cancel an order."""
        request = trade_flow_pb2.CancelOrderRequest(client_order_id=client_order_id, **self.here)
        return self.call("CancelOrder", request).order

    def cancel_all(self) -> trade_flow_pb2.CancelAllOrdersResponse:
        """Cancel all orders, also protective ones."""
        content = orders_pb2.OrderContent(**self.here)
        approved = self.approved(content, operation=signed_pb2.OPERATION_CANCEL_ALL)
        request = trade_flow_pb2.CancelAllOrdersRequest(approved=approved, **self.here)
        return self.call("CancelAllOrders", request)

    def order(self, client_order_id: str) -> orders_pb2.Order:
        """The current state of an order."""
        request = trade_flow_pb2.GetOrderRequest(client_order_id=client_order_id, **self.here)
        return self.call("GetOrder", request).order

    def open(self) -> dict[str, orders_pb2.Order]:
        """Open orders by client order id."""
        found = self.call(
            "ListOpenOrders", trade_flow_pb2.ListOpenOrdersRequest(**self.here)
        ).orders
        return {order.client_order_id: order for order in found}

    def fills(self, client_order_id: str) -> list[orders_pb2.Fill]:
        """All fills of one order, newest first."""
        request = trade_flow_pb2.ListFillsRequest(client_order_id=client_order_id, **self.here)
        found: list[orders_pb2.Fill] = []
        while True:
            page = self.call("ListFills", request)
            found += page.fills
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def balances(self) -> dict[str, Decimal]:
        """Totals by asset."""
        found = self.call("ListBalances", trade_flow_pb2.ListBalancesRequest(**self.here)).balances
        return {one.asset: Decimal(one.total) for one in found}

    def best_bid(self) -> Decimal:
        """Now."""
        request = market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol=SYMBOL, depth=1)
        book = self._market.GetOrderBook(request, metadata=HEADER, timeout=CALL_SECONDS_MAX)
        return Decimal(book.bids[0].price)

    def resting(self, size: str = "0.01") -> orders_pb2.OrderContent:
        """An order that stays in the book."""
        price = (self.best_bid() * Decimal("0.9")).quantize(TICK)
        return limit(size, str(price), **self.here)


def limit(size: str, price: str, **fields: object) -> orders_pb2.OrderContent:
    """A limit order to buy."""
    return buy(size, type=orders_pb2.ORDER_TYPE_LIMIT, price=price, **fields)


def buy(size: str, **fields: Any) -> orders_pb2.OrderContent:
    """An order to buy, at market unless further fields are given."""
    usual = {"type": orders_pb2.ORDER_TYPE_MARKET, "symbol": SYMBOL, "side": types_pb2.SIDE_BUY}
    return orders_pb2.OrderContent(size=size, **{**usual, **HERE, **fields})


def at_exchange(mesh: Mesh) -> dict[str, list[dict[str, Any]]]:
    """All orders of the account at the exchange, by client order id, read with a signed call."""
    query = urlencode({"symbol": SYMBOL, "limit": 1000, "timestamp": time.time_ns() // 10**6})
    signature = hmac.new(b"demo-secret", query.encode(), hashlib.sha256).hexdigest()
    path = f"/{VENUE}/api/v3/allOrders?{query}&signature={signature}"
    status, answer = mesh.get(path, port="simulator", headers={"X-MBX-APIKEY": "demo-key"})
    assert status == 200, answer
    found: dict[str, list[dict[str, Any]]] = {}
    for order in answer:
        found.setdefault(order["clientOrderId"], []).append(order)
    return found


def refused(call: Callable[[], object]) -> tuple[str, dict[str, str]]:
    """The reason and the metadata of a rejected call."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    info = errors.error_info(caught.value)
    assert info is not None, caught.value
    return info.reason, dict(info.metadata)
