"""Orders on Binance, spot and futures: requests, and what their answers mean.

Client ids go out as ``newClientOrderId``; the venue keeps them unique among open orders only. An
answer with -1006, -1007 or 5xx leaves open whether the order exists. Stops of futures are
conditional orders of the algo service.
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/trade/rest-api
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import plain
from kit.base.request_budget import RequestBudget
from kit.connector.orders import text_conversion
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
from kit.execution.order_types import WITH_PRICE
from venues.binance.account import (
    FUTURES_TYPE_NAMES,
    KEPT_DAYS,
    TYPE_NAMES,
    BinanceFuturesAccountApi,
    BinanceSpotAccountApi,
    algo_key_params,
    algo_order_of,
    futures_key_params,
    futures_order_of,
    key_params,
    order_of,
)
from venues.binance.cash_flows import BinanceFuturesCashFlowApi, BinanceSpotCashFlowApi
from venues.binance.configuration import (
    BinanceFuturesConfigurationApi,
    BinanceSpotConfigurationApi,
)
from venues.binance.errors import ERRORS
from venues.binance.order_socket import BinanceOrderSocketCodec
from venues.binance.user_stream import (
    BinanceFuturesUserStreamDecoder,
    BinanceSpotUserStreamDecoder,
)

SPOT, FUTURES = "binance", "binance_futures"
SELF_TRADES: Mapping[SelfTradePrevention, str] = {
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_TAKER: "EXPIRE_TAKER",
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_MAKER: "EXPIRE_MAKER",
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_BOTH: "EXPIRE_BOTH",
    orders_pb2.SELF_TRADE_PREVENTION_ALLOW: "NONE",
}
"""``selfTradePreventionMode``. Futures do not take NONE."""
TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "FOK",
}


def execution_client(
    credentials: Credentials,
    base_url: str | None,
    transport: Transport = "websocket",
    budget: RequestBudget | None = None,
) -> CcxtExecutionClient:
    """Return the execution client of one account on the spot market. ``base_url``: of the
    simulator; None: the venue's own. Without a budget calls go out at once."""
    session = RestSession(SPOT, _spot_ccxt_api(base_url), credentials, budget)
    venue_api = VenueApi(
        BinanceSpotOrderApi(),
        BinanceSpotAccountApi(),
        BinanceSpotConfigurationApi(),
        BinanceSpotUserStreamDecoder(),
        BinanceOrderSocketCodec("spot"),
        cash_flows=BinanceSpotCashFlowApi(),
    )
    return CcxtExecutionClient(session, venue_api, transport)


def futures_execution_client(
    credentials: Credentials,
    base_url: str | None,
    transport: Transport = "websocket",
    budget: RequestBudget | None = None,
) -> CcxtExecutionClient:
    """As ``execution_client``, for USD-M futures."""
    session = RestSession(FUTURES, _futures_ccxt_api(base_url), credentials, budget)
    symbols: set[str] = set()
    venue_api = VenueApi(
        BinanceFuturesOrderApi(symbols),
        BinanceFuturesAccountApi(symbols),
        BinanceFuturesConfigurationApi(),
        BinanceFuturesUserStreamDecoder(),
        BinanceOrderSocketCodec("linear"),
        cash_flows=BinanceFuturesCashFlowApi(),
    )
    return CcxtExecutionClient(session, venue_api, transport)


class BinanceSpotOrderApi:
    """Spot."""

    capabilities = OrderCapabilities(
        types=frozenset(TYPE_NAMES),
        times_in_force=frozenset(TIMES_IN_FORCE),
        amends_to_smaller_only=True,
        fills_have_client_id=False,
        self_trade_prevention=frozenset(SELF_TRADES),
    )
    """The venue's trailing stops follow in basis points, not at a distance: they wait here."""

    def place(self, order: OrderRequest) -> OrderApiRequest:
        """POST order. Post-only is a type of its own, LIMIT_MAKER."""
        kind = TYPE_NAMES.get(order.type)
        if kind is None or order.reduce_only:
            raise UnsupportedRequest("no such order on Binance spot")
        params = {
            "symbol": order.symbol,
            "side": "BUY" if order.buys else "SELL",
            "type": "LIMIT_MAKER" if order.post_only else kind,
            "quantity": plain(order.size),
            "newClientOrderId": order.client_order_id,
            "newOrderRespType": "RESULT",
        }
        if order.price is not None:
            params["price"] = plain(order.price)
        if order.stop_price is not None:
            params["stopPrice"] = plain(order.stop_price)
        if order.self_trade_prevention:
            params["selfTradePreventionMode"] = SELF_TRADES[order.self_trade_prevention]
        if order.type in WITH_PRICE and not order.post_only:
            if order.time_in_force not in TIMES_IN_FORCE:
                raise UnsupportedRequest("Binance spot has no orders that end at a time")
            params["timeInForce"] = TIMES_IN_FORCE[order.time_in_force]
        return OrderApiRequest("privatePostOrder", params, operation="order.place")

    def amend(self, key: OrderKey, order: OrderRequest) -> OrderApiRequest:
        """PUT order/amend/keepPriority, with the client id: the venue would make up a new one."""
        params = {
            **key_params(key),
            "newQty": plain(order.size),
            "newClientOrderId": order.client_order_id,
        }
        return OrderApiRequest(
            "PUT private", params, "order/amend/keepPriority", "order.amend.keepPriority"
        )

    def cancel(self, key: OrderKey) -> Sequence[OrderApiRequest]:
        return [OrderApiRequest("privateDeleteOrder", key_params(key), operation="order.cancel")]

    def cancel_all(self, symbol: str) -> Sequence[OrderApiRequest]:
        """DELETE openOrders, of one symbol at a time."""
        params, operation = {"symbol": symbol}, "openOrders.cancelAll"
        return (
            [OrderApiRequest("privateDeleteOpenOrders", params, operation=operation)]
            if symbol
            else ()
        )

    def countdown(self, seconds: float) -> Sequence[OrderApiRequest]:
        """None: spot has no countdown."""
        raise UnsupportedRequest("Binance spot has no countdown")

    def verdict(self, answer: Any) -> Verdict:
        """An order; of an amendment {"amendedOrder":{…},…}; of openOrders a list of orders."""
        if isinstance(answer, list):
            return RequestAccepted("")
        row = answer.get("amendedOrder", answer)
        order = order_of(row) if "origQty" in row else None
        return RequestAccepted(str(row["orderId"]), order)


class BinanceFuturesOrderApi:
    """USD-M futures, with one position for both sides."""

    capabilities = OrderCapabilities(
        types=frozenset(FUTURES_TYPE_NAMES),
        times_in_force=frozenset(TIMES_IN_FORCE) | {orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME},
        reduce_only=True,
        has_positions=True,
        countdown=True,
        fills_have_client_id=False,
        fills_kept_days=KEPT_DAYS,
        self_trade_prevention=frozenset(SELF_TRADES) - {orders_pb2.SELF_TRADE_PREVENTION_ALLOW},
        self_trade_prevention_not_in=frozenset({orders_pb2.TIME_IN_FORCE_FILL_OR_KILL}),
    )
    """The venue's trailing stops follow in percent, not at a distance: they wait here."""

    def __init__(self, symbols: set[str]) -> None:
        """``symbols``: with orders; the venue counts down for each symbol. Filled here too."""
        self._symbols = symbols

    def place(self, order: OrderRequest) -> OrderApiRequest:
        """POST order, or algoOrder for a stop. Post-only is a time in force, GTX."""
        kind = FUTURES_TYPE_NAMES.get(order.type)
        if kind is None:
            raise UnsupportedRequest("no such order on Binance futures")
        params = {
            "symbol": order.symbol,
            "side": "BUY" if order.buys else "SELL",
            "type": kind,
            "quantity": plain(order.size),
        }
        if order.price is not None:
            params["price"] = plain(order.price)
        if order.reduce_only:
            params["reduceOnly"] = "true"
        if order.self_trade_prevention:
            params["selfTradePreventionMode"] = SELF_TRADES[order.self_trade_prevention]
        if order.type in WITH_PRICE:
            params |= _futures_lifetime(order)
        self._symbols.add(order.symbol)
        if order.stop_price is not None:
            params |= {"algoType": "CONDITIONAL", "triggerPrice": plain(order.stop_price)}
            params["clientAlgoId"] = order.client_order_id
            return OrderApiRequest("fapiPrivatePostAlgoOrder", params, operation="algoOrder.place")
        params |= {"newClientOrderId": order.client_order_id, "newOrderRespType": "RESULT"}
        return OrderApiRequest("fapiPrivatePostOrder", params, operation="order.place")

    def amend(self, key: OrderKey, order: OrderRequest) -> OrderApiRequest:
        """PUT order; conditional orders cannot be changed."""
        if order.price is None or order.stop_price is not None:
            raise UnsupportedRequest("Binance futures change limit orders only")
        params = {
            **futures_key_params(key),
            "side": "BUY" if order.buys else "SELL",
            "quantity": plain(order.size),
            "price": plain(order.price),
        }
        return OrderApiRequest("fapiPrivatePutOrder", params, operation="order.modify")

    def cancel(self, key: OrderKey) -> Sequence[OrderApiRequest]:
        return [
            OrderApiRequest(
                "fapiPrivateDeleteOrder", futures_key_params(key), operation="order.cancel"
            ),
            OrderApiRequest(
                "fapiPrivateDeleteAlgoOrder", algo_key_params(key), operation="algoOrder.cancel"
            ),
        ]

    def cancel_all(self, symbol: str) -> Sequence[OrderApiRequest]:
        """DELETE allOpenOrders and algoOpenOrders, of one symbol at a time."""
        if not symbol:
            return ()
        names = ("AllOpenOrders", "AlgoOpenOrders")
        return [OrderApiRequest(f"fapiPrivateDelete{name}", {"symbol": symbol}) for name in names]

    def countdown(self, seconds: float) -> Sequence[OrderApiRequest]:
        """POST countdownCancelAll, for each symbol that had an order."""
        method, time = "fapiPrivatePostCountdownCancelAll", str(int(seconds * 1000))
        symbols = sorted(self._symbols)
        return [OrderApiRequest(method, {"symbol": one, "countdownTime": time}) for one in symbols]

    def verdict(self, answer: Any) -> Verdict:
        """An order or an algo order; {"code":200,"msg":"…"} of a cancellation."""
        if "orderId" in answer:
            return RequestAccepted(str(answer["orderId"]), futures_order_of(answer))
        if "algoStatus" in answer:
            return RequestAccepted(str(answer["algoId"]), algo_order_of(answer))
        if str(answer["code"]) != "200":
            raise ValueError(f"code {answer['code']!r}")
        return RequestAccepted("")


def _futures_lifetime(order: OrderRequest) -> dict[str, str]:
    if order.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME:
        return {
            "timeInForce": "GTD",
            "goodTillDate": str(text_conversion.milliseconds(order.expire_time_ns)),
        }
    return {"timeInForce": "GTX" if order.post_only else TIMES_IN_FORCE[order.time_in_force]}


def _spot_ccxt_api(base_url: str | None) -> CcxtPrivateApi:
    options = {"defaultType": "spot", "fetchCurrencies": False}
    config: dict[str, Any] = {"options": options}
    if base_url is not None:
        rest, feed = f"{base_url}/api/v3", base_url.replace("http", "ws", 1)
        config["urls"] = {
            "api": {
                "public": rest,
                "private": rest,
                "sapi": f"{base_url}/sapi/v1",
                "ws": {"spot": f"{feed}/stream", "ws-api": {"spot": f"{feed}/ws-api/v3"}},
            }
        }
    return CcxtPrivateApi("binance", ERRORS, config)


def _futures_ccxt_api(base_url: str | None) -> CcxtPrivateApi:
    options: dict[str, Any] = {
        "fetchCurrencies": False,
        "watchBalance": {"fetchBalanceSnapshot": False, "awaitBalanceSnapshot": False},
        "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
    }
    config: dict[str, Any] = {"options": options}
    if base_url is not None:
        feed = base_url.replace("http", "ws", 1)
        config["urls"] = {
            "api": {
                "fapiPublic": f"{base_url}/fapi/v1",
                "fapiPrivate": f"{base_url}/fapi/v1",
                "fapiPrivateV3": f"{base_url}/fapi/v3",
                "sapi": f"{base_url}/sapi/v1",
                "ws": {"linear": f"{feed}/ws", "ws-api": {"linear": f"{feed}/ws-fapi/v1"}},
            }
        }
    return CcxtPrivateApi("binanceusdm", ERRORS, config)
