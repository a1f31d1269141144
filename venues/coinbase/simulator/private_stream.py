"""The channel ``user`` of Coinbase's two feeds.

Documentation:
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/advanced-trade-asyncapi.json
https://docs.cdp.coinbase.com/exchange/websocket-feed/channels#user-channel
Advanced Trade sends the whole order after each change, and begins with all that are open. Exchange
sends one message for each step (received, match, open, done), and begins with none.
"""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.simulator.dialect import Frame, MarketView, WebsocketSession
from kit.simulator.exchange.order_fills import fills_of
from kit.simulator.exchange.rest import engine_of
from kit.simulator.matching.contract import (
    AccountEvent,
    FillView,
    OrderChanged,
    OrderEventCause,
    OrderRejected,
    OrderStatus,
    OrderView,
)
from kit.simulator.text_conversion import plain
from venues.coinbase.simulator.authentication import MATCHING_RULES
from venues.coinbase.simulator.candles import advanced_frame, micro_text
from venues.coinbase.simulator.encode import trade_order_ids
from venues.coinbase.simulator.errors import ADVANCED_ERRORS, EXCHANGE_ERRORS
from venues.coinbase.simulator.rest import Row
from venues.coinbase.simulator.rows import (
    ZERO,
    advanced_feed_row,
    done_reason,
    order_id,
    stop_type,
    user_id,
)
from venues.coinbase.simulator.streams import ACCOUNT_STREAM, USER

ORDERS_PER_FRAME = 50
RESTING = (orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL, orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME)


@dataclass(slots=True)
class CoinbaseAdvancedAccountFeed:
    """Writes the events of an account for one connection to Advanced Trade."""

    session: WebsocketSession
    account: str
    market_view: MarketView
    products: frozenset[str] = frozenset()
    """The products that it is subscribed to; empty: all."""

    def frames_of(self, event: AccountEvent) -> Iterator[Frame]:
        if not isinstance(event, OrderChanged) or USER not in self.session.streams:
            return
        if self._is_wanted(event.order):
            yield ACCOUNT_STREAM, self._frame("update", [event.order])

    def snapshot(self) -> list[bytes]:
        """All open orders, in frames of limited length; one frame if there are none."""
        engine = engine_of(self.market_view, ADVANCED_ERRORS)
        orders = [one for one in engine.open_orders(self.account) if self._is_wanted(one)]
        firsts = range(0, len(orders) or 1, ORDERS_PER_FRAME)
        return [self._frame("snapshot", orders[at : at + ORDERS_PER_FRAME]) for at in firsts]

    def _is_wanted(self, order: OrderView) -> bool:
        return not self.products or order.ticket.symbol in self.products

    def _frame(self, kind: str, orders: Sequence[OrderView]) -> bytes:
        """``{"channel":"user",…,"events":[{"type":"update","orders":[…]}]}``"""
        engine = engine_of(self.market_view, ADVANCED_ERRORS)
        rows = [advanced_feed_row(one, fills_of(one, engine)) for one in orders]
        event: Row = {"type": kind, "orders": rows}
        if kind == "snapshot":
            kinds = ("perpetual_futures_positions", "expiring_futures_positions")
            event["positions"] = {name: [] for name in kinds}
        text = msgspec.json.encode(event).decode()
        return advanced_frame(USER, self.market_view.time_ns(), text, '"client_id":"",')


@dataclass(slots=True)
class CoinbaseExchangeAccountFeed:
    """Writes the events of an account for one connection to Exchange."""

    session: WebsocketSession
    account: str
    market_view: MarketView
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def frames_of(self, event: AccountEvent) -> Iterator[Frame]:
        """The steps of orders in the products that the connection is subscribed to."""
        if not isinstance(event, OrderChanged):
            return
        order = event.order
        if f"{USER}.{order.ticket.symbol}" not in self.session.streams:
            return
        if event.fill is not None:
            yield self._frame(order, "match", self._match(event.fill))
            if order.is_final:
                yield self._done(order)
        elif event.cause is OrderEventCause.NEW and order.status is OrderStatus.UNTRIGGERED:
            yield self._frame(order, "activate", _stop(order))
        elif event.cause in (OrderEventCause.NEW, OrderEventCause.TRIGGERED):
            yield self._frame(order, "received", _terms(order))
            if order.ticket.price is not None and order.ticket.time_in_force in RESTING:
                # The engine reports the fills at once; the order rests if it is open after them.
                asyncio.get_running_loop().call_soon(self._report_open, order.order_id)
        elif event.cause is OrderEventCause.AMENDED:
            change: Row = {"reason": "modify_order", "new_size": plain(order.left)}
            price = plain(order.ticket.price or ZERO)
            yield self._frame(order, "change", {**change, "price": price})
        elif order.is_final:
            yield self._done(order)

    def _report_open(self, number: int) -> None:
        try:
            order = engine_of(self.market_view, EXCHANGE_ERRORS).order(self.account, number)
        except OrderRejected:
            return
        if not order.is_final:
            price = plain(order.ticket.price or ZERO)
            row: Row = {"price": price, "remaining_size": plain(order.left)}
            self.session.report(*self._frame(order, "open", row))

    def _done(self, order: OrderView) -> Frame:
        row: Row = {"reason": done_reason(order), "remaining_size": plain(order.left)}
        if order.ticket.price is not None:
            row["price"] = plain(order.ticket.price)
        return self._frame(order, "done", row)

    def _match(self, fill: FillView) -> Row:
        """The side is the maker's."""
        buys = fill.order.ticket.buys
        maker, taker = trade_order_ids(fill.trade_id)
        own, user = order_id(fill.order), user_id(self.account)
        part, tier = "maker" if fill.is_maker else "taker", MATCHING_RULES.tiers[0]
        return {
            "trade_id": fill.trade_id,
            "maker_order_id": own if fill.is_maker else maker,
            "taker_order_id": taker if fill.is_maker else own,
            "side": "buy" if buys is fill.is_maker else "sell",
            "size": plain(fill.size),
            "price": plain(fill.price),
            f"{part}_user_id": user,
            f"{part}_profile_id": user,
            f"{part}_fee_rate": plain(tier.maker if fill.is_maker else tier.taker),
        }

    def _frame(self, order: OrderView, kind: str, row: Row) -> Frame:
        user = user_id(self.account)
        frame: Row = {
            "type": kind,
            "product_id": order.ticket.symbol,
            "time": micro_text(order.updated_ns),
            "sequence": next(self.numbers),
            "profile_id": user,
            "user_id": user,
        }
        if kind != "match":
            frame |= {"order_id": order_id(order), "side": "buy" if order.ticket.buys else "sell"}
        return ACCOUNT_STREAM, msgspec.json.encode({**frame, **row})


def _terms(order: OrderView) -> Row:
    ticket = order.ticket
    row: Row = {"order_type": "market" if ticket.price is None else "limit"}
    if ticket.value is not None:
        row["funds"] = plain(ticket.value)
    else:
        row["size"] = plain(ticket.size)
    if ticket.price is not None:
        row["price"] = plain(ticket.price)
    if ticket.client_order_id:
        row["client_oid"] = ticket.client_order_id
    return row


def _stop(order: OrderView) -> Row:
    stop = {"stop_type": stop_type(order), "stop_price": plain(order.ticket.stop_price or ZERO)}
    return {**stop, "size": plain(order.ticket.size), "private": True}
