"""Orders on Binance: what is sent, and what is asked.

Client ids go out as ``newClientOrderId``; the venue keeps them unique among open orders only. An
answer that says -1006, -1007 or 5xx leaves open whether the order is there. The amounts are texts
in every answer: sizes are ``origQty`` and ``executedQty`` (q and z in events), the mean price is
``cummulativeQuoteQty`` (Z) by the filled size or ``avgPrice`` (ap), fees are ``commission`` (n).
Futures keep stops apart, as conditional orders of the algo service; once they have woken, they are
orders like any other under the same client id.
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints
https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import NotSupported
from kit.connector.orders import venue_text as read
from kit.connector.orders.execution_client import CcxtExecutionClient, Unsupported
from kit.connector.orders.rest_session import Absent, Call, RestSession
from kit.execution.approval import plain
from kit.execution.contract import (
    Accepted,
    Credentials,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    Transport,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)
from venues.binance.errors import ERRORS
from venues.binance.order_socket import BinanceOrderSocketCodec
from venues.binance.user_stream import (
    FUTURES_TYPES,
    LIFETIMES,
    TYPES,
    BinanceFuturesUserStreamDecoder,
    BinanceSpotUserStreamDecoder,
    algo_order_of,
    balance_of,
    fill_of,
    futures_balance_of,
    futures_fill_of,
    futures_order_of,
    futures_position_of,
    order_of,
)

SPOT, FUTURES = "binance", "binance_futures"
FILLS_MAX = 1000
WEEK_MS = 7 * 86_400_000
"""Fills of a longer time are not given at once by futures."""
KEPT_MS = 26 * WEEK_MS
"""They do not keep older ones."""


def desk(
    credentials: Credentials, base_url: str | None, transport: Transport = "websocket"
) -> CcxtExecutionClient:
    """The desk of one account on the spot market; ``base_url``: of the pretended venue."""
    speaking = BinanceOrderSocketCodec("spot")
    return CcxtExecutionClient(
        SPOT, BinanceSpotOrderApi(), base_url, credentials, speaking, transport
    )


def futures_desk(
    credentials: Credentials, base_url: str | None, transport: Transport = "websocket"
) -> CcxtExecutionClient:
    """The same for USD-M futures."""
    speaking = BinanceOrderSocketCodec("linear")
    return CcxtExecutionClient(
        FUTURES, BinanceFuturesOrderApi(), base_url, credentials, speaking, transport
    )


async def key_rights(line: RestSession) -> list[str]:
    """GET /sapi/v1/account/apiRestrictions: {"enableWithdrawals":false,
    "enableInternalTransfer":false,"enableSpotAndMarginTrading":true,…}."""
    answer = await line.ask(Call("sapiGetAccountApiRestrictions"))
    named = {"enableWithdrawals": "withdraw", "enableInternalTransfer": "transfer",
             "permitsUniversalTransfer": "transfer"}  # fmt: skip
    return sorted({right for name, right in named.items() if answer.get(name)})


class BinanceSpotOrderApi:
    """Spot."""

    exchange = "binance"
    one_at_a_time = False
    by_venue_id_only = False
    errors = ERRORS
    capabilities = OrderCapabilities(
        types=frozenset(TYPES),
        times_in_force=frozenset(LIFETIMES),
        amends_to_smaller_only=True,
        fills_have_client_id=False,
    )
    """A trailing stop of this venue follows in basis points, not at a distance: it waits here."""

    def __init__(self) -> None:
        self.hearing = BinanceSpotUserStreamDecoder()

    def config(self, base_url: str | None) -> Mapping[str, Any]:
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
        return config

    async def prepare(self, line: RestSession) -> None:
        """There is nothing to ask."""

    def place(self, wish: OrderRequest) -> Call:
        """POST order. Post-only is a type of its own, LIMIT_MAKER."""
        kind = TYPES.get(wish.type)
        if kind is None or wish.reduce_only:
            raise Unsupported("no such order on Binance spot")
        params = {
            "symbol": wish.symbol,
            "side": "BUY" if read.buys(wish) else "SELL",
            "type": "LIMIT_MAKER" if wish.post_only else kind,
            "quantity": plain(wish.size),
            "newClientOrderId": wish.client_order_id,
            "newOrderRespType": "RESULT",
        }
        if wish.price is not None:
            params["price"] = plain(wish.price)
        if wish.stop_price is not None:
            params["stopPrice"] = plain(wish.stop_price)
        if wish.type in read.LIMITS and not wish.post_only:
            if wish.time_in_force not in LIFETIMES:
                raise Unsupported("Binance spot has no orders that end at a time")
            params["timeInForce"] = LIFETIMES[wish.time_in_force]
        return Call("privatePostOrder", params, operation="order.place")

    def amend(self, key: OrderKey, wish: OrderRequest) -> Call:
        """PUT order/amend/keepPriority. The venue would make up a new client id otherwise."""
        params = {
            **_which(key),
            "newQty": plain(wish.size),
            "newClientOrderId": wish.client_order_id,
        }
        return Call("PUT private", params, "order/amend/keepPriority", "order.amend.keepPriority")

    def cancel(self, key: OrderKey) -> Sequence[Call]:
        """DELETE order."""
        return [Call("privateDeleteOrder", _which(key), operation="order.cancel")]

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """DELETE openOrders, of one symbol at a time."""
        params, operation = {"symbol": symbol}, "openOrders.cancelAll"
        return [Call("privateDeleteOpenOrders", params, operation=operation)] if symbol else ()

    def receipt(self, answer: Any) -> Verdict:
        """An order; of an amendment {"amendedOrder":{…},…}; of openOrders a list of orders."""
        if isinstance(answer, list):
            return Accepted("")
        row = answer.get("amendedOrder", answer)
        order = order_of(row) if "origQty" in row else None
        return Accepted(str(row["orderId"]), order)

    def countdown(self, seconds: float) -> Sequence[Call]:
        """There is none for spot."""
        raise Unsupported("Binance spot does not cancel by itself")

    async def rights(self, line: RestSession) -> Sequence[str]:
        """Of the key; the account is asked for as well, as it needs other rights."""
        await line.ask(Call("privateGetAccount", {"omitZeroBalances": "true"}))
        return await key_rights(line)

    async def find(self, line: RestSession, key: OrderKey) -> VenueOrder | None:
        """GET order."""
        return order_of(await line.ask(Call("privateGetOrder", _which(key))))

    async def open_orders(self, line: RestSession, symbol: str) -> list[VenueOrder]:
        """GET openOrders, all in one answer."""
        params = {"symbol": symbol} if symbol else {}
        return [order_of(row) for row in await line.ask(Call("privateGetOpenOrders", params))]

    async def fills(self, line: RestSession, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """GET myTrades, from a time and then on from each id."""
        if not symbol:
            raise NotSupported("fills of one symbol only", service=SPOT, wanted="all symbols")
        found: list[VenueFill] = []
        query: dict[str, Any] = {"startTime": read.milliseconds(since_time_ns)}
        while True:
            params = {"symbol": symbol, "limit": FILLS_MAX, **query}
            rows = await line.ask(Call("privateGetMyTrades", params))
            found += [fill_of(row) for row in rows]
            if len(rows) < FILLS_MAX:
                return found
            query = {"fromId": int(rows[-1]["id"]) + 1}

    async def balances(self, line: RestSession) -> list[VenueBalance]:
        """GET account: {"balances":[{"asset":"BTC","free":"4.1","locked":"0.2"},…],…}."""
        answer = await line.ask(Call("privateGetAccount", {"omitZeroBalances": "true"}))
        return [balance_of(row["asset"], row["free"], row["locked"]) for row in answer["balances"]]

    async def positions(self, line: RestSession) -> list[VenuePosition]:
        """There are none."""
        return []


class BinanceFuturesOrderApi:
    """USD-M futures, with one position for both sides."""

    exchange = "binanceusdm"
    one_at_a_time = False
    by_venue_id_only = False
    errors = ERRORS
    capabilities = OrderCapabilities(
        types=frozenset(FUTURES_TYPES),
        times_in_force=frozenset(LIFETIMES) | {orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME},
        reduce_only=True,
        has_positions=True,
        countdown=True,
        fills_have_client_id=False,
    )
    """A trailing stop follows in percent here, not at a distance: it waits in this process."""

    def __init__(self) -> None:
        self.hearing = BinanceFuturesUserStreamDecoder()
        self._symbols: set[str] = set()
        """With orders: the venue counts down for each alone."""

    def config(self, base_url: str | None) -> Mapping[str, Any]:
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
                    "fapiPrivate": f"{base_url}/fapi/v1",
                    "fapiPrivateV3": f"{base_url}/fapi/v3",
                    "sapi": f"{base_url}/sapi/v1",
                    "ws": {"linear": f"{feed}/ws", "ws-api": {"linear": f"{feed}/ws-fapi/v1"}},
                }
            }
        return config

    async def prepare(self, line: RestSession) -> None:
        """There is nothing to ask."""

    def place(self, wish: OrderRequest) -> Call:
        """POST order, or algoOrder of what waits for a price. Post-only is a time in force, GTX."""
        kind = FUTURES_TYPES.get(wish.type)
        if kind is None:
            raise Unsupported("no such order on Binance futures")
        params = {
            "symbol": wish.symbol,
            "side": "BUY" if read.buys(wish) else "SELL",
            "type": kind,
            "quantity": plain(wish.size),
        }
        if wish.price is not None:
            params["price"] = plain(wish.price)
        if wish.reduce_only:
            params["reduceOnly"] = "true"
        if wish.type in read.LIMITS:
            params |= _futures_lifetime(wish)
        self._symbols.add(wish.symbol)
        if wish.stop_price is not None:
            params |= {"algoType": "CONDITIONAL", "triggerPrice": plain(wish.stop_price)}
            params["clientAlgoId"] = wish.client_order_id
            return Call("fapiPrivatePostAlgoOrder", params, operation="algoOrder.place")
        params |= {"newClientOrderId": wish.client_order_id, "newOrderRespType": "RESULT"}
        return Call("fapiPrivatePostOrder", params, operation="order.place")

    def amend(self, key: OrderKey, wish: OrderRequest) -> Call:
        """PUT order; conditional orders cannot be changed."""
        if wish.price is None or wish.stop_price is not None:
            raise Unsupported("Binance futures change limit orders only")
        params = {
            **_which_of_futures(key),
            "side": "BUY" if read.buys(wish) else "SELL",
            "quantity": plain(wish.size),
            "price": plain(wish.price),
        }
        return Call("fapiPrivatePutOrder", params, operation="order.modify")

    def cancel(self, key: OrderKey) -> Sequence[Call]:
        """DELETE order, or algoOrder."""
        return [
            Call("fapiPrivateDeleteOrder", _which_of_futures(key), operation="order.cancel"),
            Call("fapiPrivateDeleteAlgoOrder", _which_algo(key), operation="algoOrder.cancel"),
        ]

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """DELETE allOpenOrders and algoOpenOrders, of one symbol at a time."""
        if not symbol:
            return ()
        names = ("AllOpenOrders", "AlgoOpenOrders")
        return [Call(f"fapiPrivateDelete{name}", {"symbol": symbol}) for name in names]

    def receipt(self, answer: Any) -> Verdict:
        """An order or an algo order; {"code":200,"msg":"…"} of a cancellation."""
        if "orderId" in answer:
            return Accepted(str(answer["orderId"]), futures_order_of(answer))
        if "algoStatus" in answer:
            return Accepted(str(answer["algoId"]), algo_order_of(answer))
        if str(answer["code"]) != "200":
            raise ValueError(f"code {answer['code']!r}")
        return Accepted("")

    def countdown(self, seconds: float) -> Sequence[Call]:
        """POST countdownCancelAll, for each symbol that had an order."""
        method, time = "fapiPrivatePostCountdownCancelAll", str(int(seconds * 1000))
        symbols = sorted(self._symbols)
        return [Call(method, {"symbol": one, "countdownTime": time}) for one in symbols]

    async def rights(self, line: RestSession) -> Sequence[str]:
        """As on the spot market."""
        await line.ask(Call("fapiPrivateV3GetBalance"))
        return await key_rights(line)

    async def find(self, line: RestSession, key: OrderKey) -> VenueOrder | None:
        """GET order, or algoOrder of one that has not come to the book."""
        try:
            answer = await line.ask(Call("fapiPrivateGetOrder", _which_of_futures(key)))
            return futures_order_of(answer)
        except Absent:
            answer = await line.ask(Call("fapiPrivateGetAlgoOrder", _which_algo(key)))
            return algo_order_of(answer)

    async def open_orders(self, line: RestSession, symbol: str) -> list[VenueOrder]:
        """GET openOrders and openAlgoOrders."""
        params = {"symbol": symbol} if symbol else {}
        rows = await line.ask(Call("fapiPrivateGetOpenOrders", params))
        waiting = await line.ask(Call("fapiPrivateGetOpenAlgoOrders", params))
        found = [*map(futures_order_of, rows), *map(algo_order_of, waiting)]
        self._symbols |= {order.symbol for order in found}
        return found

    async def fills(self, line: RestSession, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """GET userTrades, week by week."""
        if not symbol:
            raise NotSupported("fills of one symbol only", service=FUTURES, wanted="all symbols")
        now_ms = line.api.milliseconds()
        begin_ms = max(read.milliseconds(since_time_ns), now_ms - KEPT_MS)
        found: list[VenueFill] = []
        while begin_ms <= now_ms:
            end_ms = begin_ms + WEEK_MS - 1
            query = {"startTime": begin_ms, "endTime": end_ms, "limit": FILLS_MAX}
            params = {"symbol": symbol, **query}
            rows = await line.ask(Call("fapiPrivateGetUserTrades", params))
            found += [futures_fill_of(row) for row in rows]
            full = len(rows) == FILLS_MAX
            # Those of the last moment come again: it may have more.
            begin_ms = max(int(rows[-1]["time"]), begin_ms + 1) if full else end_ms + 1
        return found

    async def balances(self, line: RestSession) -> list[VenueBalance]:
        """GET balance."""
        answer = await line.ask(Call("fapiPrivateV3GetBalance"))
        return [futures_balance_of(row) for row in answer]

    async def positions(self, line: RestSession) -> list[VenuePosition]:
        """GET positionRisk."""
        rows = await line.ask(Call("fapiPrivateV3GetPositionRisk"))
        return [futures_position_of(row) for row in rows]


def _futures_lifetime(wish: OrderRequest) -> dict[str, str]:
    if wish.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME:
        return {"timeInForce": "GTD", "goodTillDate": str(read.milliseconds(wish.expire_time_ns))}
    return {"timeInForce": "GTX" if wish.post_only else LIFETIMES[wish.time_in_force]}


def _which_of_futures(key: OrderKey) -> dict[str, str]:
    """By the client id: the venue's is another one once a stop has woken."""
    if key.client_order_id:
        return {"symbol": key.symbol, "origClientOrderId": key.client_order_id}
    return {"symbol": key.symbol, "orderId": key.venue_order_id}


def _which_algo(key: OrderKey) -> dict[str, str]:
    if key.client_order_id:
        return {"clientAlgoId": key.client_order_id}
    return {"algoId": key.venue_order_id}


def _which(key: OrderKey) -> dict[str, str]:
    """By the venue's id where it is known: the client id may have been used before."""
    if key.venue_order_id:
        return {"symbol": key.symbol, "orderId": key.venue_order_id}
    return {"symbol": key.symbol, "origClientOrderId": key.client_order_id}
