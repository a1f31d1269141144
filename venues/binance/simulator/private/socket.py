"""Binance's websocket API: calls over a connection, and what happens to an account told on it.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/websocket-api and
.../user-data-stream
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import MarketView, Session
from kit.simulator.exchange.streams import AccountStreams, symbol_of
from kit.simulator.matching.contract import AccountEvent, Key, MatchingEngine
from venues.binance.simulator.private.calls import PrivateCalls, Route
from venues.binance.simulator.private.keys import (
    Call,
    check_known,
    check_signature,
    check_time,
    is_ed25519,
    key_of,
    websocket_payload,
)
from venues.binance.simulator.rest import BinanceApiError

MESSAGES_PER_SECOND_MAX = 1_000
"""Only the limits of weight and orders are written down."""
USER = "user"
EventRows = Callable[[AccountEvent, MarketView], list[dict[str, object]]]


class Asked(msgspec.Struct):
    """``{"id":1,"method":"order.place","params":{}}``"""

    method: str = ""
    params: dict[str, Any] = {}
    id: int | str | None = None


_asked = msgspec.json.Decoder(Asked)


@dataclass(slots=True)
class ApiSession(Session):
    """A connection to the websocket API."""

    key: Key | None = None
    """Logged on with it."""
    logged_on_ms: int = 0
    hears: dict[int, tuple[str, Callable[[], None]]] = field(default_factory=dict)
    """By subscription: the account, and what ends it."""
    subscribed: int = 0


class WebsocketApi:
    """Answers what is said on such a connection."""

    def __init__(
        self,
        calls: PrivateCalls,
        routes: Mapping[str, Route],
        events: EventRows | None,
    ) -> None:
        """``routes``: by method; ``events``: None where accounts are told of elsewhere."""
        self._calls = calls
        self._routes = routes
        self._events = events
        self._streams = AccountStreams()

    def open(self) -> ApiSession:
        """A client has connected."""
        session = ApiSession(messages_per_second_max=MESSAGES_PER_SECOND_MAX)
        session.when_closed.append(lambda: _end_all(session))
        return session

    def answer(self, session: ApiSession, text: str, market_view: MarketView) -> bytes:
        """One request."""
        try:
            asked = _asked.decode(text)
        except msgspec.DecodeError:
            refusal = BinanceApiError(-1135, "Invalid JSON Request")
            return msgspec.json.encode({"id": None, "status": 400, "error": refusal.error})
        params = {name: _text(value) for name, value in asked.params.items()}
        account = session.key.account if session.key is not None else ""
        try:
            result, account = self._result(session, asked.method, params, market_view, account)
            said: dict[str, object] = {"id": asked.id, "status": 200, "result": result}
        except BinanceApiError as refusal:
            said = {"id": asked.id, "status": refusal.status, "error": refusal.error}
        if params.get("returnRateLimits") != "false":
            said["rateLimits"] = self._calls.usage.rows(account, market_view.time_ns())
        return msgspec.json.encode(said)

    def path_of(self, text: str) -> str:
        """The method, when it is one that does something."""
        try:
            method = _asked.decode(text).method
        except msgspec.DecodeError:
            return ""
        return method if method in self._routes else ""

    def failure_of(self, text: str) -> bytes:
        """The answer to a request whose fate nobody knows."""
        words = "Timeout waiting for response from backend server. Send status unknown; "
        error = {"code": -1007, "msg": words + "execution status unknown."}
        try:
            call_id = _asked.decode(text).id
        except msgspec.DecodeError:
            call_id = None
        return msgspec.json.encode({"id": call_id, "status": 500, "error": error})

    def _result(
        self,
        session: ApiSession,
        method: str,
        params: dict[str, str],
        market_view: MarketView,
        account: str,
    ) -> tuple[object, str]:
        """What a method gives, and of which account the limits are."""
        route = self._routes.get(method)
        self._calls.usage.spend(route.weight if route is not None else 2, market_view.time_ns())
        if method == "ping":
            return {}, account
        if method == "time":
            return {"serverTime": market_view.time_ns() // NANOSECONDS_PER_MILLISECOND}, account
        engine = market_view.engine
        if engine is None:
            raise BinanceApiError(-1016, "This service is no longer available.", 503)
        if route is not None:
            if route.signed:
                key = _authorised(session, engine, params, market_view)
            else:
                key = key_of(engine, params.get("apiKey", ""))
            call = Call(key, params, market_view, engine)
            return self._calls.run(route, call), call.account
        return self._session_result(session, method, params, market_view, engine), account

    def _session_result(
        self,
        session: ApiSession,
        method: str,
        params: dict[str, str],
        market_view: MarketView,
        engine: MatchingEngine,
    ) -> object:
        match method:
            case "session.logon":
                session.key = _logged_on(engine, params, market_view)
                session.logged_on_ms = int(params["timestamp"])
                return _session_row(session, market_view)
            case "session.logout":
                session.key, session.logged_on_ms = None, 0
                _end_all(session)
                return _session_row(session, market_view)
            case "session.status":
                return _session_row(session, market_view)
            case "userDataStream.subscribe.signature" if self._events:
                check_known(params, frozenset())
                return self._subscribe(
                    session, _signed(engine, params, market_view), market_view, engine
                )
            case "userDataStream.subscribe" if self._events:
                if session.key is None:
                    raise BinanceApiError(
                        -2015, "Invalid API-key, IP, or permissions for action.", 401
                    )
                return self._subscribe(session, session.key, market_view, engine)
            case "userDataStream.unsubscribe" if self._events:
                return self._unsubscribe(session, params.get("subscriptionId", ""), market_view)
            case "session.subscriptions" if self._events:
                return [{"subscriptionId": number} for number in session.hears]
        raise BinanceApiError(-1020, "This operation is not supported.")

    def _subscribe(
        self, session: ApiSession, key: Key, market_view: MarketView, engine: MatchingEngine
    ) -> object:
        if any(account == key.account for account, _ in session.hears.values()):
            raise BinanceApiError(-2035, "User Data Stream subscription already active.")
        number, session.subscribed = session.subscribed, session.subscribed + 1

        def hear(event: AccountEvent) -> None:
            for row in self._events(event, market_view) if self._events is not None else ():
                told = {"subscriptionId": number, "event": row}
                session.report(self._streams.get(USER, symbol_of(event)), msgspec.json.encode(told))

        session.hears[number] = (key.account, engine.listen(key.account, hear))
        return {"subscriptionId": number}

    def _unsubscribe(self, session: ApiSession, wanted: str, market_view: MarketView) -> object:
        numbers = [one for one in session.hears if wanted in ("", str(one))]
        if not numbers:
            raise BinanceApiError(-2036, "User Data Stream subscription not active.")
        for number in numbers:
            session.hears.pop(number)[1]()
            now_ms = market_view.time_ns() // NANOSECONDS_PER_MILLISECOND
            event = {"e": "eventStreamTerminated", "E": now_ms}
            told = {"subscriptionId": number, "event": event}
            session.report(self._streams.get(USER), msgspec.json.encode(told))
        return {}


def _signed(engine: MatchingEngine, params: Mapping[str, str], market_view: MarketView) -> Key:
    """The key that a request is signed with. Raises Refusal."""
    key = key_of(engine, params.get("apiKey", ""))
    check_time(params, market_view.time_ns() // NANOSECONDS_PER_MILLISECOND)
    check_signature(key, websocket_payload(params), params)
    return key


def _authorised(
    session: ApiSession, engine: MatchingEngine, params: Mapping[str, str], market_view: MarketView
) -> Key:
    """After a logon a request needs no signature."""
    if session.key is None or "apiKey" in params:
        return _signed(engine, params, market_view)
    check_time(params, market_view.time_ns() // NANOSECONDS_PER_MILLISECOND)
    return session.key


def _logged_on(engine: MatchingEngine, params: Mapping[str, str], market_view: MarketView) -> Key:
    key = _signed(engine, params, market_view)
    if not is_ed25519(key, websocket_payload(params), params["signature"]):
        raise BinanceApiError(-4056, "HMAC_SHA256 API key is not supported.")
    return key


def _session_row(session: ApiSession, market_view: MarketView) -> dict[str, object]:
    logged_on_ms = session.logged_on_ms or None
    return {
        "apiKey": session.key.key if session.key is not None else None,
        "authorizedSince": logged_on_ms,
        "connectedSince": logged_on_ms,
        "returnRateLimits": True,
        "serverTime": market_view.time_ns() // NANOSECONDS_PER_MILLISECOND,
        "userDataStream": bool(session.hears),
    }


def _end_all(session: ApiSession) -> None:
    while session.hears:
        session.hears.popitem()[1][1]()


def _text(value: object) -> str:
    """As it is signed."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
