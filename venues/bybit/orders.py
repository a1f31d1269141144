"""Orders on Bybit's spot market: requests, and what their answers mean.

Client ids go out as ``orderLinkId``, which stays unique forever: a second order with it is never
made. An answer says only that the venue has received the request; the ``order`` topic reports the
rest. A market order's ``qty`` is in the base currency only because ``marketUnit`` says so.
https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import plain
from kit.base.request_budget import RequestBudget
from kit.connector.orders.batch_calls import BatchRow
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.connector.orders.rest_session import CcxtPrivateApi, OrderApiRequest, RestSession
from kit.connector.orders.venue_api import UnsupportedRequest, VenueApi
from kit.execution.contract import (
    Credentials,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    RequestAccepted,
    SelfTradePrevention,
    Transport,
    Verdict,
)
from kit.execution.order_types import WITH_PRICE, WITH_STOP_PRICE
from venues.bybit.account import KEPT_DAYS, BybitAccountApi, key_params
from venues.bybit.cash_flows import BybitCashFlowApi
from venues.bybit.configuration import BybitConfigurationApi
from venues.bybit.errors import ERRORS
from venues.bybit.order_socket import BybitOrderSocketCodec
from venues.bybit.user_stream import BybitUserStreamDecoder

VENUE_ID = "bybit"
TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "FOK",
}
SELF_TRADES: Mapping[SelfTradePrevention, str] = {
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_TAKER: "CancelTaker",
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_MAKER: "CancelMaker",
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_BOTH: "CancelBoth",
    orders_pb2.SELF_TRADE_PREVENTION_ALLOW: "None",
}
"""``smpType``."""


def execution_client(
    credentials: Credentials,
    base_url: str | None,
    transport: Transport = "websocket",
    budget: RequestBudget | None = None,
) -> CcxtExecutionClient:
    """Return the execution client of one account. ``base_url``: of the simulator; None: the venue's
    own. Without a budget calls go out at once."""
    session = RestSession(VENUE_ID, _ccxt_api(base_url), credentials, budget)
    api = VenueApi(
        BybitOrderApi(),
        BybitAccountApi(),
        BybitConfigurationApi(),
        BybitUserStreamDecoder(),
        BybitOrderSocketCodec(),
        BybitBatchApi(),
        cash_flows=BybitCashFlowApi(),
    )
    return CcxtExecutionClient(session, api, transport)


class BybitOrderApi:
    """Spot, of a unified account."""

    capabilities = OrderCapabilities(
        types=frozenset({orders_pb2.ORDER_TYPE_MARKET} | WITH_PRICE | WITH_STOP_PRICE),
        times_in_force=frozenset(TIMES_IN_FORCE),
        amends_later=True,
        amends_stop_price=True,
        fills_kept_days=KEPT_DAYS,
        self_trade_prevention=frozenset(SELF_TRADES),
        batch_max=10,
    )

    def place(self, order: OrderRequest) -> OrderApiRequest:
        """POST /v5/order/create. A stop has the filter StopOrder; the venue derives the side
        from which it is triggered from the market price."""
        if order.type not in self.capabilities.types or order.reduce_only:
            raise UnsupportedRequest("no such order on Bybit spot")
        if order.time_in_force not in TIMES_IN_FORCE:
            raise UnsupportedRequest("Bybit has no orders that end at a time")
        params = {
            "category": "spot",
            "symbol": order.symbol,
            "side": "Buy" if order.buys else "Sell",
            "qty": plain(order.size),
            "orderLinkId": order.client_order_id,
        }
        if order.type in WITH_PRICE and order.price is not None:
            lifetime = "PostOnly" if order.post_only else TIMES_IN_FORCE[order.time_in_force]
            limit = {"orderType": "Limit", "price": plain(order.price), "timeInForce": lifetime}
            params |= limit
        else:
            params |= {"orderType": "Market", "marketUnit": "baseCoin"}
        if order.self_trade_prevention:
            params["smpType"] = SELF_TRADES[order.self_trade_prevention]
        if order.stop_price is not None:
            params |= {"orderFilter": "StopOrder", "triggerPrice": plain(order.stop_price)}
        return OrderApiRequest("privatePostV5OrderCreate", params, operation="order.create")

    def amend(self, key: OrderKey, order: OrderRequest) -> OrderApiRequest:
        """POST /v5/order/amend."""
        params = {"category": "spot", **key_params(key), "qty": plain(order.size)}
        if order.price is not None:
            params["price"] = plain(order.price)
        if order.stop_price is not None:
            params["triggerPrice"] = plain(order.stop_price)
        return OrderApiRequest("privatePostV5OrderAmend", params, operation="order.amend")

    def cancel(self, key: OrderKey) -> Sequence[OrderApiRequest]:
        """POST /v5/order/cancel."""
        params = {"category": "spot", **key_params(key)}
        return [OrderApiRequest("privatePostV5OrderCancel", params, operation="order.cancel")]

    def cancel_all(self, symbol: str) -> Sequence[OrderApiRequest]:
        """POST /v5/order/cancel-all, of one kind of orders at a time."""
        params = {"category": "spot", **({"symbol": symbol} if symbol else {})}
        kinds = ("Order", "StopOrder", "tpslOrder")
        method = "privatePostV5OrderCancelAll"
        return [OrderApiRequest(method, {**params, "orderFilter": kind}) for kind in kinds]

    def countdown(self, seconds: float) -> Sequence[OrderApiRequest]:
        """None. Bybit can cancel all orders when the connections that are subscribed to
        ``dcp.spot`` are lost, stops too, and no call ends that."""
        raise UnsupportedRequest("Bybit has no countdown that can be ended")

    def verdict(self, answer: Any) -> Verdict:
        """{"retCode":0,"result":{"orderId":"…","orderLinkId":"…"},…}: received, nothing more."""
        if answer["retCode"] != 0:
            raise ValueError(f"retCode is {answer['retCode']!r}")
        return RequestAccepted(str(answer["result"].get("orderId", "")))


class BybitBatchApi:
    """POST /v5/order/create-batch and cancel-batch, up to 10 orders of spot."""

    place_method, cancel_method = "privatePostV5OrderCreate", "privatePostV5OrderCancel"

    def place(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        return OrderApiRequest("privatePostV5OrderCreateBatch", _joined(params))

    def cancel(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        return OrderApiRequest("privatePostV5OrderCancelBatch", _joined(params))

    def rows(self, answer: Any) -> Sequence[BatchRow]:
        """{"retCode":0,"result":{"list":[{"orderId":"…","orderLinkId":"…",…},…]},"retExtInfo":
        {"list":[{"code":0,"msg":"OK"},{"code":170131,"msg":"Insufficient balance."}]},…}: the two
        lists are parallel."""
        if answer["retCode"] != 0:
            return []
        ids, outcomes = answer["result"]["list"], answer["retExtInfo"]["list"]
        return [
            BatchRow(
                row.get("orderLinkId") or "",
                row.get("orderId") or "",
                {"retCode": outcome.get("code"), "retMsg": outcome.get("msg"), "result": row},
            )
            for row, outcome in zip(ids, outcomes, strict=True)
        ]


def _joined(params: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The category is stated once."""
    rest = [{name: one[name] for name in one if name != "category"} for one in params]
    return {"category": "spot", "request": rest}


def _ccxt_api(base_url: str | None) -> CcxtPrivateApi:
    if base_url is None:
        return CcxtPrivateApi("bybit", ERRORS)
    feed = base_url.replace("http", "ws", 1)
    names = ("spot", "futures", "v2", "public", "private")
    private = {"contract": f"{feed}/v5/private", "trade": f"{feed}/v5/trade"}
    urls = {**dict.fromkeys(names, base_url), "ws": {"private": private}}
    return CcxtPrivateApi("bybit", ERRORS, {"urls": {"api": urls}})
