"""What a venue reports becomes an event once, whatever breaks off in between."""

import asyncio
from contextlib import asynccontextmanager, suppress

import grpc
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import (
    cash_flows_pb2,
    orders_pb2,
    snapshots_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from core.ledger import execution_collector
from core.ledger.booker import Booker
from core.ledger.event_postings import EventPostings
from core.ledger.execution_collector import ExecutionCollector, VenueAccount, VenueInstruments
from core.ledger.execution_store import ExecutionStore
from core.ledger.position_state import AVERAGE
from core.ledger.postgres_store import PostgresStore
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.cursor import Cursor
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.migration import migrate
from kit.base.telemetry import Meter
from kit.events import event_log
from tests.support.waiting import WAIT_SECONDS_MAX, until

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


class RestartedIntake:
    """An intake of one venue, which can be ended and started."""

    def __init__(self, database, channel) -> None:
        self.database = database
        self.channel = channel
        booker = Booker(database, PostgresStore(), EventPostings(AVERAGE), SystemClock())
        self.store = ExecutionStore(database, booker, "binance", "main")
        self.meter = Meter("ledger")

    @asynccontextmanager
    async def runs(self):
        clock = SystemClock()
        reasons = DegradedReasons(self.meter)
        instruments = VenueInstruments("binance", market_data_pb2_grpc.MarketDataStub(self.channel))
        stub = trade_flow_pb2_grpc.TradeFlowStub(self.channel)
        account = VenueAccount("binance", "main", stub, instruments)
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
    if event.HasField("order_filled"):
        return f"fill {event.order_filled.fill.fill_id}"
    return f"flow {event.cash_moved.cash_flow.cash_flow_id}"


@pytest.fixture
async def venue():
    return Venue()


@pytest.fixture
async def instruments():
    return Instruments()


@pytest.fixture
async def intake(venue, instruments, postgres_url, monkeypatch):
    monkeypatch.setattr(execution_collector, "LIST_EVERY_SECONDS", 0.05)
    await migrate(postgres_url)
    database = Database(postgres_url)
    server = grpc.aio.server()
    trade_flow_pb2_grpc.add_TradeFlowServicer_to_server(venue, server)
    market_data_pb2_grpc.add_MarketDataServicer_to_server(instruments, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield RestartedIntake(database, channel)
    await server.stop(None)
    await database.close()


async def test_all_that_a_venue_lists_is_stored_at_the_first_contact(intake, venue):
    venue.fills = [fill(number) for number in range(1, 6)]
    venue.flows = [flow(2), flow(3)]
    async with intake.runs():
        found = await intake.until(*(f"fill {n}" for n in range(1, 6)), "flow 2", "flow 3")
    fills = [event for event in found if event.HasField("order_filled")]
    assert [event.time_ns for event in fills] == sorted(event.time_ns for event in fills)
    assert {event.lifecycle_id for event in found if event.HasField("order_filled")} == {CHAIN}


async def test_a_stream_is_resumed_after_what_is_stored(intake, venue):
    async with intake.runs():
        venue.add(fill(1))
        await intake.until_cursor(1)
    async with intake.runs():
        venue.add(fill(2))
        await intake.until_cursor(2)
    assert [name_of(event) for event in await intake.events()] == ["fill 1", "fill 2"]
    assert venue.resumed_after == [(0, 0), (EPOCH, 1)]


async def test_a_fill_names_the_strategy_whose_signal_began_its_chain(intake, venue):
    signal = event_pb2.Event(event_id=CHAIN, source="detector", lifecycle_id=CHAIN)
    signal.signal_raised.strategy = "ema_cross"
    async with intake.database.transaction() as connection:
        await event_log.append(connection, event_pb2.EVENT_STREAM_SIGNALS, [signal], START_NS)
    async with intake.runs():
        venue.add(fill(1))
        (found,) = await intake.until("fill 1")
    assert found.order_filled.strategy == "ema_cross"


async def test_a_burst_is_stored_in_few_transactions(intake, venue, monkeypatch):
    saved = []
    save = intake.store.save

    async def counted(before, after, events, instruments):
        saved.append(len(events))
        return await save(before, after, events, instruments)

    monkeypatch.setattr(intake.store, "save", counted)
    async with intake.runs():
        venue.add(fill(1))
        await intake.until_cursor(1)
        saved.clear()
        for number in range(2, 302):
            venue.add(fill(number))
        await intake.until_cursor(301)
    assert len(saved) < 100
    assert len(await intake.events()) == 301


async def test_a_long_list_is_stored_in_parts_that_stay(intake, venue, monkeypatch):
    monkeypatch.setattr(execution_collector, "ARRIVED_MAX", 2)
    stored, killed, go_on = [], asyncio.Event(), asyncio.Event()
    save = intake.store.save

    async def failing(before, after, events, instruments):
        if killed.is_set():
            await go_on.wait()
        elif stored:
            killed.set()
            raise StoreUnavailable("killed", store="postgresql")
        changed = await save(before, after, events, instruments)
        stored.append(len(events))
        return changed

    monkeypatch.setattr(intake.store, "save", failing)
    venue.fills = [fill(number) for number in range(1, 6)]
    async with intake.runs():
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await killed.wait()
        await intake.until("fill 1", "fill 2")
        assert (await intake.store.position()).fills_time_ns == fill(2).venue_time_ns
        go_on.set()
        await intake.until(*(f"fill {number}" for number in range(1, 6)))
    assert max(stored) == 2


async def test_what_happened_while_the_cursor_was_lost_is_listed(intake, venue):
    async with intake.runs():
        venue.add(fill(50))
        await intake.until("fill 50")
    venue.holds_cursors = False
    # The second one happened earlier, and was found late.
    venue.fills += [fill(51), fill(49)]
    async with intake.runs():
        found = await intake.until("fill 49", "fill 50", "fill 51")
    assert name_of(found[0]) == "fill 50"


async def test_what_is_only_listed_comes_while_the_stream_runs(intake, venue):
    async with intake.runs():
        venue.add(fill(1))
        await intake.until("fill 1")
        venue.flows.append(flow(9))
        found = await intake.until("fill 1", "flow 9")
    assert found[-1].cash_moved.cash_flow == flow(9)


async def test_fills_are_stored_while_the_exchange_lists_no_cash_flows(intake, venue):
    venue.lists_cash_flows = False
    async with intake.runs():
        venue.add(fill(1))
        await intake.until("fill 1")
        await until(lambda: "cash flows of binance/main: away" in intake.meter.status().detail)
        venue.lists_cash_flows = True
        venue.flows.append(flow(1))
        await intake.until("fill 1", "flow 1")
        await until(lambda: not intake.meter.status().detail)
    assert len(await intake.events()) == 2


async def test_a_list_of_cash_flows_that_breaks_off_goes_on_where_it_was(intake, venue):
    venue.flows = [flow(number) for number in range(1, 5)]
    venue.pages_until_away = 2
    async with intake.runs():
        await intake.until("flow 1", "flow 2")
        await until(lambda: len(venue.pages_asked) >= 4)
        venue.pages_until_away = 1 << 30
        await intake.until(*(f"flow {number}" for number in range(1, 5)))
    assert venue.pages_asked[:4] == ["", "1", "2", "2"]
    assert set(venue.pages_asked[4 : venue.pages_asked.index("3")]) == {"2"}


async def test_a_list_of_cash_flows_that_broke_off_long_ago_begins_again(
    intake, venue, monkeypatch
):
    """Otherwise what the venue lists late, with a time before the missing page, stays unread."""
    monkeypatch.setattr(execution_collector, "CASH_FLOWS_GO_ON_SECONDS", 0)
    monkeypatch.setattr(execution_collector, "CASH_FLOWS_BACK_SECONDS", 1)
    venue.flows = [flow(number) for number in (1, 3, 4)]
    venue.pages_until_away = 2
    async with intake.runs():
        await intake.until("flow 1", "flow 3")
        await until(lambda: len(venue.pages_asked) >= 3)
        venue.flows.insert(1, flow(2))
        venue.pages_until_away = 1 << 30
        await intake.until(*(f"flow {number}" for number in range(1, 5)))
    assert venue.pages_asked[:4] == ["", "1", "2", ""]


async def test_a_page_that_is_not_known_any_more_is_not_asked_for_again(intake, venue):
    venue.flows = [flow(1), flow(2)]
    venue.rejects_page = "1"
    async with intake.runs():
        await intake.until("flow 1")
        await until(lambda: venue.pages_asked.count("") >= 2)
        venue.rejects_page = None
        await intake.until("flow 1", "flow 2")
    assert venue.pages_asked[:3] == ["", "1", ""]


async def test_a_fill_of_an_unknown_instrument_waits_until_it_is_listed(intake, venue, instruments):
    instruments.is_listed = False
    async with intake.runs():
        venue.add(fill(1))
        await until(lambda: "the terms of 'BTCUSDT'" in intake.meter.status().detail)
        assert await intake.events() == []
        instruments.is_listed = True
        await intake.until("fill 1")
        await until(lambda: not intake.meter.status().detail)


async def test_a_fill_with_other_values_changes_nothing_and_is_reported(intake, venue):
    async with intake.runs():
        venue.add(fill(1))
        await intake.until("fill 1")
        venue.add(fill(1, price="101", second=1))
        await until(lambda: "reports an execution again" in intake.meter.status().detail)
    (event,) = await intake.events()
    assert event.order_filled.fill.price == "100"
