"""Orders on OKX, spot and swaps: requests, and what their answers mean.

Client ids go out as ``clOrdId``. The answer to an order is a list of one row, with a code of its
own: only ``sCode`` "0" means that the order was accepted. Sizes of swaps count contracts, those of
spot base units, as ``tgtCcy`` says. A stop is an algo order of the type ``conditional``, which says
whether it waits for a rise or a fall; ``trigger`` would leave that to the last price.
https://www.okx.com/docs-v5/en/#order-book-trading-trade-post-place-order
https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-post-place-algo-order
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
    OrderType,
    RequestAccepted,
    SelfTradePrevention,
    Transport,
    Verdict,
)
from venues.okx.account import KEPT_DAYS, OkxAccountApi, algo_key_params, key_params
from venues.okx.cash_flows import OkxCashFlowApi
from venues.okx.configuration import OkxConfigurationApi
from venues.okx.errors import ERRORS
from venues.okx.order_socket import OkxOrderSocketCodec
from venues.okx.user_stream import OkxUserStreamDecoder

COUNTDOWN_S_MIN, COUNTDOWN_S_MAX = 10, 120
TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "limit",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "ioc",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "fok",
}
"""The order type states the time in force."""
BOTH = "cancel_both"
SELF_TRADES: Mapping[SelfTradePrevention, str] = {
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_TAKER: "cancel_taker",
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_MAKER: "cancel_maker",
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_BOTH: BOTH,
}
"""``stpMode``. Algo orders have none: the mode of the account applies to what they make."""
STOPS: Mapping[OrderType, str] = {
    orders_pb2.ORDER_TYPE_STOP: "sl",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "sl",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "tp",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "tp",
}
"""Prefix of a stop's parameters."""


def execution_client(
    venue_id: str,
    credentials: Credentials,
    base_url: str | None,
    transport: Transport = "websocket",
    budget: RequestBudget | None = None,
) -> CcxtExecutionClient:
    """Return the execution client of one account at ``okx`` or ``okx_futures``. ``base_url``: of
    the simulator; None: the venue's own. Without a budget calls go out at once."""
    is_swap = venue_id == "okx_futures"
    kind = "SWAP" if is_swap else "SPOT"
    session = RestSession(venue_id, _ccxt_api(base_url), credentials, budget)
    venue_api = VenueApi(
        OkxOrderApi(is_swap),
        OkxAccountApi(kind),
        OkxConfigurationApi(kind),
        OkxUserStreamDecoder(kind),
        OkxOrderSocketCodec(kind),
        OkxBatchApi(),
        cash_flows=OkxCashFlowApi(kind),
    )
    return CcxtExecutionClient(session, venue_api, transport)


class OkxOrderApi:
    """Spot without borrowing, or swaps with cross margin and one position for both sides."""

    def __init__(self, is_swap: bool) -> None:
        self._is_swap = is_swap
        self.capabilities = OrderCapabilities(
            types=frozenset({orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT, *STOPS}),
            times_in_force=frozenset(TIMES_IN_FORCE),
            amends_later=True,
            amends_stop_price=True,
            plain_stops_only=True,
            reduce_only=is_swap,
            has_positions=is_swap,
            countdown=True,
            fills_kept_days=KEPT_DAYS,
            self_trade_prevention=frozenset(SELF_TRADES),
            batch_max=20,
        )

    def place(self, order: OrderRequest) -> OrderApiRequest:
        """POST /api/v5/trade/order, or order-algo of what waits for a price."""
        if order.type not in self.capabilities.types or order.time_in_force not in TIMES_IN_FORCE:
            raise UnsupportedRequest("no such order on OKX")
        params: dict[str, Any] = {
            "instId": order.symbol,
            "tdMode": "cross" if self._is_swap else "cash",
            "side": "buy" if order.buys else "sell",
            "sz": plain(order.size),
        }
        if order.reduce_only:
            params["reduceOnly"] = True
        if order.type in STOPS:
            return OrderApiRequest("privatePostTradeOrderAlgo", params | self._stop(order))
        params["clOrdId"] = order.client_order_id
        if order.self_trade_prevention:
            params["stpMode"] = self._self_trade_mode(order)
        if order.type == orders_pb2.ORDER_TYPE_LIMIT and order.price is not None:
            kind = "post_only" if order.post_only else TIMES_IN_FORCE[order.time_in_force]
            params |= {"ordType": kind, "px": plain(order.price)}
        else:
            params["ordType"] = "market"
            if not self._is_swap:
                params["tgtCcy"] = "base_ccy"
        return OrderApiRequest("privatePostTradeOrder", params, operation="order")

    def amend(self, key: OrderKey, order: OrderRequest) -> OrderApiRequest:
        """POST /api/v5/trade/amend-order; amend-algos of a stop, which does not find it after its
        trigger."""
        if order.type in STOPS:
            changes = {"newSz": plain(order.size), **_prices(order, is_new=True)}
            return OrderApiRequest(
                "privatePostTradeAmendAlgos", {**algo_key_params(key), **changes}
            )
        params = {**key_params(key), "newSz": plain(order.size)}
        if order.price is not None:
            params["newPx"] = plain(order.price)
        return OrderApiRequest("privatePostTradeAmendOrder", params, operation="amend-order")

    def cancel(self, key: OrderKey) -> Sequence[OrderApiRequest]:
        """POST /api/v5/trade/cancel-order, or cancel-algos, which wants a list."""
        return [
            OrderApiRequest(
                "privatePostTradeCancelOrder", key_params(key), operation="cancel-order"
            ),
            OrderApiRequest("privatePostTradeCancelAlgos", [algo_key_params(key)]),
        ]

    def cancel_all(self, symbol: str) -> Sequence[OrderApiRequest]:
        """None: OKX has no such call for these orders."""
        return ()

    def countdown(self, seconds: float) -> Sequence[OrderApiRequest]:
        """POST /api/v5/trade/cancel-all-after: 0, or 10 to 120 seconds."""
        chosen = max(COUNTDOWN_S_MIN, min(COUNTDOWN_S_MAX, -int(-seconds // 1))) if seconds else 0
        return [OrderApiRequest("privatePostTradeCancelAllAfter", {"timeOut": str(chosen)})]

    def verdict(self, answer: Any) -> Verdict:
        """{"code":"0","data":[{"ordId":"3126","clOrdId":"…","sCode":"0",…}],"msg":""}; of stops
        {"algoId":"1753184812254216192","algoClOrdId":"…",…}."""
        row = answer["data"][0]
        return RequestAccepted(row["algoId"] if row.get("algoId") else row["ordId"])

    def _self_trade_mode(self, order: OrderRequest) -> str:
        """Raises UnsupportedRequest."""
        mode = SELF_TRADES[order.self_trade_prevention]
        if mode == BOTH and order.time_in_force == orders_pb2.TIME_IN_FORCE_FILL_OR_KILL:
            raise UnsupportedRequest("OKX has no cancel_both for a fill-or-kill order")
        return mode

    def _stop(self, order: OrderRequest) -> dict[str, Any]:
        """Raises UnsupportedRequest."""
        is_plain = order.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
        if order.post_only or not is_plain:
            raise UnsupportedRequest("no such stop on OKX")
        params = {"ordType": "conditional", "algoClOrdId": order.client_order_id, **_prices(order)}
        if not self._is_swap and order.price is None and order.buys:
            params["tgtCcy"] = "base_ccy"
        return params


class OkxBatchApi:
    """POST /api/v5/trade/batch-orders and cancel-batch-orders, up to 20 orders; not of stops."""

    place_method, cancel_method = "privatePostTradeOrder", "privatePostTradeCancelOrder"

    def place(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        return OrderApiRequest("privatePostTradeBatchOrders", list(params))

    def cancel(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        return OrderApiRequest("privatePostTradeCancelBatchOrders", list(params))

    def rows(self, answer: Any) -> Sequence[BatchRow]:
        """{"code":"2","data":[{"ordId":"3126","clOrdId":"…","sCode":"0",…},{"ordId":"",
        "clOrdId":"…","sCode":"51008","sMsg":"…",…}],"msg":""}"""
        return [
            BatchRow(
                row.get("clOrdId") or "",
                row.get("ordId") or "",
                {"code": row.get("sCode"), "data": [row]},
            )
            for row in answer["data"]
        ]


def _prices(order: OrderRequest, *, is_new: bool = False) -> dict[str, str]:
    """The stop price, and the price of the order that the stop makes. Raises UnsupportedRequest."""
    if order.stop_price is None:
        raise UnsupportedRequest("no such stop on OKX")
    form = STOPS[order.type]
    part = f"new{form.capitalize()}" if is_new else form
    return {
        f"{part}TriggerPx": plain(order.stop_price),
        f"{part}TriggerPxType": "last",
        f"{part}OrdPx": "-1" if order.price is None else plain(order.price),
    }


def _ccxt_api(base_url: str | None) -> CcxtPrivateApi:
    if base_url is None:
        return CcxtPrivateApi("okx", ERRORS)
    feed = f"{base_url.replace('http', 'ws', 1)}/ws/v5"
    return CcxtPrivateApi("okx", ERRORS, {"urls": {"api": {"rest": base_url, "ws": feed}}})
