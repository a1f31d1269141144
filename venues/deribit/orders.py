"""Orders on Deribit: requests, and what their answers mean.

Client ids go out as ``label``, which ccxt does not fill and Deribit does not check: two orders may
have the same label. So an order is never sent again, and is found by its label. ``post_only`` goes
with ``reject_post_only``, as the venue would change the price otherwise.
https://docs.deribit.com/api-reference/trading/private-buy
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.accounting.amounts import plain
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
    RequestRejected,
    Transport,
    Verdict,
)
from kit.execution.order_types import WITH_STOP_PRICE
from venues.deribit.account import TYPES, DeribitAccountApi, order_of
from venues.deribit.cash_flows import DeribitCashFlowApi
from venues.deribit.configuration import DeribitConfigurationApi
from venues.deribit.errors import ERRORS, NOTHING
from venues.deribit.order_socket import DeribitOrderSocketCodec
from venues.deribit.user_stream import DeribitUserStreamDecoder

VENUE_ID = "deribit"
STOP_ID = "SLT"
"""Prefix of the venue id of an untriggered stop."""
TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "good_til_cancelled",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "immediate_or_cancel",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "fill_or_kill",
}
STOPS: Mapping[OrderType, str] = {
    kind: name for name, kind in TYPES.items() if kind in WITH_STOP_PRICE
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
    account = DeribitAccountApi()
    venue_api = VenueApi(
        DeribitOrderApi(),
        account,
        DeribitConfigurationApi(),
        DeribitUserStreamDecoder(account),
        DeribitOrderSocketCodec(),
        cash_flows=DeribitCashFlowApi(account),
        prepare=account.prepare,
    )
    return CcxtExecutionClient(session, venue_api, transport)


class DeribitOrderApi:
    """All instruments of an account."""

    capabilities = OrderCapabilities(
        types=frozenset({orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT, *STOPS}),
        times_in_force=frozenset(TIMES_IN_FORCE),
        amends_stop_price=True,
        plain_stops_only=True,
        reduce_only=True,
        has_positions=True,
        profit_at_settlement=True,
    )

    def place(self, order: OrderRequest) -> OrderApiRequest:
        """GET private/buy or private/sell."""
        if order.type not in self.capabilities.types or order.time_in_force not in TIMES_IN_FORCE:
            raise UnsupportedRequest("no such order on Deribit")
        params = {
            "instrument_name": order.symbol,
            "amount": plain(order.size),
            "label": order.client_order_id,
        }
        if order.type == orders_pb2.ORDER_TYPE_LIMIT and order.price is not None:
            lifetime = TIMES_IN_FORCE[order.time_in_force]
            params |= {"type": "limit", "price": plain(order.price), "time_in_force": lifetime}
        elif order.type in STOPS:
            params |= _stop(order)
        else:
            params["type"] = "market"
        if order.post_only:
            params |= {"post_only": "true", "reject_post_only": "true"}
        if order.reduce_only:
            params["reduce_only"] = "true"
        if order.buys:
            return OrderApiRequest("privateGetBuy", params, operation="private/buy")
        return OrderApiRequest("privateGetSell", params, operation="private/sell")

    def amend(self, key: OrderKey, order: OrderRequest) -> OrderApiRequest:
        """GET private/edit or private/edit_by_label. A triggered stop has become another order,
        with another id and without a trigger price."""
        params = {"amount": plain(order.size)}
        if order.price is not None:
            params["price"] = plain(order.price)
        waits = key.venue_order_id.startswith(STOP_ID) or not key.venue_order_id
        if order.stop_price is not None and waits:
            params["trigger_price"] = plain(order.stop_price)
        if order.post_only:
            params |= {"post_only": "true", "reject_post_only": "true"}
        if order.reduce_only:
            # Whether an edit without it keeps it is not documented.
            params["reduce_only"] = "true"
        if key.venue_order_id:
            params["order_id"] = key.venue_order_id
            return OrderApiRequest("privateGetEdit", params, operation="private/edit")
        params |= {"instrument_name": key.symbol, "label": key.client_order_id}
        return OrderApiRequest("privateGetEditByLabel", params, operation="private/edit_by_label")

    def cancel(self, key: OrderKey) -> Sequence[OrderApiRequest]:
        """GET private/cancel or private/cancel_by_label."""
        if key.venue_order_id:
            which = {"order_id": key.venue_order_id}
            return [OrderApiRequest("privateGetCancel", which, operation="private/cancel")]
        which = {"label": key.client_order_id}
        return [
            OrderApiRequest("privateGetCancelByLabel", which, operation="private/cancel_by_label")
        ]

    def cancel_all(self, symbol: str) -> Sequence[OrderApiRequest]:
        """GET private/cancel_all or private/cancel_all_by_instrument."""
        if symbol:
            return [OrderApiRequest("privateGetCancelAllByInstrument", {"instrument_name": symbol})]
        return [OrderApiRequest("privateGetCancelAll")]

    def countdown(self, seconds: float) -> Sequence[OrderApiRequest]:
        """None. Deribit can cancel the orders of a connection when it is lost, but at once, and
        without the orders that were placed over REST."""
        raise UnsupportedRequest("Deribit has no countdown")

    def verdict(self, answer: Any) -> Verdict:
        """{"result":{"order":{…},"trades":[…]}}, of a cancellation {"result":{order}}; of several,
        how many: {"result":1}."""
        result = answer["result"]
        if isinstance(result, int):
            nothing = RequestRejected(
                orders_pb2.REJECT_REASON_OTHER, f"{NOTHING} no such open order"
            )
            return RequestAccepted("") if result else nothing
        order = order_of(result.get("order", result))
        return RequestAccepted(order.venue_order_id, order)


def _stop(order: OrderRequest) -> dict[str, str]:
    """Raises UnsupportedRequest."""
    is_plain = order.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
    if order.stop_price is None or order.post_only or not is_plain:
        raise UnsupportedRequest("no such stop on Deribit")
    trigger = {"trigger": "last_price", "trigger_price": plain(order.stop_price)}
    if order.price is None:
        return {"type": STOPS[order.type], **trigger}
    limit = {"price": plain(order.price), "time_in_force": TIMES_IN_FORCE[order.time_in_force]}
    return {"type": STOPS[order.type], **trigger, **limit}


def _ccxt_api(base_url: str | None) -> CcxtPrivateApi:
    if base_url is None:
        return CcxtPrivateApi("deribit", ERRORS)
    feed = f"{base_url.replace('http', 'ws', 1)}/ws/api/v2"
    return CcxtPrivateApi("deribit", ERRORS, {"urls": {"api": {"rest": base_url, "ws": feed}}})
