"""The events of an account: the user data streams of spot and USD-M futures.

Documentation: https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream and
https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, WebsocketSession
from kit.simulator.exchange.rest import ApiCall, ApiError, Route
from kit.simulator.exchange.streams import AccountStreams, symbol_of
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    BalanceView,
    MatchingEngine,
    OrderChanged,
    OrderEventCause,
    OrderStatus,
    OrderView,
    PositionChanged,
    PositionView,
    RejectCode,
)
from venues.binance.simulator.capture import combined
from venues.binance.simulator.rows import (
    IN_MATCH,
    ZERO,
    algo_row,
    futures_order_row,
    is_conditional,
    is_order,
    milliseconds,
    order_row,
    order_status,
    padded_number,
    plain_number,
    type_in_book,
)

USER_STREAM = "user"
LISTEN_KEY_LIFETIME_NS = 3_600 * NANOSECONDS_PER_SECOND
NO_TRADE = -1
EXECUTIONS: Mapping[OrderEventCause, str] = {
    OrderEventCause.NEW: "NEW",
    OrderEventCause.TRIGGERED: "NEW",
    OrderEventCause.AMENDED: "REPLACED",
    OrderEventCause.FILLED: "TRADE",
    OrderEventCause.CANCELLED: "CANCELED",
    OrderEventCause.EXPIRED: "EXPIRED",
    OrderEventCause.REJECTED: "REJECTED",
}
EXECUTION_REPORT = {
    "s": "symbol", "S": "side", "o": "type", "f": "timeInForce", "q": "origQty", "p": "price",
    "P": "stopPrice", "F": "icebergQty", "g": "orderListId", "X": "status", "i": "orderId",
    "z": "executedQty", "O": "time", "Z": "cummulativeQuoteQty", "Q": "origQuoteOrderQty",
    "V": "selfTradePreventionMode",
}  # fmt: skip
"""By the name of a member in an event, its name in a row of REST."""
ORDER_UPDATE = {
    "s": "symbol", "c": "clientOrderId", "S": "side", "o": "type", "f": "timeInForce",
    "q": "origQty", "p": "price", "ap": "avgPrice", "sp": "stopPrice", "X": "status",
    "i": "orderId", "z": "executedQty", "R": "reduceOnly", "wt": "workingType", "ot": "origType",
    "ps": "positionSide", "cp": "closePosition", "pP": "priceProtect", "pm": "priceMatch",
    "V": "selfTradePreventionMode", "gtd": "goodTillDate",
}  # fmt: skip
ALGO_UPDATE = {
    "caid": "clientAlgoId", "aid": "algoId", "at": "algoType", "o": "orderType", "s": "symbol",
    "S": "side", "ps": "positionSide", "f": "timeInForce", "q": "quantity", "X": "algoStatus",
    "ai": "actualOrderId", "ap": "actualPrice", "tp": "triggerPrice", "p": "price",
    "wt": "workingType", "pm": "priceMatch", "cp": "closePosition", "pP": "priceProtect",
    "R": "reduceOnly", "tt": "triggerTime", "gtd": "goodTillDate", "V": "selfTradePreventionMode",
}  # fmt: skip
REASONS: Mapping[str, str] = {"funding": "FUNDING_FEE", "deposit": "DEPOSIT"}
"""Reasons of account updates; all others are ORDER."""
Row = dict[str, object]
EventRows = Callable[[AccountEvent, MarketView], list[Row]]


def spot_event_rows(cancel_id: Callable[[], str]) -> EventRows:
    """The events of spot. ``cancel_id`` is the client id of the cancel that is being done."""

    def rows(event: AccountEvent, market_view: MarketView) -> list[Row]:
        now_ms = milliseconds(market_view.time_ns())
        if isinstance(event, OrderChanged):
            return [execution_report(event, cancel_id(), now_ms)]
        if isinstance(event, BalanceChanged):
            return [account_position(event.balance, now_ms)]
        return []

    return rows


def futures_event_rows(event: AccountEvent, market_view: MarketView) -> list[Row]:
    """The events of futures. A balance whose locked part alone has changed is not reported."""
    now_ms = milliseconds(market_view.time_ns())
    if isinstance(event, BalanceChanged):
        return [balance_update(event, now_ms)] if event.why != "order" else []
    if isinstance(event, PositionChanged):
        return [position_update(event.position, event.why, now_ms)]
    order, rows = event.order, []
    if is_order(order):
        rows.append(order_update(event, now_ms))
    triggers = event.cause is OrderEventCause.TRIGGERED or not is_order(order)
    if is_conditional(order) and (triggers or order.is_final):
        rows.append(algo_update(order, now_ms))
    return rows


def execution_report(event: OrderChanged, cancel_id: str, now_ms: int) -> Row:
    """``{"e":"executionReport",…}``. For a cancel, "c" is the id of the cancel, and "C"
    the id of the order."""
    order, fill, ticket = event.order, event.fill, event.order.ticket
    cancelled = event.cause is OrderEventCause.CANCELLED and bool(cancel_id)
    price, size = (fill.price, fill.size) if fill is not None else (ZERO, ZERO)
    report: Row = _renamed(order_row(order), EXECUTION_REPORT) | {
        "e": "executionReport",
        "E": now_ms,
        "c": cancel_id if cancelled else ticket.client_order_id,
        "C": ticket.client_order_id if cancelled else "",
        "x": "TRADE_PREVENTION" if order_status(order) == IN_MATCH else EXECUTIONS[event.cause],
        "r": "NONE" if order.status is not OrderStatus.REJECTED else _reject_reason(order),
        "l": padded_number(size),
        "L": padded_number(price),
        "n": padded_number(fill.fee) if fill is not None else "0",
        "N": fill.fee_asset if fill is not None else None,
        "T": milliseconds(order.updated_ns if fill is None else fill.time_ns),
        "t": NO_TRADE if fill is None else fill.trade_id,
        "v": NO_TRADE,
        "I": order.order_id,
        "w": order.status in (OrderStatus.OPEN, OrderStatus.PARTLY_FILLED),
        "m": fill is not None and fill.is_maker,
        "M": fill is not None,
        "Y": padded_number(price * size),
    }
    if order.status is not OrderStatus.UNTRIGGERED:
        report["W"] = milliseconds(order.created_ns)
    return report


def account_position(balance: BalanceView, now_ms: int) -> Row:
    """``{"e":"outboundAccountPosition","E","u","B":[{"a":asset,"f":free,"l":locked}]}``"""
    row = {"a": balance.asset, "f": padded_number(balance.free), "l": padded_number(balance.locked)}
    return {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": [row]}


def order_update(event: OrderChanged, now_ms: int) -> Row:
    """``{"e":"ORDER_TRADE_UPDATE","E","T","o":{…}}``"""
    order, fill = event.order, event.fill
    time_ms = milliseconds(order.updated_ns if fill is None else fill.time_ns)
    execution = "AMENDMENT" if event.cause is OrderEventCause.AMENDED else EXECUTIONS[event.cause]
    row = _renamed(futures_order_row(order), ORDER_UPDATE) | {
        "x": "EXPIRED" if order_status(order) == IN_MATCH else execution,
        "l": plain_number(fill.size if fill is not None else ZERO),
        "L": plain_number(fill.price if fill is not None else ZERO),
        "T": time_ms,
        "t": fill.trade_id if fill is not None else 0,
        "m": fill is not None and fill.is_maker,
        **dict.fromkeys(("a", "b", "rp"), "0"),
        **dict.fromkeys(("si", "ss"), 0),
    }
    if fill is not None:
        row |= {"n": plain_number(fill.fee), "N": fill.fee_asset}
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": time_ms, "o": row}


def algo_update(order: OrderView, now_ms: int) -> Row:
    """``{"e":"ALGO_UPDATE","E","T","o":{…}}``"""
    row = _renamed(algo_row(order), ALGO_UPDATE) | {
        "aq": plain_number(order.filled),
        "act": type_in_book(order.ticket) if is_order(order) else "0",
        "rm": "",
    }
    time_ms = milliseconds(order.updated_ns)
    return {"e": "ALGO_UPDATE", "T": time_ms, "E": now_ms, "o": row}


def balance_update(event: BalanceChanged, now_ms: int) -> Row:
    """``{"e":"ACCOUNT_UPDATE",…}`` of one asset."""
    total = plain_number(event.balance.total)
    row = {"a": event.balance.asset, "wb": total, "cw": total, "bc": "0"}
    return _account_update(event.why, now_ms, B=[row], P=[])


def position_update(position: PositionView, why: str, now_ms: int) -> Row:
    """``{"e":"ACCOUNT_UPDATE",…}`` of one position."""
    entry_price = plain_number(position.entry_price)
    row = {
        "s": position.symbol,
        "pa": plain_number(position.size),
        "ep": entry_price,
        "bep": entry_price,
        "cr": plain_number(position.realized),
        "up": plain_number(position.unrealized),
        "mt": "cross",
        "iw": "0",
        "ps": "BOTH",
        "ma": "USDT",
    }
    return _account_update(why, now_ms, B=[], P=[row])


def _account_update(why: str, now_ms: int, **changes: list[dict[str, str]]) -> Row:
    reason = {"m": REASONS.get(why, "ORDER")}
    return {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms, "a": {**reason, **changes}}


@dataclass(slots=True)
class ListenKey:
    """A key for the stream of one account, until it expires."""

    name: str
    account: str
    engine: MatchingEngine
    market_view: MarketView
    expires_ns: int


class ListenKeyRegistry:
    """The listen keys of a market; each account has at most one."""

    def __init__(self, rows: EventRows) -> None:
        self._rows = rows
        self._by_account: dict[str, ListenKey] = {}
        self._made = 0
        self._streams = AccountStreams()
        self._listeners: dict[int, tuple[ListenKey, Callable[[], None]]] = {}
        """By the identity of the session."""

    def routes(self) -> dict[str, Route]:
        """The calls about listen keys."""
        path = "/fapi/v1/listenKey"
        return {
            f"POST {path}": Route(self._start, signed=True),
            f"PUT {path}": Route(self._keep, signed=True),
        }

    def _start(self, call: ApiCall) -> Row:
        """``{"listenKey":…}``: a new one, or the one that there is, for another hour."""
        found = self._valid(call)
        if found is None:
            self._made += 1
            name = hashlib.sha256(f"{call.account}/{self._made}".encode()).hexdigest()
            found = ListenKey(name, call.account, call.engine, call.market_view, 0)
            self._by_account[call.account] = found
        found.expires_ns = call.now_ns + LISTEN_KEY_LIFETIME_NS
        return {"listenKey": found.name}

    def _keep(self, call: ApiCall) -> Row:
        if self._valid(call) is None:
            raise ApiError(-1125, "This listenKey does not exist.")
        return self._start(call)

    def attach(self, session: WebsocketSession, name: str) -> None:
        """Report the account's events to a connection. With an unknown key it receives none."""
        found = next((one for one in self._by_account.values() if one.name == name), None)
        if found is None:
            return
        listen_key = found

        def report(event: AccountEvent) -> None:
            stream = self._streams.get(USER_STREAM, symbol_of(event))
            for row in self._rows(event, listen_key.market_view):
                session.report(stream, combined(name, msgspec.json.encode(row)))

        number = id(session)
        self._listeners[number] = (listen_key, listen_key.engine.listen(listen_key.account, report))
        session.when_closed.append(lambda: self._leave(number))

    def tick(self, session: WebsocketSession, market_view: MarketView) -> list[bytes]:
        """Report to a connection that its key has expired; it receives no more events."""
        listen_key, _ = self._listeners.get(id(session), (None, None))
        if listen_key is None or market_view.time_ns() < listen_key.expires_ns:
            return []
        self._leave(id(session))
        now_ms = milliseconds(market_view.time_ns())
        row = {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen_key.name}
        frame = combined(listen_key.name, msgspec.json.encode(row))
        session.report(self._streams.get(USER_STREAM), frame)
        if self._by_account.get(listen_key.account) is listen_key:
            del self._by_account[listen_key.account]
        return []

    def _valid(self, call: ApiCall) -> ListenKey | None:
        found = self._by_account.get(call.account)
        return found if found and call.now_ns < found.expires_ns else None

    def _leave(self, number: int) -> None:
        found = self._listeners.pop(number, None)
        if found is not None:
            found[1]()


def _renamed(row: Row, names: Mapping[str, str]) -> Row:
    return {short: row[name] for short, name in names.items()}


def _reject_reason(order: OrderView) -> str:
    return "INSUFFICIENT_BALANCES" if order.why is RejectCode.FUNDS else "UNKNOWN_ERROR"
