"""What the Exchange feed tells of an account, on its channel ``user``.

https://docs.cdp.coinbase.com/exchange/websocket-feed/channels#user-channel
received, match, open, done: each message is a step of an order, and none tells all of it.
"""

import asyncio
from dataclasses import dataclass, field

import msgspec

from kit.simulator.dialect import MarketView, Session
from kit.simulator.history import TradePrint
from kit.simulator.matching.contract import (
    AccountEvent,
    Cause,
    FillView,
    Lifetime,
    OrderChanged,
    OrderRejected,
    OrderView,
    Status,
)
from kit.simulator.texts import plain
from venues.coinbase.simulator.exchange import parties
from venues.coinbase.simulator.private.exchange_rows import done_reason, stop_type
from venues.coinbase.simulator.private.keys import MATCHING_RULES, engine_of, key_of_exchange
from venues.coinbase.simulator.private.rows import ZERO, Row, order_id, user_id
from venues.coinbase.simulator.private.socket import STREAM, USER, Member, listen
from venues.coinbase.simulator.times import micro_text

SIGNED = "GET/users/self/verify"
RESTS = (Lifetime.GOOD_TILL_CANCEL, Lifetime.GOOD_TILL_TIME)


def account_of(fields: dict[str, str], market_view: MarketView) -> str:
    """Who has signed a message. Raises Refusal."""
    named = {**fields, "sign": fields.get("signature", "")}
    return key_of_exchange(named, SIGNED, market_view).account


def begin(
    session: Session, member: Member, product: str, account: str, market_view: MarketView
) -> None:
    """A subscription to one product: nothing of what was before is told."""
    session.streams[f"{USER}.{product}"] = STREAM
    if not member.account:
        listen(session, member, account, market_view, _Teller(session, account, market_view).hear)


@dataclass(slots=True)
class _Teller:
    """Puts what happens to an account into words, for one connection."""

    session: Session
    account: str
    market_view: MarketView
    count: int = field(default=0)

    def hear(self, event: AccountEvent) -> None:
        """A step of an order."""
        if not isinstance(event, OrderChanged):
            return
        order = event.order
        if f"{USER}.{order.ticket.symbol}" not in self.session.streams:
            return
        if event.fill is not None:
            self._tell(order, "match", self._match(event.fill))
            if order.is_final:
                self._done(order)
        elif event.cause is Cause.NEW and order.status is Status.UNTRIGGERED:
            self._tell(order, "activate", _stop(order))
        elif event.cause in (Cause.NEW, Cause.TRIGGERED):
            self._tell(order, "received", _terms(order))
            if order.ticket.price is not None and order.ticket.lifetime in RESTS:
                # Whether it rests is known when all that it meets at once was met.
                asyncio.get_running_loop().call_soon(self._open, order.order_id)
        elif event.cause is Cause.AMENDED:
            change: Row = {"reason": "modify_order", "new_size": plain(order.left)}
            self._tell(order, "change", {**change, "price": plain(order.ticket.price or ZERO)})
        elif order.is_final:
            self._done(order)

    def _open(self, number: int) -> None:
        try:
            order = engine_of(self.market_view).order(self.account, number)
        except OrderRejected:
            return
        if not order.is_final:
            price = plain(order.ticket.price or ZERO)
            self._tell(order, "open", {"price": price, "remaining_size": plain(order.left)})

    def _done(self, order: OrderView) -> None:
        row: Row = {"reason": done_reason(order), "remaining_size": plain(order.left)}
        if order.ticket.price is not None:
            row["price"] = plain(order.ticket.price)
        self._tell(order, "done", row)

    def _match(self, fill: FillView) -> Row:
        """The side is the maker's."""
        buys = fill.order.ticket.buys
        trade = TradePrint(fill.trade_id, "", "", fill.time_ns, buys is not fill.is_maker)
        maker, taker = parties(trade)
        own, me = order_id(fill.order), user_id(self.account)
        part = "maker" if fill.is_maker else "taker"
        tier = MATCHING_RULES.tiers[0]
        share = tier.maker if fill.is_maker else tier.taker
        return {
            "trade_id": fill.trade_id,
            "maker_order_id": own if fill.is_maker else maker,
            "taker_order_id": taker if fill.is_maker else own,
            "side": "buy" if buys is fill.is_maker else "sell",
            "size": plain(fill.size),
            "price": plain(fill.price),
            f"{part}_user_id": me,
            f"{part}_profile_id": me,
            f"{part}_fee_rate": plain(share),
        }

    def _tell(self, order: OrderView, kind: str, row: Row) -> None:
        self.count += 1
        me = user_id(self.account)
        frame: Row = {
            "type": kind,
            "product_id": order.ticket.symbol,
            "time": micro_text(order.updated_ns),
            "sequence": self.count,
            "profile_id": me,
            "user_id": me,
        }
        if kind != "match":
            frame |= {"order_id": order_id(order), "side": "buy" if order.ticket.buys else "sell"}
        self.session.report(STREAM, msgspec.json.encode({**frame, **row}))


def _terms(order: OrderView) -> Row:
    ticket = order.ticket
    row: Row = {"order_type": "market" if ticket.price is None else "limit"}
    if ticket.value is not None:
        row["funds"] = plain(ticket.value)
    else:
        row["size"] = plain(ticket.size)
    if ticket.price is not None:
        row["price"] = plain(ticket.price)
    if ticket.client_id:
        row["client_oid"] = ticket.client_id
    return row


def _stop(order: OrderView) -> Row:
    stop = {"stop_type": stop_type(order), "stop_price": plain(order.ticket.stop_price or ZERO)}
    return {**stop, "size": plain(order.ticket.size), "private": True}
