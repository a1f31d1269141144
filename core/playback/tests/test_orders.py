"""Paper orders in the process of a playback: placed, filled by recorded data, and after a kill."""

import asyncio
import time
from contextlib import asynccontextmanager

import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2, trade_flow_pb2, trade_flow_pb2_grpc

from core.playback.tests import recorded
from core.playback.tests.process import playback_process
from core.playback.tests.recorded import VENUE
from kit.base import errors, rpc
from kit.execution.approval.keys import INSPECTOR_KEY_ID, inspector_key
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from tests.support.waiting import WAIT_SECONDS_MAX

HERE = {"venue": VENUE, "account": "paper"}
BUY = types_pb2.SIDE_BUY
APPROVED_NS = 30 * 10**9
FILLED, PARTLY_FILLED = orders_pb2.ORDER_STATE_FILLED, orders_pb2.ORDER_STATE_PARTLY_FILLED
SELL_PRICE = "700"
"""Between the best bid and the best ask of the book, and below all trades."""


@pytest.fixture
async def store(postgres_url):
    recorded.record(postgres_url)
    return postgres_url


class Client:
    """Of one run of the process."""

    def __init__(self, channel, data):
        self.flow = trade_flow_pb2_grpc.TradeFlowStub(channel)
        self.admin = admin_pb2_grpc.AdminStub(channel)
        self._market = market_data_pb2_grpc.MarketDataStub(channel)
        scope, key = MeshScope("local", "replay"), inspector_key(data)
        self._signer = ApprovalSigner(INSPECTOR_KEY_ID, key, 1, scope)

    async def until(self, condition):
        """Ask at the beginning, and whenever something happens, until it is so."""
        call = self.flow.StreamExecutions(
            trade_flow_pb2.StreamExecutionsRequest(**HERE),
            wait_for_ready=True,
            timeout=WAIT_SECONDS_MAX,
        )
        async for _ in call:
            if await condition():
                call.cancel()
                return
        raise AssertionError("it ended before that")

    async def ready(self):
        """Wait until the account takes orders."""

        async def is_ready():
            request = accounts_pb2.ListAccountsRequest(venue=VENUE)
            (account,) = (await self.flow.ListAccounts(request)).accounts
            assert account.paper
            return account.state == accounts_pb2.ACCOUNT_STATE_READY

        await self.until(is_ready)

    def read(self):
        """Have it played, by reading trades and books."""

        async def reading():
            request = market_data_pb2.SubscribeRequest(
                venue=VENUE,
                channels=[types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK],
                start_at=market_data_pb2.START_AT_EARLIEST,
            )
            async for _ in self._market.Subscribe(request):
                pass

        return asyncio.create_task(reading())

    async def place(self, request_id, size, **fields):
        content = orders_pb2.OrderContent(
            **{**HERE, "symbol": "BTCUSDT", "side": types_pb2.SIDE_SELL, "size": size, **fields}
        )
        approved = self._signer.approve(content, request_id, time.time_ns() + APPROVED_NS)
        request = trade_flow_pb2.PlaceOrderRequest(venue=VENUE, approved=approved)
        return (await self.flow.PlaceOrder(request, timeout=WAIT_SECONDS_MAX)).order

    async def order(self, order):
        request = trade_flow_pb2.GetOrderRequest(client_order_id=order.client_order_id, **HERE)
        return (await self.flow.GetOrder(request, timeout=WAIT_SECONDS_MAX)).order

    async def fills(self, order):
        request = trade_flow_pb2.ListFillsRequest(
            client_order_id=order.client_order_id, page_size=500, **HERE
        )
        return (await self.flow.ListFills(request, timeout=WAIT_SECONDS_MAX)).fills

    async def reached(self, order, *states):
        """Wait until it is in one of these states."""

        async def is_there():
            return (await self.order(order)).state in states

        await self.until(is_there)


@asynccontextmanager
async def running(process, data):
    process.start()
    try:
        async with rpc.channel(process.address) as channel:
            client = Client(channel, data)
            await client.ready()
            yield client
    finally:
        process.kill()


def sells(size):
    return {"type": orders_pb2.ORDER_TYPE_LIMIT, "size": size, "price": SELL_PRICE}


async def test_orders_meet_what_is_played(store, tmp_path):
    process = playback_process(store, tmp_path, speed="1")
    async with running(process, tmp_path) as client:
        # Nothing is played yet: there is no reader.
        order = await client.place("waits", **sells("0.5"))
        assert order.state == orders_pb2.ORDER_STATE_ACKNOWLEDGED
        kind = orders_pb2.ORDER_TYPE_STOP
        stop = await client.place("stop", "0.3", type=kind, stop_price="61001.5", side=BUY)
        assert stop.held_here
        reading = client.read()
        await client.reached(order, FILLED)
        fills = await client.fills(order)
        assert {(fill.price, fill.size, fill.liquidity) for fill in fills} == {
            (SELL_PRICE, "0.01", orders_pb2.LIQUIDITY_MAKER)
        }
        assert len(fills) == 50
        await client.reached(stop, FILLED)
        assert [(fill.price, fill.size) for fill in await client.fills(stop)] == [("1000", "0.3")]
        # Each displayed size once: of 0.7 there are 0.4 left.
        late = await client.place("late", "0.5", type=orders_pb2.ORDER_TYPE_MARKET, side=BUY)
        assert (late.state, late.filled_size) == (orders_pb2.ORDER_STATE_EXPIRED, "0.4")
        reading.cancel()


async def test_after_kill_what_is_played_again_fills_nothing_again(store, tmp_path):
    process = playback_process(store, tmp_path, speed="1")
    async with running(process, tmp_path) as client:
        order = await client.place("waits", **sells("0.5"))
        reading = client.read()

        async def has_some():
            return len(await client.fills(order)) >= 10

        await client.until(has_some)
        ids = {fill.fill_id for fill in await client.fills(order)}
        reading.cancel()
    process = playback_process(store, tmp_path, speed="1")
    async with running(process, tmp_path) as client:
        assert (await client.order(order)).state == PARTLY_FILLED
        reading = client.read()
        await client.reached(order, FILLED)
        fills = await client.fills(order)
        assert ids <= {fill.fill_id for fill in fills}
        assert len(fills) == 50
        assert {(fill.price, fill.size) for fill in fills} == {(SELL_PRICE, "0.01")}
        asked = trade_flow_pb2.ListBalancesRequest(**HERE)
        balances = (await client.flow.ListBalances(asked)).balances
        assert [one.total for one in balances if one.asset == "BTC"] == ["0.5"]
        reading.cancel()


async def test_without_a_book_in_the_record_an_order_is_refused(store, tmp_path):
    async with running(playback_process(store, tmp_path), tmp_path) as client:
        order = await client.place("no-book", symbol="ETHUSDT", **sells("0.5"))
        assert order.state == orders_pb2.ORDER_STATE_REJECTED
        assert order.reject_reason == orders_pb2.REJECT_REASON_INSTRUMENT
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await client.place("unknown", symbol="XRPUSDT", **sells("0.5"))
        assert errors.reason_of(unknown.value) == "UNKNOWN_INSTRUMENT"


async def test_what_stands_still_can_be_traded_with(store, tmp_path):
    process = playback_process(store, tmp_path, speed="1", symbols="BTCUSDT")
    async with running(process, tmp_path) as client:
        order = await client.place("waits", **sells("0.5"))
        reading = client.read()
        await client.reached(order, PARTLY_FILLED)
        await client.admin.Pause(admin_pb2.PauseRequest())
        asked = trade_flow_pb2.CancelOrderRequest(client_order_id=order.client_order_id, **HERE)
        cancelled = (await client.flow.CancelOrder(asked)).order
        assert cancelled.state == orders_pb2.ORDER_STATE_CANCELLED
        bought = await client.place("buys", "0.1", type=orders_pb2.ORDER_TYPE_MARKET, side=BUY)
        assert bought.state == FILLED
        reading.cancel()
