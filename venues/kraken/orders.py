"""Orders on Kraken's spot market: what is sent, what comes back, what is heard.

Client ids go out as ``cl_ord_id`` in 32 hexadecimal digits; ccxt's own reading of an order loses
them, and its status. REST has other names for markets and assets, which are asked for once. Amounts
are texts over REST: ``vol``, ``vol_exec``, ``cost``, ``fee``; over the websocket they are numbers,
kept as the texts that they are: ``order_qty``, ``cum_qty``, ``cum_cost``, ``fees[].qty``. Every
order asks for its fees in the quote currency, as trades over REST do not say in which they are.
https://docs.kraken.com/api/docs/rest-api/add-order
https://docs.kraken.com/api/docs/websocket-v2/executions
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import CredentialsRejected, UnknownInstrument
from kit.connector.orders import venue_text as read
from kit.connector.orders.execution_client import CcxtExecutionClient, Unsupported
from kit.connector.orders.rest_session import Absent, Call, RestSession
from kit.execution.approval import plain
from kit.execution.contract import (
    Accepted,
    Credentials,
    Fee,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    OrderState,
    OrderType,
    Transport,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)
from venues.kraken.errors import ERRORS
from venues.kraken.instruments import ASSETS, native_symbol
from venues.kraken.order_socket import (
    ADD,
    AMEND,
    CANCEL,
    KrakenOrderSocketCodec,
    added,
    amended,
    cancelled,
)
from venues.kraken.user_stream import TYPES_READ, KrakenSpotUserStreamDecoder

VENUE_ID = "kraken"
PAGE = 50
COUNTDOWN_S_MAX = 86_400
STATES: Mapping[str, OrderState] = {
    "pending": orders_pb2.ORDER_STATE_ACKNOWLEDGED,
    "open": orders_pb2.ORDER_STATE_OPEN,
    "closed": orders_pb2.ORDER_STATE_FILLED,
    "canceled": orders_pb2.ORDER_STATE_CANCELLED,
    "expired": orders_pb2.ORDER_STATE_EXPIRED,
}
TYPES: Mapping[OrderType, str] = {kind: name for name, kind in TYPES_READ.items()}
LIFETIMES = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "GTD",
}


def desk(
    credentials: Credentials, base_url: str | None, transport: Transport = "websocket"
) -> CcxtExecutionClient:
    """The desk of one account; ``base_url``: of the pretended venue."""
    return CcxtExecutionClient(
        VENUE_ID, KrakenSpotOrderApi(), base_url, credentials, KrakenOrderSocketCodec(), transport
    )


class KrakenSpotOrderApi:
    """Spot."""

    exchange = "kraken"
    one_at_a_time = True
    """Nonces must grow."""
    by_venue_id_only = False
    errors = ERRORS
    capabilities = OrderCapabilities(
        types=frozenset(TYPES),
        times_in_force=frozenset(LIFETIMES),
        amends_stop_price=True,
        countdown=True,
        fills_have_client_id=False,
    )

    def __init__(self) -> None:
        self.hearing = KrakenSpotUserStreamDecoder()
        self._pairs: dict[str, str] = {}
        """REST's names of the symbols: "BTC/USDT" is XBTUSDT."""
        self._symbols: dict[str, str] = {}
        """The other way round, of all names that REST has."""
        self._quotes: dict[str, str] = {}
        self._assets: dict[str, str] = {}
        """XXBT is BTC."""

    def config(self, base_url: str | None) -> Mapping[str, Any]:
        if base_url is None:
            return {}
        feed = base_url.replace("http", "ws", 1)
        sockets = {"public": feed, "private": f"{feed}/token", "privateV2": f"{feed}/v2"}
        return {"urls": {"api": {"public": base_url, "private": base_url, "ws": sockets}}}

    async def prepare(self, line: RestSession) -> None:
        """GET Assets and AssetPairs."""
        assets = (await line.ask(Call("publicGetAssets")))["result"]
        names = {key: str(asset["altname"]) for key, asset in assets.items()}
        self._assets = {key: ASSETS.get(name, name) for key, name in names.items()}
        pairs = (await line.ask(Call("publicGetAssetPairs")))["result"]
        for key, pair in pairs.items():
            symbol = native_symbol({"info": pair})
            if symbol:
                self._pairs[symbol] = key
                self._symbols |= {key: symbol, pair["altname"]: symbol, pair["wsname"]: symbol}
                self._quotes[symbol] = symbol.partition("/")[2]

    def place(self, wish: OrderRequest) -> Call:
        """POST AddOrder. The price of a stop is its limit's ``price2``."""
        if wish.type not in TYPES or wish.time_in_force not in LIFETIMES or wish.reduce_only:
            raise Unsupported("no such order on Kraken")
        params = {
            "pair": self._pair(wish.symbol),
            "type": "buy" if read.buys(wish) else "sell",
            "ordertype": TYPES[wish.type],
            "volume": plain(wish.size),
            "cl_ord_id": wish.client_order_id,
            "oflags": "post,fciq" if wish.post_only else "fciq",
        }
        if wish.trailing_offset is not None:
            params["price"] = f"+{plain(wish.trailing_offset)}"
        prices = [one for one in (wish.stop_price, wish.price) if one is not None]
        params |= {name: plain(one) for name, one in zip(("price", "price2"), prices, strict=False)}
        if wish.type in read.LIMITS:
            params["timeinforce"] = LIFETIMES[wish.time_in_force]
            if wish.expire_time_ns:
                params["expiretm"] = str(wish.expire_time_ns // NANOSECONDS_PER_SECOND)
        said = added(wish)
        return Call("privatePostAddOrder", params, operation=ADD if said else "", said=said)

    def amend(self, key: OrderKey, wish: OrderRequest) -> Call:
        """POST AmendOrder."""
        params = {**_which(key), "order_qty": plain(wish.size)}
        if wish.price is not None:
            params["limit_price"] = plain(wish.price)
        if wish.stop_price is not None:
            params["trigger_price"] = plain(wish.stop_price)
        said = amended(key, wish)
        return Call("privatePostAmendOrder", params, operation=AMEND, said=said)

    def cancel(self, key: OrderKey) -> Sequence[Call]:
        """POST CancelOrder."""
        params, said = _which(key), cancelled(key)
        return [Call("privatePostCancelOrder", params, operation=CANCEL, said=said)]

    def cancel_all(self, symbol: str) -> Sequence[Call]:
        """POST CancelAll, of all symbols only."""
        return () if symbol else [Call("privatePostCancelAll")]

    def receipt(self, answer: Any) -> Verdict:
        """{"error":[],"result":{"txid":["OUF4EM-FRGI2-MQMWZD"],"descr":{…}}}, {"amend_id":"…"} or
        {"count":1}."""
        result = answer["result"]
        if "count" in result and not isinstance(result["count"], int):
            raise ValueError(f"no count: {result['count']!r}")
        return Accepted(result["txid"][0] if "txid" in result else "")

    def countdown(self, seconds: float) -> Sequence[Call]:
        """POST CancelAllOrdersAfter, in whole seconds."""
        timeout = min(-int(-seconds // 1), COUNTDOWN_S_MAX)
        return [Call("privatePostCancelAllOrdersAfter", {"timeout": timeout})]

    async def rights(self, line: RestSession) -> Sequence[str]:
        """Kraken does not tell the rights of a key. A question that only those may ask who may
        withdraw does."""
        await line.ask(Call("privatePostBalanceEx"))
        try:
            await line.ask(Call("privatePostWithdrawMethods"))
        except CredentialsRejected:
            return ()
        return ("withdraw",)

    async def find(self, line: RestSession, key: OrderKey) -> VenueOrder | None:
        """POST QueryOrders by the venue's id; OpenOrders and ClosedOrders by ours."""
        if key.venue_order_id:
            call = Call("privatePostQueryOrders", {"txid": key.venue_order_id})
            return self._first((await line.ask(call))["result"])
        query = {"cl_ord_id": key.client_order_id}
        for method, part in (("OpenOrders", "open"), ("ClosedOrders", "closed")):
            answer = await line.ask(Call(f"privatePost{method}", query))
            found = self._first(answer["result"][part])
            if found is not None:
                return found
        raise Absent

    async def open_orders(self, line: RestSession, symbol: str) -> list[VenueOrder]:
        """POST OpenOrders, all in one answer."""
        answer = await line.ask(Call("privatePostOpenOrders"))
        found = [self._order(name, row) for name, row in answer["result"]["open"].items()]
        return [order for order in found if symbol in ("", order.symbol)]

    async def fills(self, line: RestSession, symbol: str, since_time_ns: int) -> list[VenueFill]:
        """POST TradesHistory, newest first, in pages. All that came meanwhile is on the first."""
        query = {"start": str(since_time_ns // NANOSECONDS_PER_SECOND)}
        found: list[VenueFill] = []
        skipped = 0
        while True:
            call = Call("privatePostTradesHistory", {**query, "ofs": skipped})
            result = (await line.ask(call))["result"]
            found += [self._fill(name, row) for name, row in result["trades"].items()]
            skipped += len(result["trades"])
            if not result["trades"] or skipped >= int(result["count"]):
                return [fill for fill in found if symbol in ("", fill.symbol)]

    async def balances(self, line: RestSession) -> list[VenueBalance]:
        """POST BalanceEx: {"XXBT":{"balance":"1.5","hold_trade":"0.5"},…}."""
        answer = await line.ask(Call("privatePostBalanceEx"))
        found = []
        for name, row in answer["result"].items():
            total = read.amount(row["balance"])
            free = total - read.amount(row.get("hold_trade"))
            found.append(VenueBalance(self._assets.get(name, name), total, free))
        return found

    async def positions(self, line: RestSession) -> list[VenuePosition]:
        """There are none."""
        return []

    def _pair(self, symbol: str) -> str:
        if symbol not in self._pairs:
            raise UnknownInstrument(
                f"Kraken does not list {symbol!r}", venue=VENUE_ID, symbol=symbol
            )
        return self._pairs[symbol]

    def _first(self, rows: Mapping[str, Any]) -> VenueOrder | None:
        return next((self._order(name, row) for name, row in rows.items()), None)

    def _order(self, name: str, row: Mapping[str, Any]) -> VenueOrder:
        """{"status":"open","cl_ord_id":"…","opentm":1688148493.7708,"descr":{"pair":"XBTUSDT",
        "type":"buy","ordertype":"limit","price":"61000.0","price2":"0",…},"vol":"1.25",
        "vol_exec":"0.375","cost":"22875.00000","closetm":…,"reason":null,…}"""
        described = row["descr"]
        kind = TYPES_READ[described["ordertype"]]
        stops = kind in read.STOPS | read.TAKE_PROFITS
        first, second = (
            None if str(described[field]).startswith(("+", "-")) else read.given(described[field])
            for field in ("price", "price2")
        )
        filled = read.amount(row["vol_exec"])
        return VenueOrder(
            symbol=self._symbols[described["pair"]],
            venue_order_id=name,
            client_order_id=read.ours(row.get("cl_ord_id")),
            side=read.side(described["type"]),
            type=kind,
            size=read.amount(row["vol"]),
            price=second if stops else first,
            state=read.state(STATES[row["status"]], filled),
            filled_size=filled,
            average_price=read.mean(read.amount(row["cost"]), filled),
            venue_time_ns=_time_ns(row.get("closetm") or row["opentm"]),
            detail=str(row.get("reason") or ""),
            stop_price=first if stops else None,
        )

    def _fill(self, name: str, row: Mapping[str, Any]) -> VenueFill:
        """{"ordertxid":"OQCLML-…","pair":"XBTUSDT","time":1688667796.8802,"type":"buy",
        "price":"61000.0","fee":"0.16","vol":"0.02","maker":true,…}"""
        symbol = self._symbols[row["pair"]]
        return VenueFill(
            symbol=symbol,
            fill_id=name,
            venue_order_id=row["ordertxid"],
            client_order_id="",
            side=read.side(row["type"]),
            price=read.amount(row["price"]),
            size=read.amount(row["vol"]),
            fees=(Fee(self._quotes[symbol], read.amount(row["fee"])),),
            liquidity=read.liquidity(row["maker"]),
            venue_time_ns=_time_ns(row["time"]),
        )


def _time_ns(seconds: Any) -> int:
    return int(Decimal(str(seconds)) * NANOSECONDS_PER_SECOND)


def _which(key: OrderKey) -> dict[str, str]:
    if key.venue_order_id:
        return {"txid": key.venue_order_id}
    return {"cl_ord_id": key.client_order_id}
