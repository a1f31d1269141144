"""What Advanced Trade tells of an account, on its channel ``user``.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/advanced-trade-asyncapi.json
An order is told whole each time, and a subscription begins with all that are open.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from kit.simulator.dialect import Channel, MarketView, Session, Stream
from kit.simulator.exchange.orders import fills_of
from kit.simulator.matching.contract import AccountEvent, OrderChanged, OrderView
from venues.coinbase.simulator import advanced
from venues.coinbase.simulator.private.keys import engine_of
from venues.coinbase.simulator.private.rows import Row, feed_row, user_id

USER = "user"
STREAM = Stream(USER, Channel.OTHER, "")
ORDERS_PER_FRAME = 50


@dataclass(slots=True)
class Member:
    """Whose events a connection hears, and of which products; none: of all."""

    account: str = ""
    products: frozenset[str] = frozenset()

    def want(self, products: Sequence[str]) -> None:
        """Of these products too."""
        all_already = bool(self.account) and not self.products
        all_now = all_already or not products
        self.products = frozenset() if all_now else self.products | frozenset(products)


def listen(
    session: Session,
    member: Member,
    account: str,
    market_view: MarketView,
    hear: Callable[[AccountEvent], None],
) -> None:
    """From now on."""
    if not member.account:
        session.when_closed.append(engine_of(market_view).listen(account, hear))
    member.account = account


def begin(session: Session, member: Member, account: str, market_view: MarketView) -> list[bytes]:
    """A subscription to Advanced Trade begins: all open orders, in parts."""
    teller = _Teller(session, member, account, market_view)
    session.streams[USER] = STREAM
    listen(session, member, account, market_view, teller.hear)
    orders = [
        one
        for one in engine_of(market_view).open_orders(account)
        if not member.products or one.ticket.symbol in member.products
    ]
    parts = [orders[at : at + ORDERS_PER_FRAME] for at in range(0, len(orders), ORDERS_PER_FRAME)]
    return [teller.frame("snapshot", part) for part in parts or [[]]]


@dataclass(frozen=True, slots=True)
class _Teller:
    """Puts what happens to an account into words, for one connection."""

    session: Session
    member: Member
    account: str
    market_view: MarketView

    def hear(self, event: AccountEvent) -> None:
        """Nothing but orders is told."""
        if not isinstance(event, OrderChanged) or USER not in self.session.streams:
            return
        if self.member.products and event.order.ticket.symbol not in self.member.products:
            return
        self.session.report(STREAM, self.frame("update", [event.order]))

    def frame(self, kind: str, orders: Sequence[OrderView]) -> bytes:
        """``{"channel":"user",…,"events":[{"type":"update","orders":[…]}]}``"""
        event: Row = {"type": kind, "orders": [self._row(order) for order in orders]}
        if kind == "snapshot":
            none: dict[str, list[Row]] = {
                "perpetual_futures_positions": [],
                "expiring_futures_positions": [],
            }
            event["positions"] = none
        text = msgspec.json.encode(event).decode()
        return advanced.frame(USER, self.market_view.time_ns(), text, '"client_id":"",')

    def _row(self, order: OrderView) -> Row:
        fills = fills_of(order, engine_of(self.market_view))
        return feed_row(order, fills, user_id(self.account))
