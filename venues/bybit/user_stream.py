"""The messages of Bybit's private websocket.

https://bybit-exchange.github.io/docs/v5/websocket/private/order
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kit.connector.orders.user_stream import (
    LoginRejected,
    StreamClosed,
    StreamMessage,
    Subscription,
    SubscriptionConfirmed,
)
from venues.bybit.account import balances_of, fill_of, order_of

TOPICS = ["order", "execution", "wallet"]
"""Not ``dcp.spot``: when a connection that subscribes to it is lost, the venue cancels all orders
of an account for which Bybit has enabled this, stops too."""


class BybitUserStreamDecoder:
    """The private websocket."""

    subscription_count = 1

    def subscriptions(self, exchange: Any) -> Sequence[Subscription]:
        """ccxt's own methods first ask for the kind of account, and subscribe one by one."""

        async def account_topics() -> None:
            url = exchange.implode_hostname(exchange.urls["api"]["ws"]["private"]["contract"])
            await exchange.authenticate(url)
            await exchange.watch_topics(url, ["account"], TOPICS, {})

        return (account_topics,)

    def decode(self, message: Any) -> StreamMessage:
        """{"topic":"order","data":[…]}, or {"op":"subscribe","success":true,…}."""
        topic, operation = message.get("topic"), message.get("op")
        if message.get("success") is False:
            reason = str(message.get("ret_msg"))
            return LoginRejected(reason) if operation == "auth" else StreamClosed(reason)
        if operation == "subscribe":
            return SubscriptionConfirmed("topics")
        if topic == "order":
            return [order_of(row) for row in message["data"] if _is_spot(row)]
        if topic == "execution":
            rows = [row for row in message["data"] if _is_spot(row)]
            return [fill_of(row) for row in rows if row["execType"] == "Trade"]
        if topic == "wallet":
            return [one for row in message["data"] for one in balances_of(row)]
        return None


def _is_spot(row: Mapping[str, Any]) -> bool:
    return bool(row.get("category", "spot") == "spot")
