"""What Kraken's websocket tells of an account.

Documentation: https://docs.kraken.com/api/docs/websocket-v2/executions
https://docs.kraken.com/api/docs/websocket-v2/balances
What is told first of an order is all of it, later only what has changed. Each channel numbers its
messages for each connection, from 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from kit.simulator.dialect import Channel, MarketView, Session, Stream
from kit.simulator.exchange.market import known_listings
from kit.simulator.matching.contract import (
    AccountEvent,
    BalanceChanged,
    Cause,
    OrderChanged,
    OrderView,
)
from venues.kraken.simulator.candles import rfc3339
from venues.kraken.simulator.private.keys import engine_of
from venues.kraken.simulator.private.rows import (
    COST_PLACES,
    Row,
    bare,
    execution_row,
    filled_so_far,
    is_expired,
    ledger_id,
    named,
    reason,
    whole_order,
)

EXECUTIONS, BALANCES = "executions", "balances"
STREAMS = {name: Stream(name, Channel.OTHER, "") for name in (EXECUTIONS, BALANCES)}
TRADES_SHOWN = 50
TRANSITIONS = ("new", "filled", "canceled", "expired", "trade")
"""What a subscription without ``order_status`` is told."""


@dataclass(slots=True)
class Account:
    """What a connection knows of accounts."""

    tokens: set[str] = field(default_factory=set)
    """Those it has used."""
    owner: str = ""
    """Whose events it hears; empty: nobody's."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many messages each channel has had."""
    totals: dict[str, Decimal] = field(default_factory=dict)
    """What it was told of each asset."""
    all_states: bool = True
    entries: int = 0


@dataclass(frozen=True, slots=True)
class Teller:
    """Puts what happens to an account into Kraken's words, for one connection."""

    session: Session
    account: Account
    market_view: MarketView

    def hear(self, event: AccountEvent) -> None:
        """What an order holds is no change of a balance at Kraken."""
        if isinstance(event, OrderChanged) and EXECUTIONS in self.session.streams:
            for row in self._changes(event):
                if self.account.all_states or row["exec_type"] in TRANSITIONS:
                    self._tell(EXECUTIONS, row)
        elif isinstance(event, BalanceChanged) and BALANCES in self.session.streams:
            asset, total = event.balance.asset, event.balance.total
            before = self.account.totals.get(asset, Decimal(0))
            self.account.totals[asset] = total
            if total != before:
                self._tell(BALANCES, self._entry(event, total - before))

    def balances(self) -> list[Row]:
        """All there are."""
        rows: list[Row] = []
        for one in engine_of(self.market_view).balances(self.account.owner):
            self.account.totals[one.asset] = one.total
            wallet = {"type": "spot", "id": "main", "balance": bare(one.total, COST_PLACES)}
            rows.append(
                {
                    "asset": one.asset,
                    "asset_class": "currency",
                    "balance": bare(one.total, COST_PLACES),
                    "wallets": [wallet],
                }
            )
        return rows

    def executions(self, with_orders: bool, with_trades: bool) -> list[Row]:
        """Open orders, and the newest trades."""
        engine, listings = engine_of(self.market_view), known_listings(self.market_view)
        rows: list[Row] = []
        if with_orders:
            rows.extend(
                {**whole_order(one, listings[one.ticket.symbol]), "exec_type": "new"}
                for one in engine.open_orders(self.account.owner)
            )
        if with_trades:
            for fill in engine.fills(self.account.owner)[-TRADES_SHOWN:]:
                symbol = fill.order.ticket.symbol
                rows.append(execution_row(fill, listings[symbol], self.market_view))
        return rows

    def frame(self, channel: str, kind: str, rows: Sequence[Row]) -> bytes:
        """``{"channel":"executions","type":"update","data":[…],"sequence":8}``"""
        self.account.counts[channel] += 1
        count = self.account.counts[channel]
        body = {"channel": channel, "type": kind, "data": rows, "sequence": count}
        return msgspec.json.encode(body)

    def _tell(self, channel: str, row: Row) -> None:
        self.session.tell(STREAMS[channel], self.frame(channel, "update", [row]))

    def _changes(self, event: OrderChanged) -> Iterator[Row]:
        order, listing = event.order, known_listings(self.market_view)[event.order.ticket.symbol]
        so_far = {**named(order), **filled_so_far(order, listing)}
        if event.fill is not None:
            yield execution_row(event.fill, listing, self.market_view)
            if order.is_final:
                yield {**so_far, "exec_type": "filled"}
        elif event.cause is Cause.NEW:
            whole = whole_order(order, listing)
            yield {**whole, "exec_type": "pending_new", "order_status": "pending_new"}
            yield {**_state(order), "exec_type": "new", "order_status": "new"}
        elif event.cause is Cause.TRIGGERED:
            yield {**_state(order), "exec_type": "status", "order_status": "new"}
        elif event.cause is Cause.AMENDED:
            amended = {"amended": True, "exec_type": "amended"}
            yield {**whole_order(order, listing), **amended}
        else:
            kind = "expired" if is_expired(order) else "canceled"
            said = {"exec_type": kind, "order_status": kind, "reason": reason(order)}
            yield {**so_far, **said, "cancel_reason": reason(order)}

    def _entry(self, event: BalanceChanged, amount: Decimal) -> Row:
        """Of the account's ledger."""
        self.account.entries += 1
        return {
            "asset": event.balance.asset,
            "asset_class": "currency",
            "amount": bare(amount, COST_PLACES),
            "balance": bare(event.balance.total, COST_PLACES),
            "fee": bare(Decimal(0), COST_PLACES),
            "ledger_id": ledger_id(self.account.entries),
            "ref_id": ledger_id(-self.account.entries),
            "timestamp": rfc3339(self.market_view.time_ns()),
            "type": "trade" if event.why == "fill" else event.why,
            "subtype": "",
            "category": "trade" if event.why == "fill" else event.why,
            "wallet_type": "spot",
            "wallet_id": "main",
        }


def _state(order: OrderView) -> Row:
    return {**named(order), "timestamp": rfc3339(order.updated_ns)}
