"""The messages of Deribit's private channels.

https://docs.deribit.com/subscriptions/user/userordersinstrument_nameraw
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
from kit.execution.contract import (
    VenueOrder,
)
from venues.deribit.account import (
    TRIGGERED,
    DeribitAccountApi,
    balance_of,
    fill_of,
    order_of,
)

ORDERS, FILLS = "user.orders.any.any.raw", "user.trades.any.any.raw"
LOGIN_ERRORS = frozenset({"13004", "13009", "10000"})


class DeribitUserStreamDecoder:
    """Orders and fills of all instruments, and balances."""

    subscription_count = 1

    def __init__(self, account: DeribitAccountApi) -> None:
        """``account``: knows the currencies, and the client ids of stops."""
        self._account = account

    def subscriptions(self, exchange: Any) -> Sequence[Subscription]:
        """All channels in one request; ccxt's own methods make one for each."""

        async def watch() -> None:
            await exchange.authenticate()
            portfolios = [
                f"user.portfolio.{currency.lower()}" for currency in self._account.currencies
            ]
            message = {
                "jsonrpc": "2.0",
                "id": exchange.request_id(),
                "method": "private/subscribe",
                "params": {"channels": [ORDERS, FILLS, *portfolios]},
            }
            await exchange.watch(exchange.urls["api"]["ws"], ORDERS, message, ORDERS)

        return (watch,)

    def decode(self, message: Any) -> StreamMessage:
        """{"method":"subscription","params":{"channel":"user.orders.any.any.raw","data":{…}}}. The
        venue leaves channels that it rejects out of its answer."""
        error = message.get("error")
        if error is not None:
            reason = f"{error.get('code')} {error.get('message')}"
            return (
                LoginRejected(reason)
                if str(error.get("code")) in LOGIN_ERRORS
                else StreamClosed(reason)
            )
        result = message.get("result")
        if isinstance(result, list):
            if {ORDERS, FILLS} <= set(result):
                return SubscriptionConfirmed("channels")
            return LoginRejected(f"only {', '.join(result) or 'no channel'} may be subscribed to")
        if message.get("method") != "subscription":
            return None
        channel, data = message["params"]["channel"], message["params"]["data"]
        rows = data if isinstance(data, list) else [data]
        if channel == ORDERS:
            return self._orders_of(rows)
        if channel == FILLS:
            return [fill_of(row) for row in rows]
        return [balance_of(row) for row in rows]

    def _orders_of(self, rows: Sequence[Mapping[str, Any]]) -> list[VenueOrder]:
        """The orders, without triggered stops."""
        named = [(row, self._account.client_order_id(row)) for row in rows]
        return [order_of(row, own) for row, own in named if row["order_state"] != TRIGGERED]
