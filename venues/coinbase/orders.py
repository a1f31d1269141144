"""Orders on Coinbase's Advanced Trade: requests, and what their answers mean.

Client ids go out as ``client_order_id``, a UUID with hyphens; ccxt would make up one of its own. An
order whose id exists already is the existing order. A rejection comes with HTTP 200 and ``success``
false. Only the venue's id amends or cancels an order.
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/create-order
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import plain
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.request_budget import RequestBudget
from kit.connector.orders.batch_calls import BatchRow
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.connector.orders.rest_session import CcxtPrivateApi, OrderApiRequest, RestSession
from kit.connector.orders.venue_api import UnsupportedRequest, VenueApi
from kit.execution.client_order_ids import as_uuid
from kit.execution.contract import (
    Credentials,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    RequestAccepted,
    Transport,
    Verdict,
)
from venues.coinbase.account import DOWN, UP, CoinbaseAccountApi
from venues.coinbase.cash_flows import CoinbaseCashFlowApi
from venues.coinbase.configuration import CoinbaseConfigurationApi
from venues.coinbase.errors import ERRORS
from venues.coinbase.user_stream import CoinbaseUserStreamDecoder

VENUE_ID = "coinbase"
CONFIGURATIONS: Mapping["orders_pb2.TimeInForce.ValueType", str] = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "limit_limit_gtc",
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "limit_limit_gtd",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "sor_limit_ioc",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "limit_limit_fok",
}
STOP = "stop_limit_stop_limit_gtc"
TYPES = frozenset(
    {
        orders_pb2.ORDER_TYPE_MARKET,
        orders_pb2.ORDER_TYPE_LIMIT,
        orders_pb2.ORDER_TYPE_STOP_LIMIT,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT,
    }
)


def execution_client(
    credentials: Credentials,
    base_url: str | None,
    transport: Transport = "websocket",
    budget: RequestBudget | None = None,
) -> CcxtExecutionClient:
    """Return the execution client of one account. ``base_url``: of the simulator; None: the venue's
    own. ``transport`` makes no difference: orders go by REST. Without a budget calls go out at
    once."""
    session = RestSession(VENUE_ID, _ccxt_api(base_url), credentials, budget)
    venue_api = VenueApi(
        CoinbaseOrderApi(),
        CoinbaseAccountApi(),
        CoinbaseConfigurationApi(),
        CoinbaseUserStreamDecoder(),
        batches=CoinbaseBatchApi(),
        cash_flows=CoinbaseCashFlowApi(),
        needs_venue_order_id=True,
    )
    return CcxtExecutionClient(session, venue_api, transport)


class CoinbaseOrderApi:
    """Spot."""

    capabilities = OrderCapabilities(
        types=TYPES,
        times_in_force=frozenset(CONFIGURATIONS),
        # The order is EDIT_QUEUED until the edit is done.
        amends_later=True,
        plain_stops_only=True,
        fills_have_client_id=False,
        batch_max=20,
    )

    def place(self, order: OrderRequest) -> OrderApiRequest:
        """POST orders."""
        if order.type not in TYPES or order.reduce_only:
            raise UnsupportedRequest("no such order on Coinbase")
        params = {
            "client_order_id": as_uuid(order.client_order_id),
            "product_id": order.symbol,
            "side": "BUY" if order.buys else "SELL",
            "order_configuration": _configuration(order),
        }
        return OrderApiRequest("v3PrivatePostBrokerageOrders", params)

    def amend(self, key: OrderKey, order: OrderRequest) -> OrderApiRequest:
        """POST orders/edit."""
        params = {"order_id": key.venue_order_id, "size": plain(order.size)}
        if order.price is not None:
            params["price"] = plain(order.price)
        return OrderApiRequest("v3PrivatePostBrokerageOrdersEdit", params)

    def cancel(self, key: OrderKey) -> Sequence[OrderApiRequest]:
        """POST orders/batch_cancel."""
        return [
            OrderApiRequest(
                "v3PrivatePostBrokerageOrdersBatchCancel", {"order_ids": [key.venue_order_id]}
            )
        ]

    def cancel_all(self, symbol: str) -> Sequence[OrderApiRequest]:
        """None: the venue has no such call."""
        return ()

    def countdown(self, seconds: float) -> Sequence[OrderApiRequest]:
        """None: the venue has no countdown."""
        raise UnsupportedRequest("Coinbase has no countdown")

    def verdict(self, answer: Any) -> Verdict:
        """{"success":true,"success_response":{"order_id":"…",…},…}, of a cancellation
        {"results":[{"success":true,"order_id":"…"}]}, of an amendment {"success":true}."""
        if "results" in answer:
            return RequestAccepted(answer["results"][0]["order_id"])
        if answer["success"] is not True:
            raise ValueError("the answer states no success")
        return RequestAccepted((answer.get("success_response") or {}).get("order_id", ""))


class CoinbaseBatchApi:
    """POST orders/batch_cancel; the venue places orders one by one."""

    place_method, cancel_method = "", "v3PrivatePostBrokerageOrdersBatchCancel"

    def place(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        raise UnsupportedRequest("Coinbase places orders one by one")

    def cancel(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        ids = [one for single in params for one in single["order_ids"]]
        return OrderApiRequest(self.cancel_method, {"order_ids": ids})

    def rows(self, answer: Any) -> Sequence[BatchRow]:
        """{"results":[{"success":true,"failure_reason":"…","order_id":"…"}]}"""
        return [
            BatchRow("", row.get("order_id") or "", {"results": [row]})
            for row in answer.get("results") or ()
        ]


def _configuration(order: OrderRequest) -> dict[str, Any]:
    size = {"base_size": plain(order.size)}
    if order.type == orders_pb2.ORDER_TYPE_MARKET or order.price is None:
        return {"market_market_ioc": size}
    limit: dict[str, Any] = {**size, "limit_price": plain(order.price)}
    if order.type == orders_pb2.ORDER_TYPE_LIMIT:
        kind = CONFIGURATIONS[order.time_in_force]
        if order.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME:
            end = datetime.fromtimestamp(order.expire_time_ns // NANOSECONDS_PER_SECOND, UTC)
            limit["end_time"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        if kind in ("limit_limit_gtc", "limit_limit_gtd"):
            limit["post_only"] = order.post_only
        return {kind: limit}
    rises = order.buys == (order.type == orders_pb2.ORDER_TYPE_STOP_LIMIT)
    is_plain = order.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
    if order.stop_price is None or order.post_only or not is_plain:
        raise UnsupportedRequest("no such stop on Coinbase")
    stop = {"stop_price": plain(order.stop_price), "stop_direction": UP if rises else DOWN}
    return {STOP: {**limit, **stop}}


def _ccxt_api(base_url: str | None) -> CcxtPrivateApi:
    if base_url is None:
        return CcxtPrivateApi("coinbase", ERRORS)
    urls = {"rest": base_url, "ws": base_url.replace("http", "ws", 1)}
    return CcxtPrivateApi("coinbase", ERRORS, {"urls": {"api": urls}})
