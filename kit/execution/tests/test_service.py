"""TradeFlow over gRPC: orders, lists, streams, and the reasons of rejections."""

import asyncio
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

import grpc
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    fences_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from kit.base import rpc
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.errors import error_info
from kit.execution.account import Account
from kit.execution.context import AccountContext
from kit.execution.contract import VenueBalance
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.journal_file import JournalFile, SingleThreadExecutor
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.service import TradeFlowServicer
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import FakeClient, FakeVenue, limit_order
from kit.execution.tests.simulated_process import SPOT, signer, verifier
from tests.support.waiting import WAIT_SECONDS_MAX

WHERE = {"venue": "fake", "account": "main"}


@dataclass
class Served:
    account: Account
    stub: trade_flow_pb2_grpc.TradeFlowStub
    venue: FakeVenue
    clock: SystemClock

    def approved(self, content=None, request_id="r", epoch=1, seconds=60, target="", **more):
        ends_ns = self.clock.time_ns() + seconds * NANOSECONDS_PER_SECOND
        operation = signed_pb2.OPERATION_AMEND if target else signed_pb2.OPERATION_PLACE
        content = content or limit_order(**more)
        return signer(epoch).approve(content, request_id, ends_ns, operation, target)

    def heartbeat(self, epoch):
        return signer(epoch).heartbeat(time_ns=self.clock.time_ns(), **WHERE)

    async def place(self, **more):
        approved = self.approved(**more)
        request = trade_flow_pb2.PlaceOrderRequest(approved=approved)
        return (await self.stub.PlaceOrder(request)).order


@asynccontextmanager
async def serving(folder):
    clock = SystemClock()
    venue = FakeVenue(1, clock, unreliable=False)
    venue.balances = [
        VenueBalance("BTC", Decimal(5), Decimal(5)),
        VenueBalance("USDT", Decimal(10_000), Decimal(9_000)),
    ]
    thread = SingleThreadExecutor("journal")
    settings = OrdersSettings(price_band_percent=0, market_band_percent=0)
    context = AccountContext("fake", "main", clock, settings, jitter=random.Random(1))
    account = Account(
        context,
        FakeClient(venue),
        AccountJournal(JournalFile(folder, "main"), thread, clock),
        verifier(),
        ReferenceMarketData({"BTCUSDT": SPOT}.get),
    )
    server = rpc.server()
    servicer = TradeFlowServicer("fake", {"main": account})
    rpc.serve(server, trade_flow_pb2.DESCRIPTOR.services_by_name["TradeFlow"], servicer)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    running = asyncio.ensure_future(account.run())
    try:
        async with rpc.channel(f"127.0.0.1:{port}") as channel:
            stub = trade_flow_pb2_grpc.TradeFlowStub(channel)
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while not account.readiness.is_ready:
                    await asyncio.sleep(0.01)
            yield Served(account, stub, venue, clock)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await account.close()
        thread.close()
        await server.stop(0)


async def test_self_trade_is_prevented_here_where_the_venue_does_not(tmp_path):
    async with serving(tmp_path) as served:
        nothing = replace(served.venue.capabilities, self_trade_prevention=frozenset())
        served.venue.capabilities = nothing
        first = await served.place(request_id="first")
        allow = orders_pb2.SELF_TRADE_PREVENTION_ALLOW
        second = await served.place(request_id="second", side=types_pb2.SIDE_SELL)
        assert second.state == orders_pb2.ORDER_STATE_REJECTED
        assert second.reject_reason == orders_pb2.REJECT_REASON_SELF_TRADE
        assert first.client_order_id in second.detail
        third = await served.place(
            request_id="third", side=types_pb2.SIDE_SELL, self_trade_prevention=allow
        )
        assert third.state == orders_pb2.ORDER_STATE_OPEN
        assert third.content.self_trade_prevention == allow


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info(caught.value)
    return (info.reason, dict(info.metadata)) if info is not None else ("", {})


async def test_order_is_placed_filled_and_published(tmp_path):
    async with serving(tmp_path) as served:
        order = await served.place()
        assert order.state == orders_pb2.ORDER_STATE_OPEN
        assert await served.place() == order
        events = served.stub.StreamExecutions(trade_flow_pb2.StreamExecutionsRequest(**WHERE))
        snapshot = await events.read()
        assert list(snapshot.snapshot.orders) == [order]
        served.venue.fill(served.venue.by_client_id[order.client_order_id], Decimal(1))
        fill, after = await events.read(), await events.read()
        assert fill.fill.size == "1"
        assert after.order.state == orders_pb2.ORDER_STATE_PARTLY_FILLED
        events.cancel()
        resumed = served.stub.StreamExecutions(
            trade_flow_pb2.StreamExecutionsRequest(resume_after=fill.cursor, **WHERE)
        )
        assert await resumed.read() == after
        named = {"client_order_id": order.client_order_id, **WHERE}
        wanted = limit_order(size="3", price="100.5")
        amended = await served.stub.AmendOrder(
            trade_flow_pb2.AmendOrderRequest(
                approved=served.approved(wanted, "a", target=order.client_order_id), **named
            )
        )
        assert (amended.order.content.size, amended.order.content.price) == ("3", "100.5")
        cancelled = await served.stub.CancelOrder(trade_flow_pb2.CancelOrderRequest(**named))
        assert cancelled.order.state == orders_pb2.ORDER_STATE_CANCELLED
        found = await served.stub.GetOrder(trade_flow_pb2.GetOrderRequest(**named))
        assert found.order == cancelled.order
        assert found.order.average_price == fill.fill.price


async def test_rejection_has_its_reason(tmp_path):
    async with serving(tmp_path) as served:
        stub = served.stub

        async def refused(approved):
            request = trade_flow_pb2.PlaceOrderRequest(approved=approved)
            return await refusal(stub.PlaceOrder(request))

        reason, metadata = await refused(served.approved(size="0.0001"))
        assert (reason, metadata["field"], metadata["nearest"]) == (
            "INVALID_ORDER",
            "size",
            "0.002",
        )
        reason, metadata = await refused(served.approved(seconds=-1))
        assert (reason, metadata["why"]) == ("APPROVAL_REFUSED", "expired")
        forged = served.approved()
        forged.content.size = "3"
        assert (await refused(forged))[1]["why"] == "signature"
        assert (await refused(signed_pb2.ApprovedOrder()))[0] == "UNKNOWN_VENUE"
        other = served.approved(account="other")
        assert (await refused(other))[0] == "UNKNOWN_ACCOUNT"
        assert (await refused(served.approved(symbol="NO")))[0] == "UNKNOWN_INSTRUMENT"
        assert (await refused(served.approved(request_id="ä")))[0] == "BAD_REQUEST"
        trailing = orders_pb2.ORDER_TYPE_TRAILING_STOP
        held = served.approved(type=trailing, price="", trailing_offset="1")
        assert (await refused(held))[0] == "NOT_SUPPORTED"
        assert not served.venue.sends
        assert not served.account.state.index.orders
        await served.place()
        assert (await refused(served.approved(size="3")))[0] == "REQUEST_ID_REUSED"
        unknown = trade_flow_pb2.GetOrderRequest(client_order_id="x", **WHERE)
        assert (await refusal(stub.GetOrder(unknown)))[0] == "UNKNOWN_ORDER"


async def test_cancelling_all_of_a_wrong_symbol_is_not_silent(tmp_path):
    async with serving(tmp_path) as served:
        asked = served.venue.calls.total()
        for symbol in ("BTCUSD", "BTC\nUSDT", "X" * 64):
            wrong = trade_flow_pb2.CancelAllOrdersRequest(symbol=symbol, **WHERE)
            assert (await refusal(served.stub.CancelAllOrders(wrong)))[0] == "UNKNOWN_INSTRUMENT"
        assert served.venue.calls.total() == asked
        right = trade_flow_pb2.CancelAllOrdersRequest(symbol="BTCUSDT", **WHERE)
        assert not (await served.stub.CancelAllOrders(right)).orders


async def test_reason_of_a_very_long_request_arrives(tmp_path):
    async with serving(tmp_path) as served:
        for text in ("x" * 2_000_000, "\n€" * 10_000):
            unknown = trade_flow_pb2.GetOrderRequest(client_order_id=text, **WHERE)
            reason, metadata = await refusal(served.stub.GetOrder(unknown))
            assert (reason, metadata["field"]) == ("BAD_REQUEST", "client_order_id")
            assert metadata["value"].endswith(f"({len(text)} characters)")
            approved = served.approved()
            approved.key_id = text
            request = trade_flow_pb2.PlaceOrderRequest(approved=approved)
            reason, metadata = await refusal(served.stub.PlaceOrder(request))
            assert (reason, metadata["why"]) == ("APPROVAL_REFUSED", "unknown_key")


async def test_replaced_authority_is_rejected_after_a_restart(tmp_path):
    async with serving(tmp_path) as served:
        await served.place(epoch=7)
        heartbeat = served.stub.Heartbeat
        assert (await refusal(heartbeat(served.heartbeat(6))))[1]["why"] == "stale_epoch"
        unsigned = signed_pb2.HeartbeatRequest(fencing_epoch=9, **WHERE)
        assert (await refusal(heartbeat(unsigned)))[1]["why"] == "missing"
        assert (await heartbeat(served.heartbeat(9))).account.account == "main"
    async with serving(tmp_path) as served:
        old = served.approved(epoch=8, request_id="s")
        request = trade_flow_pb2.PlaceOrderRequest(approved=old)
        reason, metadata = await refusal(served.stub.PlaceOrder(request))
        assert (reason, metadata["why"]) == ("APPROVAL_REFUSED", "stale_epoch")
        # What was placed before is still the same order.
        assert (await served.place(epoch=7)).request_id == "r"


async def test_entries_are_void_that_were_approved_before_a_fence_also_after_a_restart(tmp_path):
    def approved(served, number, operation=signed_pb2.OPERATION_PLACE):
        is_order = operation == signed_pb2.OPERATION_PLACE
        content = limit_order() if is_order else orders_pb2.OrderContent(**WHERE)
        ends_ns = served.clock.time_ns() + NANOSECONDS_PER_SECOND
        return signer(1).approve(content, f"r{number}", ends_ns, operation, entry_fence=number)

    async with serving(tmp_path) as served:
        fence = fences_pb2.FenceEntriesRequest(
            approved=approved(served, 4, signed_pb2.OPERATION_FENCE), **WHERE
        )
        assert (await served.stub.FenceEntries(fence)).account.account == "main"
        fence.approved.entry_fence = 5
        assert (await refusal(served.stub.FenceEntries(fence)))[1]["why"] == "signature"
        fence.approved.CopyFrom(approved(served, 5))
        assert (await refusal(served.stub.FenceEntries(fence)))[1]["why"] == "operation"
    async with serving(tmp_path) as served:
        request = trade_flow_pb2.PlaceOrderRequest(approved=approved(served, 3))
        reason, metadata = await refusal(served.stub.PlaceOrder(request))
        assert (reason, metadata["why"]) == ("APPROVAL_REFUSED", "fenced")
        request.approved.CopyFrom(approved(served, 4))
        assert (await served.stub.PlaceOrder(request)).order.request_id == "r4"


async def test_repeated_heartbeat_has_no_effect(tmp_path):
    async with serving(tmp_path) as served:
        first, second = served.heartbeat(1), served.heartbeat(1)
        await served.stub.Heartbeat(second)
        dead_man = served.account.dead_man
        dead_man.has_fired = True
        for old in (second, first):
            assert (await served.stub.Heartbeat(old)).account.dead_man_fired
        assert not (await served.stub.Heartbeat(served.heartbeat(1))).account.dead_man_fired


@pytest.mark.parametrize("size", ["2", "0.0001"])
async def test_rejected_order_still_raises_the_epoch(tmp_path, size):
    async with serving(tmp_path) as served:
        request = trade_flow_pb2.PlaceOrderRequest(approved=served.approved(size=size, epoch=7))
        await asyncio.gather(served.stub.PlaceOrder(request), return_exceptions=True)
    async with serving(tmp_path) as served:
        old = served.approved(epoch=6, request_id="s")
        request = trade_flow_pb2.PlaceOrderRequest(approved=old)
        assert (await refusal(served.stub.PlaceOrder(request)))[1]["why"] == "stale_epoch"


async def test_lists_are_paged(tmp_path):
    async with serving(tmp_path) as served:
        for number in range(5):
            order = await served.place(request_id=str(number), size="1")
            served.venue.fill(served.venue.by_client_id[order.client_order_id], Decimal("0.5"))
        orders, token = [], ""
        for size in (2, 2, 1):
            page = await served.stub.ListOpenOrders(
                trade_flow_pb2.ListOpenOrdersRequest(page_size=2, page_token=token, **WHERE)
            )
            assert len(page.orders) == size
            orders += [order.request_id for order in page.orders]
            token = page.next_page_token
        assert (orders, token) == ([str(number) for number in range(5)], "")
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while len(served.account.state.index.fills) < 5:
                await asyncio.sleep(0.01)
        fills, token = [], ""
        for _ in range(3):
            request = trade_flow_pb2.ListFillsRequest(page_size=2, page_token=token, **WHERE)
            page = await served.stub.ListFills(request)
            fills += [int(fill.fill_id) for fill in page.fills]
            token = page.next_page_token
        assert fills == sorted(fills, reverse=True)
        assert (len(fills), token) == (5, "")
        foreign = trade_flow_pb2.ListFillsRequest(page_token="x", **WHERE)
        assert (await refusal(served.stub.ListFills(foreign)))[0] == "BAD_PAGE_TOKEN"


async def test_balances_positions_and_accounts_are_listed(tmp_path):
    async with serving(tmp_path) as served:
        stub = served.stub
        balances = await stub.ListBalances(trade_flow_pb2.ListBalancesRequest(**WHERE))
        _, usdt = balances.balances
        assert (usdt.asset, usdt.total, usdt.free) == ("USDT", "10000", "9000")
        positions = await stub.ListPositions(trade_flow_pb2.ListPositionsRequest(**WHERE))
        assert not positions.positions
        accounts = await stub.ListAccounts(accounts_pb2.ListAccountsRequest(venue="fake"))
        (account,) = accounts.accounts
        assert account.state == accounts_pb2.ACCOUNT_STATE_READY
        await served.place()
        await served.place(request_id="s", side=types_pb2.SIDE_BUY)
        all_of_it = await stub.CancelAllOrders(trade_flow_pb2.CancelAllOrdersRequest(**WHERE))
        states = {order.state for order in all_of_it.orders}
        assert states == {orders_pb2.ORDER_STATE_CANCELLED}
        assert len(all_of_it.orders) == 2
