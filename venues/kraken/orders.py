"""Orders on Kraken's spot market: requests, and what their answers mean.

Client ids go out as ``cl_ord_id`` in 32 hexadecimal digits. The websocket names the parameters
differently from REST, and takes numbers where REST takes texts: a request states both forms.
https://docs.kraken.com/api/docs/rest-api/add-order
https://docs.kraken.com/api/docs/websocket-v2/add_order
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import plain
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import UnknownInstrument
from kit.base.request_budget import RequestBudget
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
from kit.execution.order_types import WITH_PRICE
from venues.kraken.account import TYPES, KrakenAccountApi, KrakenRestNames, key_params
from venues.kraken.cash_flows import KrakenCashFlowApi
from venues.kraken.configuration import KrakenConfigurationApi
from venues.kraken.errors import ERRORS
from venues.kraken.order_socket import ADD, AMEND, CANCEL, KrakenOrderSocketCodec
from venues.kraken.user_stream import KrakenUserStreamDecoder

VENUE_ID = "kraken"
COUNTDOWN_S_MAX = 86_400
TYPE_NAMES: Mapping[OrderType, str] = {kind: name for name, kind in TYPES.items()}
TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "GTD",
}
SELF_TRADES: Mapping[SelfTradePrevention, str] = {
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_TAKER: "cancel-newest",
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_MAKER: "cancel-oldest",
    orders_pb2.SELF_TRADE_PREVENTION_CANCEL_BOTH: "cancel-both",
}
"""``stptype``; the websocket's ``stp_type`` has the same words with underscores."""
SOCKET_TYPES = frozenset({orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT})
SOCKET_TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "gtc",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "ioc",
}


def execution_client(
    credentials: Credentials,
    base_url: str | None,
    transport: Transport = "websocket",
    budget: RequestBudget | None = None,
) -> CcxtExecutionClient:
    """Return the execution client of one account. ``base_url``: of the simulator; None: the venue's
    own. Without a budget calls go out at once."""
    session = RestSession(VENUE_ID, _ccxt_api(base_url), credentials, budget)
    names = KrakenRestNames()
    venue_api = VenueApi(
        KrakenOrderApi(names),
        KrakenAccountApi(names),
        KrakenConfigurationApi(),
        KrakenUserStreamDecoder(),
        KrakenOrderSocketCodec(),
        cash_flows=KrakenCashFlowApi(names),
        prepare=names.load,
    )
    return CcxtExecutionClient(session, venue_api, transport)


class KrakenOrderApi:
    """Spot."""

    capabilities = OrderCapabilities(
        types=frozenset(TYPE_NAMES),
        times_in_force=frozenset(TIMES_IN_FORCE),
        amends_stop_price=True,
        countdown=True,
        fills_have_client_id=False,
        self_trade_prevention=frozenset(SELF_TRADES),
    )

    def __init__(self, names: KrakenRestNames) -> None:
        self._names = names

    def place(self, order: OrderRequest) -> OrderApiRequest:
        """POST AddOrder. The price of a stop is its limit's ``price2``."""
        if (
            order.type not in TYPE_NAMES
            or order.time_in_force not in TIMES_IN_FORCE
            or order.reduce_only
        ):
            raise UnsupportedRequest("no such order on Kraken")
        params = {
            "pair": self._pair(order.symbol),
            "type": "buy" if order.buys else "sell",
            "ordertype": TYPE_NAMES[order.type],
            "volume": plain(order.size),
            "cl_ord_id": order.client_order_id,
            "oflags": "post,fciq" if order.post_only else "fciq",
        }
        if order.self_trade_prevention:
            params["stptype"] = SELF_TRADES[order.self_trade_prevention]
        if order.trailing_offset is not None:
            params["price"] = f"+{plain(order.trailing_offset)}"
        prices = [one for one in (order.stop_price, order.price) if one is not None]
        params |= {name: plain(one) for name, one in zip(("price", "price2"), prices, strict=False)}
        if order.type in WITH_PRICE:
            params["timeinforce"] = TIMES_IN_FORCE[order.time_in_force]
            if order.expire_time_ns:
                params["expiretm"] = str(order.expire_time_ns // NANOSECONDS_PER_SECOND)
        socket_params = _socket_order(order)
        return OrderApiRequest(
            "privatePostAddOrder",
            params,
            operation=ADD if socket_params else "",
            socket_params=socket_params,
        )

    def amend(self, key: OrderKey, order: OrderRequest) -> OrderApiRequest:
        """POST AmendOrder."""
        amounts = {
            "order_qty": order.size,
            "limit_price": order.price,
            "trigger_price": order.stop_price,
        }
        chosen = {name: one for name, one in amounts.items() if one is not None}
        return OrderApiRequest(
            "privatePostAmendOrder",
            {**key_params(key), **{name: plain(one) for name, one in chosen.items()}},
            operation=AMEND,
            socket_params={
                **_socket_key(key),
                **{name: _number(one) for name, one in chosen.items()},
            },
        )

    def cancel(self, key: OrderKey) -> Sequence[OrderApiRequest]:
        """POST CancelOrder; the websocket takes a list of ids."""
        return [
            OrderApiRequest(
                "privatePostCancelOrder",
                key_params(key),
                operation=CANCEL,
                socket_params={name: [value] for name, value in _socket_key(key).items()},
            )
        ]

    def cancel_all(self, symbol: str) -> Sequence[OrderApiRequest]:
        """POST CancelAll, of all symbols only."""
        return () if symbol else [OrderApiRequest("privatePostCancelAll")]

    def countdown(self, seconds: float) -> Sequence[OrderApiRequest]:
        """POST CancelAllOrdersAfter, in whole seconds."""
        timeout = min(-int(-seconds // 1), COUNTDOWN_S_MAX)
        return [OrderApiRequest("privatePostCancelAllOrdersAfter", {"timeout": timeout})]

    def verdict(self, answer: Any) -> Verdict:
        """{"error":[],"result":{"txid":["OUF4EM-FRGI2-MQMWZD"],"descr":{…}}}, {"amend_id":"…"} or
        {"count":1}."""
        result = answer["result"]
        if "count" in result and not isinstance(result["count"], int):
            raise ValueError(f"no count: {result['count']!r}")
        return RequestAccepted(result["txid"][0] if "txid" in result else "")

    def _pair(self, symbol: str) -> str:
        if symbol not in self._names.pairs:
            raise UnknownInstrument(
                f"Kraken does not list {symbol!r}", venue=VENUE_ID, symbol=symbol
            )
        return self._names.pairs[symbol]


def _socket_order(order: OrderRequest) -> dict[str, Any] | None:
    """The parameters of add_order; None for an order that goes by REST: the websocket states the
    prices of stops and the time at which an order expires in other ways."""
    is_limit = order.type == orders_pb2.ORDER_TYPE_LIMIT
    if order.time_in_force not in SOCKET_TIMES_IN_FORCE or order.type not in SOCKET_TYPES:
        return None
    params: dict[str, Any] = {
        "symbol": order.symbol,
        "side": "buy" if order.buys else "sell",
        "order_type": "limit" if is_limit else "market",
        "order_qty": _number(order.size),
        "cl_ord_id": order.client_order_id,
        "fee_preference": "quote",
    }
    if order.self_trade_prevention:
        params["stp_type"] = SELF_TRADES[order.self_trade_prevention].replace("-", "_")
    if is_limit and order.price is not None:
        params["limit_price"] = _number(order.price)
        params["time_in_force"] = SOCKET_TIMES_IN_FORCE[order.time_in_force]
        if order.post_only:
            params["post_only"] = True
    return params


def _socket_key(key: OrderKey) -> dict[str, Any]:
    if key.venue_order_id:
        return {"order_id": key.venue_order_id}
    return {"cl_ord_id": key.client_order_id}


def _number(amount: Decimal) -> msgspec.Raw:
    """The exact digits, without quotes."""
    return msgspec.Raw(plain(amount).encode())


def _ccxt_api(base_url: str | None) -> CcxtPrivateApi:
    config: dict[str, Any] = {}
    if base_url is not None:
        feed = base_url.replace("http", "ws", 1)
        sockets = {"public": feed, "private": f"{feed}/token", "privateV2": f"{feed}/v2"}
        config = {"urls": {"api": {"public": base_url, "private": base_url, "ws": sockets}}}
    # Nonces must grow.
    return CcxtPrivateApi(
        "kraken", ERRORS, config, in_sequence=True, sequence_error="EAPI:Invalid nonce"
    )
