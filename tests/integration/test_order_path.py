"""The way of an order: the functions that run are those that ARCHITECTURE.md lists.

A caller places one order over gRPC. It passes through an account with a journal on disk to the
order websocket of the simulated Binance, and its executions come back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, trade_flow_pb2, trade_flow_pb2_grpc

from kit.base import rpc
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.settings import MeshSettings
from kit.base.telemetry import Meter
from kit.conformance.simulated_exchange import exchange
from kit.connector.contract.venue import BookSnapshot, Environment
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.connector.process.order_accounts import venue_accounts
from kit.connector.process.settings import VenueSettings
from kit.connector.publishing.feed_handler import FeedHandler
from kit.execution.approval.keys import INSPECTOR_KEY_ID, inspector_key
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.execution.contract import Credentials, OrderRequest, RequestAccepted
from kit.execution.settings import OrdersSettings
from kit.marketdata.model.columns import PriceLevels
from kit.simulator import demo_accounts
from tests.support.call_trace import CallTrace
from tests.support.documented_path import DocumentedPath
from tests.support.manual_clock import ManualClock
from tests.support.waiting import until
from venues.binance.catalog import spot
from venues.binance.orders import execution_client
from venues.binance.simulator import DIALECTS

VENUE, SYMBOL, SIZE = "binance", "BTCUSDT", "0.01"
OWN, OTHER = "demo", "other"
"""The account of the test, and the one that trades with it."""
WARM_UP_ORDERS = 2
"""After so many orders, what runs once for an account or an instrument has run."""
BALANCES = 2
"""Balances that change with an order that is filled."""


class Runtime:
    """Serves the account and runs its tasks, as a venue process does."""

    def __init__(self) -> None:
        self.meter = Meter(VENUE)
        self.server = rpc.server()
        self._tasks: list[asyncio.Future[None]] = []
        self._at_end: list[Callable[[], Awaitable[None]]] = []

    def serve(self, file: Any, name: str, servicer: object) -> None:
        rpc.serve(self.server, file.services_by_name[name], servicer)

    def run_task(self, _name: str, task: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.ensure_future(task()))

    def at_end(self, finish: Callable[[], Awaitable[None]]) -> None:
        self._at_end.append(finish)

    async def stop(self) -> None:
        await self.server.stop(None)
        for task in self._tasks:
            await cancelled(task)
        for finish in self._at_end:
            await finish()


class Trading:
    """The parts that an order passes. Each runs as its part of the trace."""

    def __init__(self, trace: CallTrace, stack: AsyncExitStack, data_dir: Path) -> None:
        self._trace = trace
        self._stack = stack
        self._enter = stack.enter_async_context
        self._data_dir = data_dir
        self._clock = ManualClock()
        self._orders = 0
        self.published: list[trade_flow_pb2.StreamExecutionsResponse] = []
        """What StreamExecutions has sent."""

    async def start(self) -> None:
        with self._trace.part("exchange"):
            self._exchange = await self._enter(exchange(VENUE, DIALECTS[VENUE], 200))
        self._stack.enter_context(self._exchange.calm())
        with self._trace.part("venue"):
            address = await self._start_venue()
        with self._trace.part("other"):
            base = f"{self._exchange.url}/{VENUE}"
            self._other = execution_client(_credentials(OTHER), base, transport="rest")
            self._stack.push_async_callback(self._other.close)
        self._stub = trade_flow_pb2_grpc.TradeFlowStub(await self._enter(rpc.channel(address)))
        reading = asyncio.create_task(self._read_executions())
        self._stack.push_async_callback(cancelled, reading)
        await until(lambda: self.published)

    async def order(self) -> None:
        """Place an order, have it filled, and wait until all of it is published."""
        self.published.clear()
        response = await self._stub.PlaceOrder(self._place_order_request())
        assert response.order.state == orders_pb2.ORDER_STATE_OPEN
        await self._sell()
        await until(self._is_published)

    async def _start_venue(self) -> str:
        venue = spot(Environment("simulate", self._exchange.url, limits_requests=True))
        self._stack.push_async_callback(venue.history.close)
        feed_handler = FeedHandler.of(venue, Meter(VENUE), self._clock)
        await feed_handler.instruments.refresh()
        feed_handler.subscribe([SYMBOL])
        book = await self._exchange.book(SYMBOL)
        tick_size = Decimal(self._exchange.tick_size(SYMBOL))
        self._price = max(Decimal(book.bids[0][0]), Decimal(book.asks[0][0]) - tick_size)
        bids, asks = PriceLevels.parse(book.bids), PriceLevels.parse(book.asks)
        feed_handler.book_manager.on_snapshot(SYMBOL, BookSnapshot(1, bids, asks, 0))
        mesh = MeshSettings(world="simulate", data_dir=str(self._data_dir))
        settings = OrdersSettings()
        accounts = venue_accounts(
            feed_handler, mesh, VenueSettings(), settings, demo_accounts.credentials
        )
        runtime: Any = Runtime()
        self._stack.push_async_callback(runtime.stop)
        accounts.serve(runtime)
        port = runtime.server.add_insecure_port("127.0.0.1:0")
        await runtime.server.start()
        account = accounts.by_name[OWN]
        assert isinstance(account.client, CcxtExecutionClient)
        socket = account.client.socket
        assert socket is not None
        await until(lambda: account.readiness.is_ready and socket.ready.is_set())
        return f"127.0.0.1:{port}"

    def _place_order_request(self) -> trade_flow_pb2.PlaceOrderRequest:
        content = orders_pb2.OrderContent(
            venue=VENUE,
            account=OWN,
            symbol=SYMBOL,
            side=types_pb2.SIDE_BUY,
            type=orders_pb2.ORDER_TYPE_LIMIT,
            time_in_force=orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL,
            size=SIZE,
            price=str(self._price),
        )
        self._orders += 1
        ends_ns = self._clock.time_ns() + 60 * NANOSECONDS_PER_SECOND
        scope, key = MeshScope("local", "simulate"), inspector_key(self._data_dir)
        signer = ApprovalSigner(INSPECTOR_KEY_ID, key, 1, scope)
        approved = signer.approve(content, f"order-{self._orders}", ends_ns)
        return trade_flow_pb2.PlaceOrderRequest(approved=approved)

    async def _sell(self) -> None:
        """Sell to the order what it buys."""
        sale = OrderRequest(
            client_order_id=f"{self._orders:032x}",
            symbol=SYMBOL,
            side=types_pb2.SIDE_SELL,
            type=orders_pb2.ORDER_TYPE_LIMIT,
            size=Decimal(SIZE),
            price=self._price,
            time_in_force=orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
        )
        assert isinstance(await self._other.place(sale), RequestAccepted)

    async def _read_executions(self) -> None:
        request = trade_flow_pb2.StreamExecutionsRequest(venue=VENUE, account=OWN)
        async for event in self._stub.StreamExecutions(request):
            self.published.append(event)

    def _is_published(self) -> bool:
        orders = [event.order for event in self.published if event.HasField("order")]
        is_filled = orders and orders[-1].state == orders_pb2.ORDER_STATE_FILLED
        fills = [event for event in self.published if event.HasField("fill")]
        balances = {event.balance.asset for event in self.published if event.HasField("balance")}
        return bool(is_filled and fills and len(balances) == BALANCES)


def _credentials(account: str) -> Credentials:
    secrets = demo_accounts.credentials(VENUE, account)
    assert secrets is not None
    return Credentials(account, secrets)


async def cancelled(task: "asyncio.Future[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_an_order_runs_the_functions_that_are_documented(tmp_path) -> None:
    trace = CallTrace()
    with trace.installed():
        async with AsyncExitStack() as stack:
            trading = Trading(trace, stack, tmp_path)
            await trading.start()
            for _ in range(WARM_UP_ORDERS):
                await trading.order()
            with trace.recording():
                await trading.order()
    differences = DocumentedPath.read("The way of an order").differences(trace)
    assert not differences, "\n".join([*differences, trace.table()])
