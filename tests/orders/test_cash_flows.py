"""Opening balance, fills, fees and cash flows make the balance, exactly, at all venues.

The account trades on both sides of the book, pays and receives funding, has deposits and
withdrawals, and is liquidated. What the connector reads of it is compared with the balances that it
reads, and with those of the matching engine.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

from kit.base.clock import NANOSECONDS_PER_DAY, SystemClock
from kit.conformance.simulated_exchange import CALM_SECONDS_MAX, SimulatedExchange, exchange
from kit.connector.contract import discovery
from kit.connector.contract.venue import Environment
from kit.execution.account import Account
from kit.execution.cash_flows import VenueCashFlow
from kit.execution.client_order_ids import client_order_id
from kit.execution.context import AccountContext
from kit.execution.contract import (
    Credentials,
    ExecutionClient,
    OrderRequest,
    RequestAccepted,
    Side,
    VenueFill,
)
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.journal_file import JournalFile, SingleThreadExecutor
from kit.execution.orders.order import Order
from kit.execution.paper.instrument_terms import PaperInstrumentTerms, terms_of
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.settings import OrdersSettings
from kit.execution.tests.answer_suite import listed_fills
from kit.execution.tests.made_balances import made_balances
from kit.execution.tests.simulated_process import verifier
from kit.simulator import demo_accounts
from kit.simulator.dialect import find_dialects
from kit.simulator.listing import DerivativeMark
from kit.simulator.matching.exchange_accounts import ExchangeAccounts
from tests.support.waiting import WAIT_SECONDS_MAX

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
FUNDING = cash_flows_pb2.CASH_FLOW_KIND_FUNDING
LIQUIDATION = cash_flows_pb2.CASH_FLOW_KIND_LIQUIDATION
FILLED = orders_pb2.ORDER_STATE_FILLED
SETTLEMENT = cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT
OTHER = cash_flows_pb2.CASH_FLOW_KIND_OTHER
TRANSFER = cash_flows_pb2.CASH_FLOW_KIND_TRANSFER
TRADED = {
    "binance": ("BTCUSDT", "0.013"),
    "binance_futures": ("BTCUSDT", "0.007"),
    "bybit": ("BTCUSDT", "0.013"),
    "coinbase": ("BTC-USD", "0.013"),
    "deribit": ("BTC-PERPETUAL", "370"),
    "kraken": ("BTC/USDT", "0.013"),
    "okx_futures": ("BTC-USDT-SWAP", "3"),
    "okx": ("BTC-USDT", "0.013"),
}
"""A symbol and a size of each venue."""
PAGES = {
    "binance": ["binance.cash_flows.WALLET_ROWS_MAX"],
    "binance_futures": ["binance.cash_flows.ROWS_MAX"],
    "bybit": ["bybit.cash_flows.PAGE"],
    "coinbase": ["coinbase.cash_flows.PAGE"],
    "deribit": ["deribit.cash_flows.PAGE"],
    "kraken": ["kraken.simulator.cash_flows.PAGE"],
    "okx": ["okx.account.PAGE", "okx.cash_flows.PAGE"],
    "okx_futures": ["okx.account.PAGE", "okx.cash_flows.PAGE"],
}
"""The constants that say how many rows a page has."""
DERIVATIVES = ("binance_futures", "deribit", "okx_futures")
LIQUIDATION_KINDS: Mapping[str, "cash_flows_pb2.CashFlowKind.ValueType"] = {"deribit": OTHER}
"""Of venues whose text does not say what the payment after a liquidation is."""


@dataclass
class Trading:
    """An account at a calm simulated exchange, and the one that it trades with."""

    venue_id: str
    exchange: SimulatedExchange
    engine: ExchangeAccounts
    client: ExecutionClient
    other: ExecutionClient
    terms: PaperInstrumentTerms
    instrument: types_pb2.Instrument
    size: Decimal
    marks: list[DerivativeMark] = field(default_factory=list)
    number: int = 0

    async def best(self) -> tuple[Decimal, Decimal]:
        book = await self.exchange.book(self.terms.symbol)
        return Decimal(book.bids[0][0]), Decimal(book.asks[0][0])

    async def order(
        self, client: ExecutionClient, side: Side, size: Decimal, price: Decimal | None = None
    ) -> None:
        """Place an order that must be accepted; a market order without a price."""
        self.number += 1
        kind = orders_pb2.ORDER_TYPE_MARKET if price is None else orders_pb2.ORDER_TYPE_LIMIT
        own = client_order_id("test", "main", str(self.number))
        request = OrderRequest(own, self.terms.symbol, side, kind, size, price)
        verdict = await client.place(request)
        assert isinstance(verdict, RequestAccepted), verdict

    async def trade_on_both_sides(self) -> None:
        """Take and make fills of several sizes and prices, and close a part that is no share of the
        position that can be written with few digits."""
        bid, ask = await self.best()
        await self.order(self.client, BUY, 3 * self.size)
        tick = Decimal(self.exchange.tick_size(self.terms.symbol))
        if ask - bid <= tick:
            await self.order(self.other, BUY, 500 * self.size, ask)
            bid, ask = await self.best()
        await self.order(self.client, BUY, 4 * self.size, bid)
        await self.order(self.other, SELL, 4 * self.size, bid)
        await self.order(self.client, SELL, self.size)
        await self.order(self.client, SELL, 2 * self.size)
        await self.order(self.client, BUY, self.size)

    async def flows(self) -> list[VenueCashFlow]:
        since_ns = SystemClock().time_ns() - NANOSECONDS_PER_DAY
        return [one async for page in self.client.cash_flows(since_ns) for one in page.flows]

    async def fills(self) -> list[VenueFill]:
        return await listed_fills(self.client, self.terms.symbol, 0)

    def mark(self, price: Decimal, rate: str = "0", due_ns: int = 10**19) -> None:
        """Set the mark price of the instrument."""
        prices = self.engine._engine.settlement.prices
        mark = DerivativeMark(f"{price:f}", f"{price:f}", rate, due_ns)
        prices._find_mark = {self.terms.symbol: mark}.get

    async def pay_funding(self, rate: str) -> None:
        """Have funding fall due, and wait until it is paid."""
        bid, _ = await self.best()
        before = len(self.engine.bookings("demo"))
        self.mark(bid, rate, self.engine._now() + 300_000_000)
        await self.until(lambda: len(self.engine.bookings("demo")) > before)

    async def liquidate(self) -> None:
        """Leave nothing in the account, let the price fall, and wait until it is liquidated. What
        the spread and the fees have cost is then owed to the exchange."""
        bid, _ = await self.best()
        asset = self.terms.settle
        held = next(one for one in self.engine.balances("demo") if one.asset == asset)
        self.engine.transfer("demo", asset, -held.total)
        self.mark(bid / 8)
        await self.until(lambda: not self.engine.positions("demo"))

    async def settle(self) -> None:
        """Have the daily settlement fall due, and wait until it is paid."""
        before = len(self.engine.bookings("demo"))
        self.engine._risk._next_settlement_ns = 1
        await self.until(lambda: len(self.engine.bookings("demo")) > before)

    def owed(self) -> Decimal:
        """What a settlement pays now."""
        (held,) = (one for one in self.engine.balances("demo") if one.asset == self.terms.settle)
        open_profit = (one.unrealized for one in self.engine.positions("demo"))
        return sum(open_profit, held.unsettled)

    async def settlements(self) -> list[Decimal]:
        return [one.amount for one in await self.flows() if one.kind == SETTLEMENT]

    async def until(self, holds) -> None:
        while not holds():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def trading(venue_id: str) -> AsyncIterator[Trading]:
    async with (
        asyncio.timeout(WAIT_SECONDS_MAX),
        exchange(venue_id, find_dialects()[venue_id], 200) as simulated,
    ):
        venue = discovery.require(venue_id)(
            Environment("simulate", simulated.url, transport="rest")
        )
        assert venue.execution_client is not None
        symbol, size = TRADED[venue_id]
        listed = {one.symbol: one for one in await venue.history.instruments()}
        terms = terms_of(listed[symbol])
        assert terms is not None
        clients = []
        for account in ("demo", "other"):
            secrets = demo_accounts.credentials(venue_id, account)
            assert secrets is not None
            clients.append(venue.execution_client(Credentials(account, secrets), None))
        engine = simulated._simulator.market_view(venue_id).engine
        assert isinstance(engine, ExchangeAccounts)
        try:
            with simulated.calm():
                yield Trading(
                    venue_id, simulated, engine, *clients, terms, listed[symbol], Decimal(size)
                )
        finally:
            await venue.history.close()
            for client in clients:
                await client.close()


async def check_balances(account: Trading) -> None:
    flows = await account.flows()
    made = made_balances(
        {account.terms.symbol: account.terms},
        await account.fills(),
        flows,
        profit_at_settlement=account.client.capabilities.profit_at_settlement,
    )
    assert made == {one.asset: one.total for one in await account.client.balances()}
    held = {one.asset: one.total for one in account.engine.balances("demo")}
    assert made == {asset: held[asset] for asset in made}
    assert len({(one.kind, one.cash_flow_id) for one in flows}) == len(flows)


@pytest.mark.parametrize("venue_id", sorted(TRADED))
async def test_fills_and_cash_flows_make_the_balances(venue_id: str) -> None:
    async with trading(venue_id) as account:
        await account.client.balances()
        assert {one.kind for one in await account.flows()} == {TRANSFER}
        await check_balances(account)
        await account.trade_on_both_sides()
        await check_balances(account)
        await check_lists(account)
        terms = account.terms
        paid = terms.quote if terms.is_spot else terms.settle
        account.engine.transfer("demo", paid, Decimal("0.12345678"))
        account.engine.transfer("demo", paid, Decimal("-0.25"))
        if not terms.is_spot:
            await account.pay_funding("0.00012345")
            await account.pay_funding("-0.00031")
            await check_balances(account)
            await account.liquidate()
        await check_balances(account)
        flows = await account.flows()
        amounts = [one.amount for one in flows if one.kind == TRANSFER and one.asset == paid]
        assert {Decimal("0.12345678"), Decimal("-0.25")} <= set(amounts)
        if not terms.is_spot:
            funding = [one for one in flows if one.kind == FUNDING]
            assert [one.amount < 0 for one in funding] == [True, False]
            assert {one.symbol for one in funding} == {terms.symbol}
            kind = LIQUIDATION_KINDS.get(venue_id, LIQUIDATION)
            (insurance,) = (one for one in flows if one.kind == kind)
            assert insurance.amount > 0


async def test_a_settlement_pays_the_profit_of_the_session() -> None:
    """Of what is open; then that of the next session only, with what was closed."""
    async with trading("deribit") as account:
        await account.trade_on_both_sides()
        bid, _ = await account.best()
        account.mark(bid + 400)
        owed = account.owed()
        await account.settle()
        assert await account.settlements() == [owed]
        await check_balances(account)
        await account.order(account.client, BUY, 2 * account.size)
        await account.order(account.client, SELL, account.size)
        await check_balances(account)
        account.mark(bid - 300)
        owed = account.owed()
        await account.settle()
        assert (await account.settlements())[1:] == [owed]
        assert account.owed() == 0
        await check_balances(account)


async def check_lists(account: Trading) -> None:
    """Short pages and rows that are listed twice make the same list. Rows that are late are in the
    next one."""
    for _ in range(5):
        account.engine.transfer("demo", account.terms.quote, Decimal(1))
        account.engine.transfer("demo", account.terms.settle or account.terms.base, Decimal(1))
    flows = await account.flows()
    with ExitStack() as patches:
        for name in PAGES[account.venue_id]:
            patches.enter_context(patch(f"venues.{name}", 3))
        assert await account.flows() == flows
        account.exchange.order("cash_flows_twice", count=0)
        assert await account.flows() == flows
    account.exchange.clear()
    account.exchange.order("cash_flows_late", count=0, seconds=3600)
    assert await account.flows() == []
    account.exchange.clear()
    account.exchange.order("calm", seconds=CALM_SECONDS_MAX)
    assert await account.flows() == flows


@asynccontextmanager
async def followed(trading: Trading, folder: Path) -> AsyncIterator[Account]:
    """The account as a venue process has it, ready for orders."""
    thread, clock = SingleThreadExecutor("journal"), SystemClock()
    account = Account(
        AccountContext(trading.venue_id, "demo", clock, OrdersSettings()),
        trading.client,
        AccountJournal(JournalFile(folder, "demo"), thread, clock),
        verifier(trading.venue_id, "demo"),
        ReferenceMarketData(lambda symbol: None),
    )
    running = asyncio.create_task(account.run())
    try:
        await trading.until(lambda: account.readiness.is_ready)
        yield account
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        thread.close()


@pytest.mark.parametrize("venue_id", DERIVATIVES)
async def test_a_liquidation_is_an_external_order_with_fills(venue_id: str, tmp_path: Path) -> None:
    """The exchange itself has made the order."""
    async with trading(venue_id) as traded, followed(traded, tmp_path) as account:
        await traded.order(traded.client, BUY, 3 * traded.size)
        await traded.liquidate()
        index = account.state.index
        whole = 3 * traded.size

        def sold() -> list[Order]:
            return [one for one in index.orders.values() if one.content.side == SELL]

        await traded.until(lambda: sum(one.filled_size for one in sold()) == whole)
        assert all(one.external for one in sold())
        await traded.until(lambda: {one.state for one in sold()} == {FILLED})
        ids = {one.client_order_id for one in sold()}
        found = [one for one in index.fills.values() if one.client_order_id in ids]
        assert sum(one.size for one in found) == whole
        assert all(one.fees for one in found)
        listed = {one.fill_id for one in await traded.fills()}
        await traded.until(lambda: {one.fill_id for one in index.fills.values()} == listed)
