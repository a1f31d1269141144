"""Kraken's channels of an account.

Documentation: https://docs.kraken.com/api/docs/websocket-v2/executions
https://docs.kraken.com/api/docs/websocket-v2/balances
The first message about an order has all of it, later ones only what has changed. Each channel
numbers its messages for each connection, from 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from kit.simulator.dialect import Frame, MarketView, WebsocketSession
from kit.simulator.exchange.listings_and_prices import known_listings
from kit.simulator.exchange.rest import engine_of
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    OrderChanged,
    OrderEventCause,
    OrderView,
)
from venues.kraken.simulator.candles import rfc3339
from venues.kraken.simulator.errors import ERRORS
from venues.kraken.simulator.rest import Row
from venues.kraken.simulator.rows import (
    COST_PLACES,
    bare,
    execution_row,
    filled_so_far,
    is_expired,
    ledger_id,
    named,
    reason,
    whole_order,
)
from venues.kraken.simulator.streams import ACCOUNT_STREAMS, BALANCES, EXECUTIONS

TRADES_SHOWN = 50
TRANSITIONS = ("new", "filled", "canceled", "expired", "trade")
"""The changes that a subscription without ``order_status`` gets."""


@dataclass(slots=True)
class KrakenAccountFeed:
    """Writes the events of an account for one connection."""

    session: WebsocketSession
    account: str
    market_view: MarketView
    counts: dict[str, int] = field(default_factory=dict)
    """How many messages each channel has had."""
    totals: dict[str, Decimal] = field(default_factory=dict)
    """The balance of each asset in the last message."""
    all_states: bool = True
    entries: int = 0

    def frames_of(self, event: AccountEvent) -> Iterator[Frame]:
        """What an order holds is no change of a balance at Kraken."""
        if isinstance(event, OrderChanged) and EXECUTIONS in self.session.streams:
            for row in self._changes(event):
                if self.all_states or row["exec_type"] in TRANSITIONS:
                    yield self._update(EXECUTIONS, row)
        elif isinstance(event, BalanceChanged) and BALANCES in self.session.streams:
            asset, total = event.balance.asset, event.balance.total
            before = self.totals.get(asset, Decimal(0))
            self.totals[asset] = total
            if total != before:
                yield self._update(BALANCES, self._entry(event, total - before))

    def balances(self) -> list[Row]:
        """The balances of all assets."""
        rows: list[Row] = []
        for one in engine_of(self.market_view, ERRORS).balances(self.account):
            self.totals[one.asset] = one.total
            balance = bare(one.total, COST_PLACES)
            wallet = {"type": "spot", "id": "main", "balance": balance}
            rows.append(
                {
                    "asset": one.asset,
                    "asset_class": "currency",
                    "balance": balance,
                    "wallets": [wallet],
                }
            )
        return rows

    def executions(self, with_orders: bool, with_trades: bool) -> list[Row]:
        """The open orders, and the newest trades."""
        engine, listings = engine_of(self.market_view, ERRORS), known_listings(self.market_view)
        rows: list[Row] = []
        if with_orders:
            rows.extend(
                {**whole_order(one, listings[one.ticket.symbol]), "exec_type": "new"}
                for one in engine.open_orders(self.account)
            )
        if with_trades:
            rows.extend(
                execution_row(fill, listings[fill.order.ticket.symbol], self.market_view)
                for fill in engine.fills(self.account)[-TRADES_SHOWN:]
            )
        return rows

    def frame(self, channel: str, kind: str, rows: Sequence[Row]) -> bytes:
        """``{"channel":"executions","type":"update","data":[…],"sequence":8}``"""
        self.counts[channel] += 1
        body = {"channel": channel, "type": kind, "data": rows, "sequence": self.counts[channel]}
        return msgspec.json.encode(body)

    def _update(self, channel: str, row: Row) -> Frame:
        return ACCOUNT_STREAMS[channel], self.frame(channel, "update", [row])

    def _changes(self, event: OrderChanged) -> Iterator[Row]:
        order, listing = event.order, known_listings(self.market_view)[event.order.ticket.symbol]
        so_far = {**named(order), **filled_so_far(order, listing)}
        if event.fill is not None:
            yield execution_row(event.fill, listing, self.market_view)
            if order.is_final:
                yield {**so_far, "exec_type": "filled"}
        elif event.cause is OrderEventCause.NEW:
            whole = whole_order(order, listing)
            yield {**whole, "exec_type": "pending_new", "order_status": "pending_new"}
            yield {**_state(order), "exec_type": "new", "order_status": "new"}
        elif event.cause is OrderEventCause.TRIGGERED:
            yield {**_state(order), "exec_type": "status", "order_status": "new"}
        elif event.cause is OrderEventCause.AMENDED:
            yield {**whole_order(order, listing), "amended": True, "exec_type": "amended"}
        else:
            kind, why = "expired" if is_expired(order) else "canceled", reason(order)
            ended = {"exec_type": kind, "order_status": kind, "reason": why, "cancel_reason": why}
            yield {**so_far, **ended}

    def _entry(self, event: BalanceChanged, amount: Decimal) -> Row:
        """A row of the account's ledger."""
        self.entries += 1
        kind = "trade" if event.why == "fill" else event.why
        return {
            "asset": event.balance.asset,
            "asset_class": "currency",
            "amount": bare(amount, COST_PLACES),
            "balance": bare(event.balance.total, COST_PLACES),
            "fee": bare(Decimal(0), COST_PLACES),
            "ledger_id": ledger_id(self.entries),
            "ref_id": ledger_id(-self.entries),
            "timestamp": rfc3339(self.market_view.time_ns()),
            "type": kind,
            "subtype": "",
            "category": kind,
            "wallet_type": "spot",
            "wallet_id": "main",
        }


def _state(order: OrderView) -> Row:
    return {**named(order), "timestamp": rfc3339(order.updated_ns)}
