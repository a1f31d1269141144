"""Listen keys: how USD-M futures let a connection hear of an account.

Documentation: https://developers.binance.com/docs/derivatives/usds-margined-futures, there
user-data-streams.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, Session
from kit.simulator.exchange.streams import AccountStreams, symbol_of
from kit.simulator.matching.contract import AccountEvent, MatchingEngine
from venues.binance.simulator.capture import combined
from venues.binance.simulator.private.keys import Call
from venues.binance.simulator.private.socket import USER, EventRows
from venues.binance.simulator.private.spot_rows import milliseconds
from venues.binance.simulator.rest import BinanceApiError

LIFETIME_NS = 3_600 * NANOSECONDS_PER_SECOND


@dataclass(slots=True)
class ListenKey:
    """Good for one account, until it expires."""

    name: str
    account: str
    engine: MatchingEngine
    market_view: MarketView
    expires_ns: int


class ListenKeys:
    """Those of one market; each account has at most one."""

    def __init__(self, rows: EventRows) -> None:
        self._rows = rows
        self._by_account: dict[str, ListenKey] = {}
        self._made = 0
        self._streams = AccountStreams()
        self._hearers: dict[int, tuple[ListenKey, Callable[[], None]]] = {}
        """By the identity of the session."""

    def start(self, call: Call) -> object:
        """``{"listenKey":…}``: a new one, or that which there is, good for another hour."""
        found = self._living(call)
        if found is None:
            self._made += 1
            name = hashlib.sha256(f"{call.account}/{self._made}".encode()).hexdigest()
            found = ListenKey(name, call.account, call.engine, call.market_view, 0)
            self._by_account[call.account] = found
        found.expires_ns = call.market_view.time_ns() + LIFETIME_NS
        return {"listenKey": found.name}

    def keep(self, call: Call) -> object:
        """It is good for another hour."""
        if self._living(call) is None:
            raise BinanceApiError(-1125, "This listenKey does not exist.")
        return self.start(call)

    def stop(self, call: Call) -> object:
        """It ends, and with it what is heard."""
        found = self._by_account.pop(call.account, None)
        if found is not None:
            found.expires_ns = 0
            for number, (listen_key, end) in list(self._hearers.items()):
                if listen_key is found:
                    end()
                    del self._hearers[number]
        return {}

    def attach(self, session: Session, name: str) -> None:
        """A connection has come with a listen key. With one that is unknown it hears nothing."""
        found = next((one for one in self._by_account.values() if one.name == name), None)
        if found is None:
            return
        listen_key = found

        def hear(event: AccountEvent) -> None:
            stream = self._streams.get(USER, symbol_of(event))
            for row in self._rows(event, listen_key.market_view):
                session.report(stream, combined(name, msgspec.json.encode(row)))

        number = id(session)
        self._hearers[number] = (listen_key, listen_key.engine.listen(listen_key.account, hear))
        session.when_closed.append(lambda: self._leave(number))

    def tick(self, session: Session, market_view: MarketView) -> None:
        """A second has passed: who hears by a key that has expired is told, and hears no more."""
        listen_key, _ = self._hearers.get(id(session), (None, None))
        if listen_key is None or market_view.time_ns() < listen_key.expires_ns:
            return
        self._leave(id(session))
        now_ms = milliseconds(market_view.time_ns())
        row = {"e": "listenKeyExpired", "E": now_ms, "listenKey": listen_key.name}
        told = combined(listen_key.name, msgspec.json.encode(row))
        session.report(self._streams.get(USER), told)
        if self._by_account.get(listen_key.account) is listen_key:
            del self._by_account[listen_key.account]

    def _living(self, call: Call) -> ListenKey | None:
        found = self._by_account.get(call.account)
        return found if found and call.market_view.time_ns() < found.expires_ns else None

    def _leave(self, number: int) -> None:
        found = self._hearers.pop(number, None)
        if found is not None:
            found[1]()
