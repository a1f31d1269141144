"""The ledger's cash is the balance that the exchange states, also across settlements."""

from types import SimpleNamespace

import pytest
from venuemesh.tradeflow.v1 import cash_flows_pb2

from core.ledger.accounts import AccountCode, AccountKey
from core.ledger.contracts import InstrumentKey
from core.ledger.event_postings import EventPostings
from core.ledger.position_state import AVERAGE
from core.ledger.postgres_queries import PostgresQueries
from core.ledger.postgres_store import PostgresStore
from core.ledger.posting_writer import PostingWriter
from core.ledger.reported_events import cash_moved, order_filled
from core.ledger.store import AccountSelection, Page
from kit.accounting.money import amount_of
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.execution.cash_flow_lists import list_cash_flows
from kit.execution.context import AccountContext
from kit.execution.orders.order_messages import fill_message
from kit.execution.orders.order_records import order_fill
from kit.execution.settings import OrdersSettings
from tests.orders.test_cash_flows import BUY, SELL, Trading, trading

UNKNOWN_ORDER = SimpleNamespace(key="", venue_order_id="", client_order_id="")
ROUNDED_MAX = 10_000
"""Atoms: each computation cuts digits below one atom."""


class Books:
    """A ledger that takes in what the connector of a simulated exchange reports."""

    def __init__(self, database: Database, account: Trading) -> None:
        self.account = account
        self._writer = PostingWriter(
            database, PostgresStore(), EventPostings(AVERAGE), SystemClock()
        )
        self._queries = PostgresQueries(database)
        self._context = AccountContext(account.venue_id, "demo", SystemClock(), OrdersSettings())

    async def book(self) -> None:
        client, context = self.account.client, self._context
        request = cash_flows_pb2.ListCashFlowsRequest(page_size=1_000)
        listed = await list_cash_flows(client, context, request)
        assert not listed.next_page_token
        events = [cash_moved(flow) for flow in listed.cash_flows]
        for fill in await self.account.fills():
            record = order_fill(UNKNOWN_ORDER, fill, 0)
            message = fill_message(context, record, lambda symbol: None, client.capabilities)
            events.append(order_filled(message, ""))
        instrument = self.account.instrument
        known = {InstrumentKey(self.account.venue_id, instrument.symbol): instrument}
        assert not (await self._writer.book(events, known)).refused

    async def balance(self, code: AccountCode, asset: str) -> int:
        """Of all accounts with this code, in atoms."""
        key = AccountKey(code, self.account.venue_id, "demo", asset)
        rows, _ = await self._queries.accounts(AccountSelection(key), Page(0, 100))
        return sum(row.debits - row.credits for row in rows)

    async def check(self) -> None:
        await self.book()
        asset = self.account.terms.settle
        (stated,) = (
            one.total for one in await self.account.client.balances() if one.asset == asset
        )
        assert amount_of(await self.balance(AccountCode.CASH, asset)) == stated


@pytest.mark.parametrize("venue_id", ["binance_futures", "deribit"])
async def test_cash_is_the_balance_of_the_exchange(venue_id: str, postgres_url: str) -> None:
    database = Database(postgres_url)
    async with trading(venue_id) as account:
        books = Books(database, account)
        settles = account.client.capabilities.profit_at_settlement
        await account.client.balances()
        await books.check()
        for distance in (300, -200):
            await account.trade_on_both_sides()
            await books.check()
            bid, _ = await account.best()
            account.mark(bid + distance)
            if settles:
                await account.settle()
                await books.check()
        await account.order(account.client, BUY, account.size)
        await account.pay_funding("0.00012345")
        await books.check()
        await account.client.cancel_all(account.terms.symbol)
        # The book may lack the size of a market order for a moment.
        while held := account.engine.positions("demo"):
            side = SELL if held[0].size > 0 else BUY
            await account.order(account.client, side, abs(held[0].size))
            await books.check()
        if settles:
            assert await books.balance(AccountCode.POSITION, account.terms.settle)
            await account.settle()
            await books.check()
        # All that was realised is paid.
        rest = await books.balance(AccountCode.POSITION, account.terms.settle)
        assert abs(rest) < ROUNDED_MAX
    await database.close()
