"""The messages of OKX's private channels.

A push of the channel ``orders`` contains the fill that caused it. A stop is reported by
``orders-algo``, at another address, until it is triggered; then it is an order like any other, with
another id and the stop's client id in ``algoClOrdId``.
https://www.okx.com/docs-v5/en/#order-book-trading-trade-ws-order-channel
https://www.okx.com/docs-v5/en/#order-book-trading-algo-trading-ws-algo-orders-channel
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kit.connector.orders import text_conversion
from kit.connector.orders.user_stream import (
    LoginRejected,
    StreamClosed,
    StreamMessage,
    Subscription,
    SubscriptionConfirmed,
)
from kit.execution.contract import (
    AccountEvent,
    VenueFill,
)
from venues.okx.account import (
    TRIGGERED,
    algo_order_of,
    balances_of,
    fees_of,
    order_of,
    position_of,
)

LOGIN_ERRORS = frozenset({"60005", "60007", "60009", "60011", "60024", "60032"})
"""Codes of failed logins."""


class OkxUserStreamDecoder:
    """The channels orders, orders-algo, account and, of swaps, positions."""

    def __init__(self, kind: str) -> None:
        """``kind``: SPOT or SWAP."""
        self._kind = kind
        self._channels = [{"channel": "orders", "instType": kind}, {"channel": "account"}]
        if kind == "SWAP":
            self._channels.append({"channel": "positions", "instType": kind})

    @property
    def subscription_count(self) -> int:
        return len(self._channels) + 1

    def subscriptions(self, exchange: Any) -> Sequence[Subscription]:
        """All channels of an address in one request; ccxt's own methods make one for each."""

        async def watch(access: str, name: str, channels: Sequence[Mapping[str, str]]) -> None:
            await exchange.authenticate({"access": access})
            message = {"op": "subscribe", "args": channels}
            await exchange.watch(exchange.get_url("users", access), name, message, name)

        stops = [{"channel": "orders-algo", "instType": self._kind}]
        return (
            lambda: watch("private", "account", self._channels),
            lambda: watch("business", "orders-algo", stops),
        )

    def decode(self, message: Any) -> StreamMessage:
        """{"arg":{"channel":"orders",…},"data":[…]} or {"event":"subscribe","arg":{…},…}."""
        event, arg = message.get("event"), message.get("arg") or {}
        if event == "subscribe":
            return SubscriptionConfirmed(arg["channel"])
        if event == "error":
            reason = f"{message.get('code')} {message.get('msg')}"
            return (
                LoginRejected(reason)
                if str(message.get("code")) in LOGIN_ERRORS
                else StreamClosed(reason)
            )
        if event == "notice":
            return StreamClosed(f"{message.get('code')} {message.get('msg')}")
        if event is not None or "data" not in message:
            return None
        rows = message["data"]
        if arg["channel"] == "orders":
            return [event for row in rows for event in _order_events(row)]
        if arg["channel"] == "orders-algo":
            return [algo_order_of(row) for row in rows if row["state"] not in TRIGGERED]
        if arg["channel"] == "account":
            return [balance for row in rows for balance in balances_of(row)]
        return [position_of(row) for row in rows]


def _order_events(row: Mapping[str, Any]) -> list[AccountEvent]:
    """The fill first: {…,"tradeId":"123","fillPx":"61000","fillSz":"0.02","fillFee":"-0.00002",
    "fillFeeCcy":"BTC","execType":"M","fillTime":"1597026383085"}."""
    order = order_of(row)
    if not row.get("tradeId") or not text_conversion.amount(row.get("fillSz")):
        return [order]
    fill = VenueFill(
        symbol=order.symbol,
        fill_id=row["tradeId"],
        venue_order_id=order.venue_order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        price=text_conversion.amount(row["fillPx"]),
        size=text_conversion.amount(row["fillSz"]),
        fees=fees_of(row["fillFeeCcy"], row["fillFee"]),
        liquidity=text_conversion.liquidity(row.get("execType") == "M"),
        venue_time_ns=text_conversion.time_ns(row["fillTime"]),
    )
    return [fill, order]
