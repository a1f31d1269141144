"""What is read of a venue's process, over gRPC."""

from decimal import Decimal

import grpc
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.registry.v1 import registry_pb2
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2, trade_flow_pb2, trade_flow_pb2_grpc

from core.inspector.account_reports import READY, AccountReports, state_name
from core.inspector.venue_processes import TRADE_FLOW, VenueProcesses
from kit.base.clock import SystemClock
from kit.base.errors import UnknownService

RECONCILING = accounts_pb2.ACCOUNT_STATE_RECONCILING


class VenueProcess(trade_flow_pb2_grpc.TradeFlowServicer):
    """Lists two accounts, and the open orders of the first in two pages."""

    def __init__(self):
        self.is_silent = False
        self.has_balances = True

    async def ListAccounts(self, request, context):
        if self.is_silent:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        accounts = [
            accounts_pb2.Account(account="main", state=READY, paper=True),
            accounts_pb2.Account(account="new", state=RECONCILING, detail="reading fills"),
        ]
        return accounts_pb2.ListAccountsResponse(accounts=accounts)

    async def ListOpenOrders(self, request, context):
        number = request.page_token or "1"
        order = orders_pb2.Order(venue_order_id=number)
        token = "2" if number == "1" else ""
        return trade_flow_pb2.ListOpenOrdersResponse(orders=[order], next_page_token=token)

    async def ListPositions(self, request, context):
        position = orders_pb2.Position(symbol="BTCUSDT", size="-0.5")
        return trade_flow_pb2.ListPositionsResponse(positions=[position], as_of_time_ns=7)

    async def ListBalances(self, request, context):
        if not self.has_balances:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "late")
        balance = orders_pb2.Balance(asset="USDT", total="100.5", free="1")
        return trade_flow_pb2.ListBalancesResponse(balances=[balance], as_of_time_ns=8)

    async def ListFills(self, request, context):
        fill = orders_pb2.Fill(fill_id="3", side=types_pb2.SIDE_BUY)
        return trade_flow_pb2.ListFillsResponse(fills=[fill])


class Registered:
    """ServiceChannels to it, and to a process of market data alone."""

    def __init__(self, address):
        self.open = grpc.aio.insecure_channel(address)

    def names(self):
        return ["binance", "prices"]

    def instances(self, name):
        services = [TRADE_FLOW] if name == "binance" else []
        return [registry_pb2.ServiceInstance(name=name, grpc_services=services)]

    async def channel(self, name, wait_seconds=0.0, epoch=0):
        if name != "binance":
            raise UnknownService(f"no {name}", name=name)
        return self.open


@pytest.fixture
async def venue():
    server, process = grpc.aio.server(), VenueProcess()
    trade_flow_pb2_grpc.add_TradeFlowServicer_to_server(process, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channels = Registered(f"127.0.0.1:{port}")
    process.reports = AccountReports(VenueProcesses(channels, SystemClock()))
    yield process
    await channels.open.close()
    await server.stop(None)


async def test_ready_account_is_read_whole_and_another_one_is_unreadable(venue):
    found = await venue.reports.read()
    assert sorted(found) == [("binance", "main"), ("binance", "new")]
    report = found["binance", "main"]
    assert (report.balances, report.balances_time_ns) == ({"USDT": Decimal("100.5")}, 8)
    assert (report.positions, report.positions_time_ns) == ({"BTCUSDT": Decimal("-0.5")}, 7)
    assert [one.venue_order_id for one in report.orders] == ["1", "2"]
    assert report.is_paper
    assert found["binance", "new"].problem == "the account is RECONCILING: reading fills"


async def test_venue_that_does_not_answer_has_no_reports(venue):
    venue.is_silent = True
    assert await venue.reports.read() == {}


async def test_account_that_does_not_answer_is_unreadable(venue):
    venue.has_balances = False
    found = await venue.reports.read()
    assert found["binance", "main"].problem.startswith("the venue's process does not answer")


async def test_fills_are_listed(venue):
    (fill,) = await venue.reports.fills("binance", "main")
    assert fill.fill_id == "3"


def test_states_have_short_names():
    assert state_name(orders_pb2.ORDER_STATE_PARTLY_FILLED) == "PARTLY_FILLED"
