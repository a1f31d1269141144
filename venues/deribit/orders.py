"""Orders on Deribit: what is sent and what comes back.

Client ids go out as ``label``, which ccxt does not fill and Deribit does not check: two orders may
have the same. So an order is never sent again, and is found by its label. ``post_only`` goes with
``reject_post_only``, as the venue would change the price otherwise. Amounts are bare numbers, kept
as the texts that they are: ``amount``, ``filled_amount``, ``average_price``; of a fill ``amount``,
``price``, ``fee``. A stop has another id before its price is reached than after: see ``hearing``.
https://docs.deribit.com/api-reference/trading/private-buy
"""

from collections.abc import Mapping, Sequence
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

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
    OrderType,
    Rejected,
    Transport,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)
from venues.deribit.errors import ERRORS, NOTHING
from venues.deribit.order_socket import DeribitOrderSocketCodec, signed_in
from venues.deribit.user_stream import (
    TRIGGERED,
    TYPES,
    DeribitUserStreamDecoder,
    balance_of,
    fill_of,
    order_of,
)

VENUE_ID = "deribit"
FILLS_PAGE = 1000
HISTORY_PAGE = 100
STOP_ID = "SLT"
"""Begins the id of a stop that has not woken."""
LIFETIMES = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "good_til_cancelled",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "immediate_or_cancel",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "fill_or_kill",
}


STOPS: Mapping[OrderType, str] = {
    kind: name for name, kind in TYPES.items() if kind in read.STOPS | read.TAKE_PROFITS
}


def desk(
    credentials: Credentials, base_url: str | None, transport: Transport = "websocket"
) -> CcxtExecutionClient:
    """The desk of one account; ``base_url``: of the pretended venue."""
    speaking = DeribitOrderSocketCodec()
    return CcxtExecutionClient(
        VENUE_ID, DeribitOrderApi(), base_url, credentials, speaking, transport
    )


class DeribitOrderApi:
    """All instruments of an account."""

    exchange = "deribit"
    one_at_a_time = False
    by_venue_id_only = False
    errors = ERRORS
    capabilities = OrderCapabilities(
        types=frozenset({orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT, *STOPS}),
        times_in_force=frozenset(LIFETIMES),
        amends_stop_price=True,
        plain_stops_only=True,
        reduce_only=True,
        has_positions=True,
    )

    def __init__(self) -> None:
        self.hearing = DeribitUserStreamDecoder()
        self._currencies: list[str] = []

    def config(self, base_url: str | None) -> Mapping[str, Any]:
        if base_url is None:
            return {}
        feed = f"{base_url.replace('http', 'ws', 1)}/ws/api/v2"
        return {"urls": {"api": {"rest": base_url, "ws": feed}}}

    async def prepare(self, line: RestSession) -> None:
        """GET public/get_currencies."""
        answer = await line.ask(Call("publicGetGetCurrencies"))
        self._currencies = [row["currency"] for row in answer["result"]]
        self.hearing.currencies = [name.lower() for name in self._currencies]

    def place(self, wish: OrderRequest) -> Call:
        """GET private/buy or private/sell."""
        if wish.type not in self.capabilities.types or wish.time_in_force not in LIFETIMES:
            raise Unsupported("no such order on Deribit")
        params = {
            "instrument_name": wish.symbol,
            "amount": plain(wish.size),
            "label": wish.client_order_id,
        }
        if wish.type == orders_pb2.ORDER_TYPE_LIMIT and wish.price is not None:
            lifetime = LIFETIMES[wish.time_in_force]
            params |= {"type": "limit", "price": plain(wish.price), "time_in_force": lifetime}
        elif wish.type in STOPS:
            params |= _stop(wish)
        else:
            params["type"] = "market"
        if wish.post_only:
            params |= {"post_only": "true", "reject_post_only": "true"}
        if wish.reduce_only:
            params["reduce_only"] = "true"
        if read.buys(wish):
            return Call("privateGetBuy", params, operation="private/buy")
        return Call("privateGetSell", params, operation="private/sell")

    def amend(self, key: OrderKey, wish: OrderRequest) -> Call:
        """GET private/edit or private/edit_by_label. A stop that has woken is another order now,
        with another id, and without a trigger price."""
        params = {"amount": plain(wish.size)}
        if wish.price is not None:
            params["price"] = plain(wish.price)
        waits = key.venue_order_id.startswith(STOP_ID) or not key.venue_order_id
        if wish.stop_price is not None and waits:
            params["trigger_price"] = plain(wish.stop_price)
        if wish.post_only:
            params |= {"post_only": "true", "reject_post_only": "true"}
        if key.venue_order_id:
            params["order_id"] = key.venue_order_id
            return Call("privateGetEdit", params, operation="private/edit")
        params |= {"instrument_name": key.symbol, "label": key.client_order_id}
        return Call("privateGetEditByLabel", params, operation="private/edit_by_label")

    def cancel(self, key: OrderKey) -> Sequence[Call]:
        """GET private/cancel or private/cancel_by_label."""
        if key.venue_order_id:
            which = {"order_id": key.venue_order_id}
            return [Call("privateGetCancel", which, operation="private/cancel")]
        which = {"label": key.client_order_id}
        return [Call("privateGetCancelByLabel", which, operation="private/cancel_by_label")]

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """GET private/cancel_all or private/cancel_all_by_instrument."""
        if symbol:
            return [Call("privateGetCancelAllByInstrument", {"instrument_name": symbol})]
        return [Call("privateGetCancelAll")]

    def receipt(self, answer: Any) -> Verdict:
        """{"result":{"order":{…},"trades":[…]}}, of a cancellation {"result":{order}}; of several,
        how many: {"result":1}."""
        result = answer["result"]
        if isinstance(result, int):
            nothing = Rejected(orders_pb2.REJECT_REASON_OTHER, f"{NOTHING} no such open order")
            return Accepted("") if result else nothing
        order = order_of(result.get("order", result))
        return Accepted(order.venue_order_id, order)

    def countdown(self, seconds: float) -> Sequence[Call]:
        """Deribit can cancel what a connection has placed, at once when that is cut; a cut of a
        moment would do, and what went by REST would stay."""
        raise Unsupported("Deribit has no countdown")

    async def rights(self, line: RestSession) -> Sequence[str]:
        """GET public/auth: {"scope":"account:read trade:read_write wallet:read_write …"}. The
        secret signs here, and does not go out."""
        scope = (await line.ask(Call("publicGetAuth", signed_in(line.api))))["result"][
            "scope"
        ].split()
        return ["withdraw"] if "wallet:read_write" in scope else []

    async def find(self, line: RestSession, key: OrderKey) -> VenueOrder | None:
        """GET private/get_order_state, or ..._by_label, which has recent ones; or the history. Of a
        stop that has woken, the order that it has made, as far as that is told yet."""
        if key.venue_order_id:
            row = await _state(line, key.venue_order_id)
            if row["order_state"] != TRIGGERED:
                return await self._told(line, row)
        else:
            row = await self._labelled(line, key)
        if row["order_state"] == TRIGGERED:
            row = await _made_by(line, row) or row
        return await self._told(line, row)

    async def _told(self, line: RestSession, row: Mapping[str, Any]) -> VenueOrder:
        """With our id, also where only the stop that has made the order has it."""
        own, stop = self.hearing.whose(row), row.get("trigger_order_id")
        if not own and stop:
            try:
                own = self.hearing.whose(await _state(line, stop))
            except Absent:
                own = ""
        return order_of(row, own)

    async def _labelled(self, line: RestSession, key: OrderKey) -> Mapping[str, Any]:
        """Raises Absent."""
        query = {"currency": _currency(key.symbol), "label": key.client_order_id}
        rows = (await line.ask(Call("privateGetGetOrderStateByLabel", query)))["result"]
        if not rows:
            past = {
                "instrument_name": key.symbol,
                "count": HISTORY_PAGE,
                "include_unfilled": "true",
            }
            answer = await line.ask(Call("privateGetGetOrderHistoryByInstrument", past))
            rows = [row for row in answer["result"] if row.get("label") == key.client_order_id]
        if not rows:
            raise Absent
        return _newest(rows)

    async def open_orders(self, line: RestSession, symbol: str) -> list[VenueOrder]:
        """GET private/get_open_orders, or ..._by_instrument; stops too."""
        call = Call("privateGetGetOpenOrders")
        if symbol:
            call = Call("privateGetGetOpenOrdersByInstrument", {"instrument_name": symbol})
        rows = (await line.ask(call))["result"]
        # The stops first: what others have made is known by them.
        rows.sort(key=lambda row: row["order_type"] not in TYPES)
        return [await self._told(line, row) for row in rows if row["order_state"] != TRIGGERED]

    async def fills(self, line: RestSession, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """GET private/get_user_trades_by_..._and_time, oldest first."""
        method, names = "privateGetGetUserTradesByCurrencyAndTime", self._currencies
        kind = "currency"
        if symbol:
            method, kind = "privateGetGetUserTradesByInstrumentAndTime", "instrument_name"
            names = [symbol]
        found: list[VenueFill] = []
        for name in names:
            begin_ms, more = read.milliseconds(since_time_ns), True
            while more:
                query = {
                    kind: name,
                    "start_timestamp": begin_ms,
                    "end_timestamp": line.api.milliseconds() + 1,
                    "count": FILLS_PAGE,
                    "sorting": "asc",
                }
                result = (await line.ask(Call(method, query)))["result"]
                rows = result["trades"]
                found += [fill_of(row) for row in rows]
                more = bool(result["has_more"] and rows)
                if more:
                    # Those of the last moment come again: it may have more.
                    last_ms = int(rows[-1]["timestamp"])
                    begin_ms = last_ms if last_ms > begin_ms else begin_ms + 1
        return found

    async def balances(self, line: RestSession) -> list[VenueBalance]:
        """GET private/get_account_summaries."""
        answer = await line.ask(Call("privateGetGetAccountSummaries"))
        return [balance_of(row) for row in answer["result"]["summaries"]]

    async def positions(self, line: RestSession) -> list[VenuePosition]:
        """GET private/get_positions: {"instrument_name":"BTC-PERPETUAL","size":-50,
        "average_price":61000.5,"floating_profit_loss":0.0001,"estimated_liquidation_price":…}."""
        found = []
        for currency in self._currencies:
            answer = await line.ask(Call("privateGetGetPositions", {"currency": currency}))
            found += [
                VenuePosition(
                    symbol=row["instrument_name"],
                    size=read.amount(row["size"]),
                    entry_price=read.given(row.get("average_price")),
                    unrealized_profit=read.amount(row.get("floating_profit_loss")),
                    liquidation_price=read.given(row.get("estimated_liquidation_price")),
                )
                for row in answer["result"]
            ]
        return found


def _stop(wish: OrderRequest) -> dict[str, str]:
    """Raises Unsupported."""
    is_plain = wish.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL
    if wish.stop_price is None or wish.post_only or not is_plain:
        raise Unsupported("no such stop on Deribit")
    trigger = {"trigger": "last_price", "trigger_price": plain(wish.stop_price)}
    if wish.price is None:
        return {"type": STOPS[wish.type], **trigger}
    limit = {"price": plain(wish.price), "time_in_force": LIFETIMES[wish.time_in_force]}
    return {"type": STOPS[wish.type], **trigger, **limit}


async def _state(line: RestSession, order_id: str) -> Mapping[str, Any]:
    """Raises Absent."""
    answer = await line.ask(Call("privateGetGetOrderState", {"order_id": order_id}))
    row: Mapping[str, Any] = answer["result"]
    return row


async def _made_by(line: RestSession, stop: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The order that a stop has made: among what is open, or has ended."""
    named = {"instrument_name": stop["instrument_name"]}
    past = {**named, "count": HISTORY_PAGE, "include_unfilled": "true"}
    for call in (
        Call("privateGetGetOpenOrdersByInstrument", named),
        Call("privateGetGetOrderHistoryByInstrument", past),
    ):
        for row in (await line.ask(call))["result"]:
            if row.get("trigger_order_id") == stop["order_id"]:
                found: Mapping[str, Any] = row
                return found
    return None


def _newest(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of those with a label; a stop only where what it has made is not among them."""
    return max(
        rows,
        key=lambda row: (row["order_state"] != TRIGGERED, int(row["creation_timestamp"])),
    )


def _currency(symbol: str) -> str:
    """BTC of BTC-PERPETUAL, USDC of BTC_USDC-PERPETUAL."""
    return symbol.partition("-")[0].rpartition("_")[2]
