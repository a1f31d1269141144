"""Readers of one account, and the venue whose process they ask."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    cash_flows_pb2,
    orders_pb2,
    snapshots_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from core.ledger.event_postings import EventPostings
from core.ledger.execution_collector import ExecutionCollector, VenueAccount, VenueInstruments
from core.ledger.execution_store import ExecutionStore
from core.ledger.position_state import AVERAGE
from core.ledger.postgres_store import PostgresStore
from core.ledger.posting_writer import PostingWriter
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.cursor import Cursor
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter
from kit.events import event_log
from tests.support.waiting import WAIT_SECONDS_MAX

CHAIN = bytes(range(16))
START_NS = 1_700_000_000 * NANOSECONDS_PER_SECOND
EPOCH = 7


def fill(number: int, price: str = "100", second: int = 0) -> orders_pb2.Fill:
    return orders_pb2.Fill(
        venue="binance",
        account="main",
        symbol="BTCUSDT",
        fill_id=str(number),
        client_order_id=f"order {number}",
        price=price,
        size="1",
        venue_time_ns=START_NS + (second or number) * NANOSECONDS_PER_SECOND,
    )


def flow(number: int) -> cash_flows_pb2.CashFlow:
    return cash_flows_pb2.CashFlow(
        venue="binance",
        account="main",
        cash_flow_id=str(number),
        kind=cash_flows_pb2.CASH_FLOW_KIND_FUNDING,
        asset="USDT",
        amount="-0.1",
        venue_time_ns=START_NS + number * NANOSECONDS_PER_SECOND,
    )


class Venue(trade_flow_pb2_grpc.TradeFlowServicer):
    """A venue's process, with executions that the test adds."""

    def __init__(self) -> None:
        self.fills: list[orders_pb2.Fill] = []
        self.flows: list[cash_flows_pb2.CashFlow] = []
        self.streamed: list[trade_flow_pb2.StreamExecutionsResponse] = []
        self.resumed_after: list[Cursor] = []
        self.holds_cursors = True
        self.lists_cash_flows = True
        self.pages_until_away = 1 << 30
        self.pages_asked: list[str] = []
        self.rejects_page: str | None = None
        self.balances = {"BTC": "3", "USDT": "5000"}

    def add(self, one: orders_pb2.Fill) -> None:
        self.fills.append(one)
        response = trade_flow_pb2.StreamExecutionsResponse(fill=one)
        response.cursor.CopyFrom(self.cursor())
        self.streamed.append(response)

    def cursor(self):
        return Cursor(EPOCH, len(self.fills)).message()

    async def StreamExecutions(self, request, context):
        self.resumed_after.append(Cursor.of(request.resume_after))
        if not (request.HasField("resume_after") and self.holds_cursors):
            snapshot = snapshots_pb2.ExecutionSnapshot()
            yield trade_flow_pb2.StreamExecutionsResponse(cursor=self.cursor(), snapshot=snapshot)
            sent = len(self.streamed)
        else:
            sent = request.resume_after.sequence
        while True:
            for response in self.streamed[sent:]:
                yield response
                sent += 1
            await asyncio.sleep(0.01)

    async def ListFills(self, request, context):
        """Two on a page, newest first."""
        newest = sorted(self.fills, key=lambda one: one.venue_time_ns, reverse=True)
        start = int(request.page_token or "0")
        rest = str(start + 2) if start + 2 < len(newest) else ""
        return trade_flow_pb2.ListFillsResponse(
            fills=newest[start : start + 2], next_page_token=rest
        )

    async def ListCashFlows(self, request, context):
        if not self.lists_cash_flows:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.pages_asked.append(request.page_token)
        if len(self.pages_asked) > self.pages_until_away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if request.page_token == self.rejects_page:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such page")
        found = [one for one in self.flows if one.venue_time_ns >= request.start_time_ns]
        start = int(request.page_token or "0")
        rest = str(start + 1) if start + 1 < len(found) else ""
        return cash_flows_pb2.ListCashFlowsResponse(
            cash_flows=found[start : start + 1], next_page_token=rest
        )

    async def ListAccounts(self, request, context):
        ready = accounts_pb2.Account(account="main", state=accounts_pb2.ACCOUNT_STATE_READY)
        return accounts_pb2.ListAccountsResponse(accounts=[ready])

    async def ListBalances(self, request, context):
        found = [orders_pb2.Balance(asset=name, total=one) for name, one in self.balances.items()]
        return trade_flow_pb2.ListBalancesResponse(balances=found, as_of_time_ns=time.time_ns())

    async def ListPositions(self, request, context):
        return trade_flow_pb2.ListPositionsResponse()

    async def GetOrder(self, request, context):
        order = orders_pb2.Order(request_id=f"lc-{CHAIN.hex()}-1")
        return trade_flow_pb2.GetOrderResponse(order=order)


class Instruments(market_data_pb2_grpc.MarketDataServicer):
    """The market data service of the venue's process."""

    def __init__(self) -> None:
        self.is_listed = True

    async def ListInstruments(self, request, context):
        if not self.is_listed:
            return market_data_pb2.ListInstrumentsResponse()
        listed = types_pb2.Instrument(
            venue="binance",
            symbol="BTCUSDT",
            kind=types_pb2.INSTRUMENT_KIND_SPOT,
            base="BTC",
            quote="USDT",
            size_unit=types_pb2.SIZE_UNIT_BASE,
        )
        return market_data_pb2.ListInstrumentsResponse(instruments=[listed])


class RestartedCollector:
    """An intake of one venue, which can be ended and started."""

    def __init__(self, database, channel) -> None:
        self.database = database
        self.channel = channel
        writer = PostingWriter(database, PostgresStore(), EventPostings(AVERAGE), SystemClock())
        self.store = ExecutionStore(database, writer, "binance", "main")
        self.meter = Meter("ledger")
        self.is_paper = True

    @asynccontextmanager
    async def runs(self):
        clock = SystemClock()
        reasons = DegradedReasons(self.meter)
        instruments = VenueInstruments("binance", market_data_pb2_grpc.MarketDataStub(self.channel))
        stub = trade_flow_pb2_grpc.TradeFlowStub(self.channel)
        account = VenueAccount("binance", "main", stub, instruments, is_paper=self.is_paper)
        reader = ExecutionCollector(account, self.store, reasons, clock)
        task = asyncio.create_task(reader.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def events(self):
        async with self.database.transaction() as connection:
            found = await event_log.read(connection, event_pb2.EVENT_STREAM_EXECUTIONS, 0)
        return [one.event() for one in found]

    async def until_cursor(self, sequence: int) -> None:
        """Wait until the stream is stored up to here: the lists may bring a fill before it does."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while (await self.store.position()).cursor != (EPOCH, sequence):
                await asyncio.sleep(0.01)

    async def until(self, *expected: str) -> list[event_pb2.Event]:
        """Wait until these fills and cash flows are stored, in any order."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while sorted(map(name_of, found := await self.events())) != sorted(expected):
                await asyncio.sleep(0.01)
        return found


def name_of(event: event_pb2.Event) -> str:
    if event.HasField("balances_opened"):
        return "opening"
    if event.HasField("order_filled"):
        return f"fill {event.order_filled.fill.fill_id}"
    return f"flow {event.cash_moved.cash_flow.cash_flow_id}"
