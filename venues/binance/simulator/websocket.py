"""Binance's websockets: public streams, and calls over the websocket API.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams,
.../websocket-api and .../user-data-stream
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kit.simulator.dialect import Channel, ExchangeStream, MarketView, WebsocketSession
from kit.simulator.exchange.rest import NO_KEY, ApiCall, ApiError, ApiErrors, Route
from kit.simulator.exchange.streams import AccountStreams, symbol_of
from kit.simulator.matching.contract import AccountEvent, ApiKey, OrderRejected
from venues.binance.simulator.authentication import (
    BinanceRateLimits,
    authenticate_message,
    check_known,
    check_time,
    is_signed_by_ed25519,
)
from venues.binance.simulator.capture import data_of
from venues.binance.simulator.errors import KEY_REJECTED, error_row, status_of
from venues.binance.simulator.private_stream import USER_STREAM, EventRows, ListenKeyRegistry
from venues.binance.simulator.rows import Row
from venues.binance.simulator.streams import NAME, PUBLIC, BinanceStreamRegistry

ROUTES = ("public", "market", "private")
"""The first part of a websocket's path at futures."""
STREAMS_MAX = 1024
INVALID_JSON = b'{"code":3,"msg":"Invalid JSON: expected value"}'
API_MESSAGES_PER_SECOND_MAX = 1_000
"""Only the limits of weight and orders are documented."""
OTHER_WEIGHT = 2
SPOT_METHODS = {
    "order.place": "POST /api/v3/order",
    "order.cancel": "DELETE /api/v3/order",
    "order.cancelReplace": "POST /api/v3/order/cancelReplace",
    "order.amend.keepPriority": "PUT /api/v3/order/amend/keepPriority",
    "order.status": "GET /api/v3/order",
    "openOrders.status": "GET /api/v3/openOrders",
    "openOrders.cancelAll": "DELETE /api/v3/openOrders",
    "allOrders": "GET /api/v3/allOrders",
    "myTrades": "GET /api/v3/myTrades",
    "account.status": "GET /api/v3/account",
}
"""The REST call of each method of the websocket API."""
FUTURES_METHODS = {
    "order.place": "POST /fapi/v1/order",
    "order.modify": "PUT /fapi/v1/order",
    "order.cancel": "DELETE /fapi/v1/order",
    "order.status": "GET /fapi/v1/order",
    "algoOrder.place": "POST /fapi/v1/algoOrder",
    "algoOrder.cancel": "DELETE /fapi/v1/algoOrder",
    "v2/account.status": "GET /fapi/v3/account",
    "v2/account.balance": "GET /fapi/v3/balance",
    "v2/account.position": "GET /fapi/v3/positionRisk",
}


class _Subscription(msgspec.Struct):
    """``{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}``"""

    method: str = ""
    params: list[Any] = []
    id: int | str | None = None


class _Message(msgspec.Struct):
    """``{"id":1,"method":"order.place","params":{}}``"""

    method: str = ""
    params: dict[str, Any] = {}
    id: int | str | None = None


_subscription = msgspec.json.Decoder(_Subscription)
_message = msgspec.json.Decoder(_Message)


@dataclass(slots=True)
class BinanceStreamSession(WebsocketSession):
    """A connection for streams."""

    route: str = ""
    """One of ROUTES; "" where all streams have one address."""


@dataclass(slots=True)
class BinanceApiSession(WebsocketSession):
    """A connection to the websocket API."""

    key: ApiKey = NO_KEY
    """The key of the logon."""
    logged_on_ms: int = 0
    subscriptions: dict[int, tuple[str, Callable[[], None]]] = field(default_factory=dict)
    """The account by the number of the subscription, and the function that ends it."""
    subscribed: int = 0

    def end_all(self) -> None:
        while self.subscriptions:
            self.subscriptions.popitem()[1][1]()


class BinanceWebsocket:
    """All websockets of a market."""

    def __init__(
        self,
        streams: BinanceStreamRegistry,
        api: "BinanceWebsocketApi",
        listen_keys: ListenKeyRegistry | None = None,
    ) -> None:
        """``listen_keys``: the market has ROUTES, and listen keys in its addresses."""
        self._streams = streams
        self._api = api
        self._listen_keys = listen_keys

    def open(self, path: str, query: Mapping[str, str]) -> WebsocketSession | None:
        """``/stream?streams=a/b`` wraps each event in its stream's name, ``/ws/a`` does not.
        Futures have a route before it; an address without one is served as ``/public``."""
        if path.rstrip("/") == self._api.path:
            return self._api.open()
        parts = path.strip("/").split("/")
        session = BinanceStreamSession()
        if self._listen_keys is not None:
            session.route = parts.pop(0) if parts[0] in ROUTES else ROUTES[0]
            name = query.get("listenKey") or query.get("streams") or "".join(parts[-1:])
            self._listen_keys.attach(session, name)
        if parts == ["stream"]:
            names = query.get("streams", "").split("/")
        elif "ws" in parts:
            session.shape = data_of
            names = parts[parts.index("ws") + 1 :]
        else:
            return None
        self._subscribe(session, filter(NAME.fullmatch, names))
        return session

    async def receive(
        self, session: WebsocketSession, text: str, market_view: MarketView
    ) -> list[bytes]:
        if isinstance(session, BinanceApiSession):
            return [self._api.answer(session, text, market_view)]
        assert isinstance(session, BinanceStreamSession)
        try:
            call = _subscription.decode(text)
        except msgspec.ValidationError as error:
            return [_error(f"Invalid request: {error}", None)]
        except msgspec.DecodeError:
            return [INVALID_JSON]
        if call.method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return [self._change_subscriptions(session, call)]
        return [_error(f"Invalid request: unknown method {call.method[:60]}", call.id)]

    def _change_subscriptions(self, session: BinanceStreamSession, call: _Subscription) -> bytes:
        names = [name for name in call.params if isinstance(name, str)]
        if len(names) != len(call.params) or not names:
            return _error("Invalid request: params must be names of streams", call.id)
        if call.method == "UNSUBSCRIBE":
            for name in names:
                session.streams.pop(name, None)
            return _result(None, call.id)
        if not all(map(NAME.fullmatch, names)):
            return _error("Invalid request: invalid stream name", call.id)
        if len(session.streams.keys() | set(names)) > STREAMS_MAX:
            return _error("Invalid request: too many streams", call.id)
        self._subscribe(session, names)
        return _result(None, call.id)

    def _subscribe(self, session: BinanceStreamSession, names: Iterable[str]) -> None:
        """A stream of another route is accepted too, and then sends nothing."""
        for name in names:
            route = "public" if PUBLIC.fullmatch(name) else "market"
            is_served = session.route in ("", route)
            stream = self._streams.subscribed(name) if is_served else None
            session.streams[name] = stream or ExchangeStream(name, Channel.OTHER, "")


class BinanceWebsocketApi:
    """Calls over a connection, and at spot the events of its accounts."""

    def __init__(
        self,
        path: str,
        routes: Mapping[str, Route],
        limits: BinanceRateLimits,
        errors: ApiErrors,
        event_rows: EventRows | None = None,
    ) -> None:
        """``routes``: by method; ``event_rows``: None where events have their own connections."""
        self.path = path
        self._routes = routes
        self._limits = limits
        self._errors = errors
        self._event_rows = event_rows
        self._streams = AccountStreams()
        self._methods: dict[str, Callable[[BinanceApiSession, ApiCall], object]] = {
            "session.logon": _log_on,
            "session.logout": _log_out,
            "session.status": _session_row,
        }
        if event_rows is not None:
            self._methods |= {
                "userDataStream.subscribe.signature": self._subscribe_signed,
                "userDataStream.subscribe": self._subscribe_logged_on,
                "userDataStream.unsubscribe": self._unsubscribe,
            }

    def open(self) -> BinanceApiSession:
        """The session of a new connection."""
        session = BinanceApiSession(messages_per_second_max=API_MESSAGES_PER_SECOND_MAX)
        session.when_closed.append(session.end_all)
        return session

    def answer(self, session: BinanceApiSession, text: str, market_view: MarketView) -> bytes:
        """The answer to one message."""
        try:
            message = _message.decode(text)
        except msgspec.DecodeError:
            error = error_row(ApiError(-1135, "Invalid JSON Request"))
            return msgspec.json.encode({"id": None, "status": 400, "error": error})
        parameters = {name: _text(value) for name, value in message.params.items()}
        call = ApiCall(parameters, market_view, self._errors, session.key)
        reply: Row = {"id": message.id, "status": 200}
        try:
            call = self._signed(session, message.method, call)
            reply["result"] = self._result(session, message.method, call)
        except (ApiError, OrderRejected) as error:
            found = self._errors.of(error)
            reply |= {"status": status_of(found), "error": error_row(found)}
        if parameters.get("returnRateLimits") != "false":
            reply["rateLimits"] = self._limits.used_rows(call.account, call.now_ns)
        return msgspec.json.encode(reply)

    def path_of(self, text: str) -> str:
        """``order.place`` for such a message; "" for one that is no call."""
        try:
            method = _message.decode(text).method
        except msgspec.DecodeError:
            return ""
        return method if method in self._routes else ""

    def failure_of(self, text: str) -> bytes:
        """An error inside the exchange: it is not known whether the order was accepted."""
        message = "Timeout waiting for response from backend server. Send status unknown; "
        error = {"code": -1007, "msg": message + "execution status unknown."}
        call_id = _message.decode(text).id
        return msgspec.json.encode({"id": call_id, "status": 500, "error": error})

    def _signed(self, session: BinanceApiSession, method: str, call: ApiCall) -> ApiCall:
        """After a logon a message needs no signature."""
        if method not in self._routes:
            return call
        if session.key is NO_KEY or "apiKey" in call.parameters:
            return call.signed_by(authenticate_message(call))
        check_time(call)
        return call

    def _result(self, session: BinanceApiSession, method: str, call: ApiCall) -> object:
        route = self._routes.get(method)
        if route is not None:
            self._limits.charge(route, call)
            return route.handle(call)
        self._limits.spend(OTHER_WEIGHT, call.now_ns)
        if method not in self._methods:
            raise ApiError(-1020, "This operation is not supported.")
        return self._methods[method](session, call)

    def _subscribe_signed(self, session: BinanceApiSession, call: ApiCall) -> Row:
        check_known(call.parameters, frozenset())
        return self._subscribe(session, call, authenticate_message(call))

    def _subscribe_logged_on(self, session: BinanceApiSession, call: ApiCall) -> Row:
        if session.key is NO_KEY:
            raise KEY_REJECTED
        return self._subscribe(session, call, session.key)

    def _subscribe(self, session: BinanceApiSession, call: ApiCall, key: ApiKey) -> Row:
        """``{"subscriptionId":0}``, and from now on the events of the account."""
        if any(account == key.account for account, _ in session.subscriptions.values()):
            raise ApiError(-2035, "User Data Stream subscription already active.")
        number, session.subscribed = session.subscribed, session.subscribed + 1
        event_rows = self._event_rows
        assert event_rows is not None

        def report(event: AccountEvent) -> None:
            for row in event_rows(event, call.market_view):
                frame = msgspec.json.encode({"subscriptionId": number, "event": row})
                session.report(self._streams.get(USER_STREAM, symbol_of(event)), frame)

        end = call.engine.listen(key.account, report)
        session.subscriptions[number] = (key.account, end)
        return {"subscriptionId": number}

    def _unsubscribe(self, session: BinanceApiSession, call: ApiCall) -> Row:
        wanted = call.text("subscriptionId")
        numbers = [one for one in session.subscriptions if wanted in ("", str(one))]
        if not numbers:
            raise ApiError(-2036, "User Data Stream subscription not active.")
        for number in numbers:
            session.subscriptions.pop(number)[1]()
            event = {"e": "eventStreamTerminated", "E": call.now_ms}
            frame = msgspec.json.encode({"subscriptionId": number, "event": event})
            session.report(self._streams.get(USER_STREAM), frame)
        return {}


def _log_on(session: BinanceApiSession, call: ApiCall) -> Row:
    key = authenticate_message(call)
    if not is_signed_by_ed25519(key, call):
        raise ApiError(-4056, "HMAC_SHA256 API key is not supported.")
    session.key, session.logged_on_ms = key, call.integer("timestamp")
    return _session_row(session, call)


def _log_out(session: BinanceApiSession, call: ApiCall) -> Row:
    session.key, session.logged_on_ms = NO_KEY, 0
    session.end_all()
    return _session_row(session, call)


def _session_row(session: BinanceApiSession, call: ApiCall) -> Row:
    logged_on_ms = session.logged_on_ms or None
    return {
        "apiKey": session.key.key or None,
        "authorizedSince": logged_on_ms,
        "connectedSince": logged_on_ms,
        "returnRateLimits": True,
        "serverTime": call.clock_ms,
        "userDataStream": bool(session.subscriptions),
    }


def _text(value: object) -> str:
    """A value as it is signed."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _result(result: object, call_id: int | str | None) -> bytes:
    return msgspec.json.encode({"result": result, "id": call_id})


def _error(message: str, call_id: int | str | None) -> bytes:
    return msgspec.json.encode({"error": {"code": 2, "msg": message}, "id": call_id})
