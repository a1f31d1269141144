"""OKX's private websocket: log in, hear of an account, place orders.

Documentation: https://www.okx.com/docs-v5/en/#overview-websocket-login,
#trading-account-websocket and #order-book-trading-trade-ws-place-order
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kit.simulator.dialect import MarketView, Session
from kit.simulator.exchange.orders import fills_of
from kit.simulator.exchange.streams import AccountStreams, symbol_of
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    Cause,
    MatchingRules,
    OrderChanged,
    PositionChanged,
)
from kit.simulator.texts import plain
from venues.okx.simulator.listings import TYPES
from venues.okx.simulator.private import rows as words
from venues.okx.simulator.private.keys import Asker, Denied, logged_on, texts_of
from venues.okx.simulator.private.orders import Orders
from venues.okx.simulator.private.rest import PrivateRest, balances

CONNECTION = "a4d3ae56"
CHANNELS: Mapping[str, str] = {
    "account": "private",
    "positions": "private",
    "orders": "private",
    "balance_and_position": "private",
    "orders-algo": "business",
}
"""The address of each channel."""
OPERATIONS = frozenset(
    {
        "order",
        "batch-orders",
        "cancel-order",
        "batch-cancel-orders",
        "amend-order",
        "batch-amend-orders",
    }
)
REPEATED_S = 5
"""Account and positions are told again this often."""
MESSAGES_PER_SECOND_MAX = 1_000
TIMEOUT = (
    "Endpoint request timeout (does not mean that the request was successful or failed, please "
    "check the request result)."
)


class Said(msgspec.Struct):
    """``{"id":"1","op":"login","args":[{}]}``"""

    op: str = ""
    args: list[dict[str, Any]] = []
    id: str | None = None


_said = msgspec.json.Decoder(Said)


@dataclass(slots=True)
class Private:
    """What a connection has that is logged in."""

    asker: Asker | None = None
    arguments: dict[str, dict[str, str]] = field(default_factory=dict)
    """What it is subscribed to, by the argument's own text."""
    seconds: int = 0
    """Since it was subscribed to."""


class PrivateSocket:
    """Answers what is said on such connections."""

    def __init__(self, rules: MatchingRules, orders: Orders, rest: PrivateRest) -> None:
        self._rules = rules
        self._orders = orders
        self._rest = rest
        self._streams = AccountStreams()

    def receive(
        self, session: Session, private: Private, access: str, text: str, market_view: MarketView
    ) -> list[bytes] | None:
        """None: this is nothing private."""
        try:
            said = _said.decode(text)
        except msgspec.DecodeError:
            return None
        if said.op == "login":
            return [self._log_in(session, private, said, market_view)]
        if said.op in OPERATIONS and access == "private":
            return [self._operate(private, said)]
        ours = [one for one in said.args if CHANNELS.get(str(one.get("channel"))) == access]
        if not ours or len(ours) != len(said.args):
            return None
        if private.asker is None:
            return [_event("error", said.id, code="60011", msg="Please log in")]
        change = {"subscribe": self._subscribe, "unsubscribe": self._unsubscribe}.get(said.op)
        if change is None:
            return None
        return [answer for one in ours for answer in change(session, private, one, said.id)]

    def tick(self, private: Private) -> list[bytes]:
        """Account and positions are told again from time to time."""
        if private.asker is None or not private.arguments:
            return []
        private.seconds += 1
        if private.seconds % REPEATED_S:
            return []
        found = private.arguments.values()
        return [
            told
            for one in found
            for told in self._whole(private.asker, one, "event_update")
            if one["channel"] != "balance_and_position"
        ]

    def path_of(self, text: str) -> str:
        """The operation, when it is one of orders."""
        try:
            operation = _said.decode(text).op
        except msgspec.DecodeError:
            return ""
        return operation if operation in OPERATIONS else ""

    def failure_of(self, text: str) -> bytes:
        """The answer to an operation whose fate nobody knows."""
        said = _said.decode(text)
        head = {"id": said.id, "op": said.op, "code": "50004", "msg": TIMEOUT}
        return msgspec.json.encode({**head, "data": []})

    def _log_in(
        self, session: Session, private: Private, said: Said, market_view: MarketView
    ) -> bytes:
        """Once is enough."""
        try:
            asker = logged_on(said.args[0] if said.args else {}, market_view)
        except Denied as denied:
            return _event("error", said.id, code=denied.code, msg=str(denied))
        done = _event("login", said.id, code="0", msg="")
        if private.asker is not None:
            return done
        private.asker = asker
        session.streams["login"] = self._streams.get("login")

        def hear(event: AccountEvent) -> None:
            for argument in private.arguments.values():
                stream = self._streams.get(argument["channel"], symbol_of(event))
                for rows in self._rows(asker, argument, event):
                    session.report(stream, _push(argument, rows))

        session.when_closed.append(asker.engine.listen(asker.account, hear))
        return done

    def _operate(self, private: Private, said: Said) -> bytes:
        """An instrument is named by its instIdCode alone."""
        head = {"id": said.id, "op": said.op}
        if private.asker is None:
            denied = {"code": "60011", "msg": "Please log in"}
            return msgspec.json.encode({**head, **denied, "data": []})
        asker = private.asker
        items = [_with_name(asker, texts_of(one)) for one in said.args]
        outcome = self._orders.run(asker, said.op, items)
        times = {"inTime": f"{asker.now_ms}000", "outTime": f"{asker.now_ms}001"}
        return msgspec.json.encode(head | outcome.told() | times)

    def _subscribe(
        self, session: Session, private: Private, one: Mapping[str, Any], call_id: str | None
    ) -> Sequence[bytes]:
        argument = texts_of(one)
        name = msgspec.json.encode(argument).decode()
        private.arguments[name] = argument
        session.streams[name] = self._streams.get(argument["channel"], argument.get("instId", ""))
        confirmed = _event("subscribe", call_id, arg=argument)
        assert private.asker is not None
        return [confirmed, *self._whole(private.asker, argument, "snapshot")]

    def _unsubscribe(
        self, session: Session, private: Private, one: Mapping[str, Any], call_id: str | None
    ) -> Sequence[bytes]:
        argument = texts_of(one)
        name = msgspec.json.encode(argument).decode()
        private.arguments.pop(name, None)
        session.streams.pop(name, None)
        return [_event("unsubscribe", call_id, arg=argument)]

    def _whole(self, asker: Asker, argument: Mapping[str, str], why: str) -> list[bytes]:
        """All that there is to say now. Orders have no snapshot."""
        if argument["channel"] == "account":
            return [_push(argument, balances(asker, argument), eventType=why)]
        if argument["channel"] == "positions":
            wanted = dict(argument)
            if wanted.get("instType") == "ANY":
                del wanted["instType"]
            return [_push(argument, self._rest.positions(asker, wanted), eventType=why)]
        return []

    def _rows(
        self, asker: Asker, argument: Mapping[str, str], event: AccountEvent
    ) -> list[list[object]]:
        """What a subscription is told of an event: nothing, or one push."""
        channel = argument["channel"]
        if isinstance(event, BalanceChanged) and channel == "account":
            asset = event.balance.asset
            if argument.get("ccy", asset) == asset:
                return [list(balances(asker, {"ccy": asset}))]
        if isinstance(event, PositionChanged) and channel == "positions":
            position, listing = event.position, asker.listing(event.position.symbol)
            if listing is not None and _wanted(argument, TYPES[listing.kind], listing.symbol):
                return [[words.position_row(position, listing, self._rules, asker.now_ms)]]
        if isinstance(event, OrderChanged) and channel in ("orders", "orders-algo"):
            return self._order_rows(asker, argument, event)
        return []

    def _order_rows(
        self, asker: Asker, argument: Mapping[str, str], event: OrderChanged
    ) -> list[list[object]]:
        order, fill = event.order, event.fill
        listing = asker.listing(order.ticket.symbol)
        if listing is None or not _wanted(argument, TYPES[listing.kind], listing.symbol):
            return []
        if argument["channel"] == "orders-algo":
            speaks = event.cause is Cause.TRIGGERED or not words.is_order(order)
            told = words.is_conditional(order) and speaks
            form = self._orders.form_of(order)
            return [[words.algo_row(order, listing, form)]] if told else []
        if not words.is_order(order):
            return []
        fills = fills_of(order, asker.engine)
        if fill is not None and all(one.trade_id != fill.trade_id for one in fills):
            fills.append(fill)
        row: dict[str, object] = dict(words.order_row(order, listing, fills))
        row |= {
            "fillFee": plain(-fill.fee) if fill is not None else "0",
            "fillFeeCcy": fill.fee_asset if fill is not None else "",
            "execType": ("M" if fill.is_maker else "T") if fill is not None else "",
            "amendResult": "0" if event.cause is Cause.AMENDED else "",
            "reqId": self._orders.request_id,
            "code": "0",
            "msg": "",
        }
        if fill is None:
            row |= {"fillPx": "", "fillSz": "0", "fillTime": "", "tradeId": ""}
        return [[row]]


def _with_name(asker: Asker, item: dict[str, str]) -> dict[str, str]:
    """With the instId that its instIdCode means; the name itself is not read."""
    listing = asker.listing_of_code(item.get("instIdCode", ""))
    if "instIdCode" not in item:
        return item | {"instId": ""}
    return item | {"instId": "unknown" if listing is None else listing.symbol}


def _wanted(argument: Mapping[str, str], kind: str, symbol: str) -> bool:
    return argument.get("instType", "ANY") in ("ANY", kind) and argument.get("instId", symbol) in (
        "",
        symbol,
    )


def _push(argument: Mapping[str, str], rows: Any, **more: object) -> bytes:
    pages = {"curPage": 1, "lastPage": True} if more else {}
    return msgspec.json.encode({"arg": argument, **more, **pages, "data": list(rows)})


def _event(event: str, call_id: str | None, **rest: Any) -> bytes:
    named = {} if call_id is None else {"id": call_id}
    return msgspec.json.encode({**named, "event": event, **rest, "connId": CONNECTION})
