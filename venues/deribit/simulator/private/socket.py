"""Deribit's websocket of an account: who is signed in, what is told, what a lost connection means.

Documentation: https://docs.deribit.com/subscriptions/orders/userordersinstrument_nameraw and its
neighbours. A channel begins with silence: what there was before is asked for.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from kit.simulator.dialect import MarketView, Session
from kit.simulator.exchange.market import known_listings
from kit.simulator.exchange.streams import AccountStreams
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    Cause,
    Key,
    MatchingEngine,
    OrderChanged,
    OrderRejected,
    PositionChanged,
)
from venues.deribit.simulator.private.keys import Gate, engine_of, unauthorized
from venues.deribit.simulator.private.rest import Call, perform, portfolios
from venues.deribit.simulator.private.rows import (
    Row,
    order_row,
    position_row,
    trade_row,
    triggered_row,
)
from venues.deribit.simulator.rest import wrong

SYMBOL = r"[A-Za-z0-9_]+(?:-[A-Za-z0-9]+)+"
NAME = re.compile(
    rf"user\.(?P<topic>orders|trades|changes)\."
    rf"(?:(?P<symbol>{SYMBOL})|(?P<kind>any|future|option|spot)\.(?P<currency>[A-Za-z]+))"
    rf"\.(?P<interval>raw|100ms)"
    rf"|user\.portfolio\.(?P<portfolio>[A-Za-z]+)"
)
CONNECTION, ACCOUNT = "connection", "account"


class _Call(msgspec.Struct):
    params: dict[str, msgspec.Raw] = {}


_call = msgspec.json.Decoder(_Call)
_channels = msgspec.json.Decoder(list[str])
_text = msgspec.json.Decoder(str)
_streams = AccountStreams()


@dataclass(slots=True)
class Member:
    """Who is signed in at a connection."""

    key: Key | None = None
    hears: bool = False
    """Whether the engine reports events to the connection."""
    cancels: bool = False
    """Whether what it has placed ends with it."""
    watched: bool = False
    placed: set[int] = field(default_factory=set)


class AccountSessions:
    """What Deribit remembers of its accounts' connections."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._cancelling: set[str] = set()
        """Accounts whose new connections cancel their orders when they end."""

    async def perform(
        self, session: Session, member: Member, method: str, text: str, market_view: MarketView
    ) -> object:
        """``public/auth`` or a private method. Raises Refusal."""
        parameters, lists = _parameters(text)
        if method == "public/auth":
            key, result = self._gate.sign_in(parameters, market_view, connection=True)
            if member.key is not None and member.key.account != key.account:
                raise unauthorized("other_account")
            member.key = key
            member.cancels = member.cancels or key.account in self._cancelling
            return result
        token = parameters.get("access_token")
        key_used = member.key if token is None else self._gate.key_of_token(token, market_view)
        if key_used is None:
            raise unauthorized()
        if method in ("private/subscribe", "private/unsubscribe"):
            names = lists.get("channels")
            if names is None:
                raise wrong("channels", "must be a list of names")
            if method == "private/subscribe":
                return _subscribe(session, member, key_used, names, market_view)
            return [name for name in names if session.streams.pop(name, None) is not None]
        if method == "private/unsubscribe_all":
            session.streams.clear()
            return "ok"
        if method.endswith("cancel_on_disconnect"):
            return self._cancel_on_disconnect(method, parameters, member, key_used)
        _watch(session, member, key_used.account, engine_of(market_view))
        call = Call(parameters, market_view, engine_of(market_view), key_used, member.placed)
        return await perform(method, call)

    def _cancel_on_disconnect(
        self, method: str, parameters: Mapping[str, str], member: Member, key: Key
    ) -> object:
        scope = parameters.get("scope", CONNECTION)
        if scope not in (CONNECTION, ACCOUNT):
            raise wrong("scope", "must be connection or account")
        if method.startswith("private/get_"):
            on = member.cancels if scope == CONNECTION else key.account in self._cancelling
            return {"scope": scope, "enabled": on}
        on = method.startswith("private/enable_")
        member.cancels = on
        if scope == ACCOUNT and on:
            self._cancelling.add(key.account)
        elif scope == ACCOUNT:
            self._cancelling.discard(key.account)
        return "ok"


def _watch(session: Session, member: Member, account: str, engine: MatchingEngine) -> None:
    """When the connection ends, so do its orders, if that is wanted then."""
    if member.watched:
        return
    member.watched = True

    def ended() -> None:
        for number in sorted(member.placed) if member.cancels else ():
            try:
                engine.cancel(account, number)
            except OrderRejected:
                continue

    session.when_closed.append(ended)


def _subscribe(
    session: Session, member: Member, key: Key, names: Sequence[str], market_view: MarketView
) -> list[str]:
    """What is wrong is left out of the answer without a word."""
    accepted = [name for name in dict.fromkeys(names) if NAME.fullmatch(name)]
    session.streams.update({name: _streams.get(name) for name in accepted})
    if accepted and not member.hears:
        member.hears = True
        teller = _Teller(session, key.account, market_view)
        session.when_closed.append(engine_of(market_view).listen(key.account, teller.hear))
    return accepted


@dataclass(frozen=True, slots=True)
class _Teller:
    """Puts what happens to an account into Deribit's words, for one connection."""

    session: Session
    account: str
    market_view: MarketView

    def hear(self, event: AccountEvent) -> None:
        """An order comes before its trade."""
        if isinstance(event, OrderChanged):
            self._order(event)
        elif isinstance(event, BalanceChanged):
            self._portfolio(event.balance.asset)
        elif isinstance(event, PositionChanged):
            self._position(event)

    def _order(self, event: OrderChanged) -> None:
        listing = known_listings(self.market_view)[event.order.ticket.symbol]
        symbol, fill = listing.symbol, event.fill
        row = order_row(event.order, listing)
        if event.cause is Cause.TRIGGERED:
            stop = triggered_row(event.order, listing)
            for name, found in self._wanted(symbol, "orders"):
                self._tell(name, [stop] if found["interval"] == "100ms" else stop)
        for name, found in self._wanted(symbol, "orders"):
            self._tell(name, [row] if found["interval"] == "100ms" else row)
        trades = [] if fill is None else [trade_row(fill, listing, self.market_view)]
        if trades:
            for name, _ in self._wanted(symbol, "trades"):
                self._tell(name, trades)
        changes = {"instrument_name": symbol, "orders": [row], "trades": trades, "positions": []}
        for name, _ in self._wanted(symbol, "changes"):
            self._tell(name, changes)

    def _position(self, event: PositionChanged) -> None:
        listing = known_listings(self.market_view)[event.position.symbol]
        row = position_row(event.position, listing, self.market_view)
        nothing: dict[str, list[Row]] = {"orders": [], "trades": []}
        for name, _ in self._wanted(listing.symbol, "changes"):
            changes = {"instrument_name": listing.symbol, **nothing, "positions": [row]}
            self._tell(name, changes)
        self._portfolio(listing.settle)

    def _portfolio(self, asset: str) -> None:
        for name in list(self.session.streams):
            found = NAME.fullmatch(name)
            if found is None or (found["portfolio"] or "").upper() not in ("ANY", asset):
                continue
            for row in portfolios(engine_of(self.market_view), self.account, self.market_view):
                if row["currency"] == asset:
                    self._tell(name, row)

    def _wanted(self, symbol: str, topic: str) -> Iterator[tuple[str, re.Match[str]]]:
        """The channels that hear of an instrument."""
        settle = known_listings(self.market_view)[symbol].settle
        for name in list(self.session.streams):
            found = NAME.fullmatch(name)
            if found is None or found["topic"] != topic:
                continue
            of_kind = found["kind"] in ("any", "future")
            of_currency = (found["currency"] or "").upper() in ("ANY", settle)
            if found["symbol"] == symbol or (of_kind and of_currency):
                yield name, found

    def _tell(self, name: str, data: object) -> None:
        frame = {
            "jsonrpc": "2.0",
            "method": "subscription",
            "params": {"channel": name, "data": data},
        }
        self.session.tell(_streams.get(name), msgspec.json.encode(frame))


def _parameters(text: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Numbers as they are written, and the lists of texts."""
    texts: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for name, raw in _call.decode(text).params.items():
        said = bytes(raw)
        if said.startswith(b'"'):
            texts[name] = _text.decode(said)
        elif said.startswith(b"["):
            try:
                lists[name] = _channels.decode(said)
            except msgspec.DecodeError:
                raise wrong(name, "must be a list of names") from None
        elif said != b"null":
            texts[name] = said.decode()
    return texts, lists
