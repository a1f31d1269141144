"""The process of a venue with one account, in which random executions happen.

``python -m benchmarks.soaks.venue VENUE SEED EXECUTIONS FILE ALLOWED``. FILE has how much has
happened: it is what the exchange knows, and remains when the process is killed. ALLOWED has how
many executions may have happened, so that no venue is hours ahead of the ledger.
"""

import asyncio
import os
import struct
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    cash_flows_pb2,
    orders_pb2,
    snapshots_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from benchmarks.soaks.executions import (
    ACCOUNT,
    BLOCK,
    BLOCK_NS,
    START_NS,
    Execution,
    Response,
    VenueExecutions,
    request_id_of,
)
from core.ledger.tests.independent_books import instrument_of
from kit.base import paging
from kit.base import settings as setting_files
from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.cursor import Cursor
from kit.base.directory import VENUE
from kit.base.errors import UnknownOrder
from kit.base.rpc import Context
from kit.base.runtime import ProcessIdentity, Runtime, run_process
from kit.base.settings import MeshSettings

AHEAD_MAX = 300
"""Reports that no reader has taken. While none reads, no more happens."""
LOOK_SECONDS = 0.1
STEP = 50
RING_MAX = 5_000
"""Reports that a reader can resume from."""
SENT_MAX = 100
PAGE_SIZE, PAGE_SIZE_MAX = 200, 1_000
PROGRESS = struct.Struct("<qq")
TIME_END_NS = 2**62


def main() -> int:
    """Run the process. Returns its exit code."""
    venue, seed, count, file, allowed = sys.argv[1:]
    mesh = setting_files.load(MeshSettings, setting_files.MESH_SECTION)
    executions = VenueExecutions(venue, int(seed), int(count))
    exchange = Exchange(executions, Path(file), Path(allowed))
    port = int(os.environ[f"VENUEMESH_VENUES_{venue.upper()}_PORT"])
    return run_process(venue, mesh, lambda: run(exchange, venue, port, mesh))


async def run(exchange: "Exchange", venue: str, port: int, mesh: MeshSettings) -> None:
    runtime = Runtime(ProcessIdentity(venue, VENUE, venue, port), mesh)
    reports = ReportRing(exchange, time.time_ns() // NANOSECONDS_PER_MILLISECOND)
    trade_flow = RandomTradeFlow(exchange, reports)  # type: ignore[abstract]
    runtime.serve(trade_flow_pb2.DESCRIPTOR, "TradeFlow", trade_flow)
    instruments = ListedInstruments(exchange)  # type: ignore[abstract]
    runtime.serve(market_data_pb2.DESCRIPTOR, "MarketData", instruments)
    runtime.run_task("executions", reports.run)
    runtime.meter.serving()
    await runtime.run()


def has_ended(file: Path, blocks: int) -> bool:
    """Whether everything has happened at the exchange with this file."""
    return file.exists() and file.read_bytes() == PROGRESS.pack(blocks, 0)


def allow(file: Path, executions: int) -> None:
    """Let so many executions happen at each venue."""
    new = file.with_suffix(".new")
    new.write_text(str(executions))
    new.replace(file)


def read_allowed(file: Path) -> int:
    return int(file.read_text())


class Exchange:
    """What has happened at the venue."""

    def __init__(self, executions: VenueExecutions, file: Path, allowed: Path) -> None:
        self.executions = executions
        self._allowed = allowed
        self._file = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        known = os.pread(self._file, PROGRESS.size, 0)
        self._block: int
        self._step: int
        self._block, self._step = PROGRESS.unpack(known) if known else (0, 0)

    @property
    def has_ended(self) -> bool:
        return self._block == self.executions.blocks

    @property
    def may_go_on(self) -> bool:
        return self._block * BLOCK + self._step < read_allowed(self._allowed)

    def go_on(self) -> list[Response]:
        """Let some more happen. Returns what the stream reports of it."""
        reports = self.executions.block(self._block)
        step = self._step + STEP
        found = [one.streamed for one in reports[self._step : step] if one.streamed is not None]
        at_end = step >= len(reports)
        self._block, self._step = (self._block + 1, 0) if at_end else (self._block, step)
        os.pwrite(self._file, PROGRESS.pack(self._block, self._step), 0)
        return found

    def newest_first(self, before: tuple[int, int]) -> Iterator[orders_pb2.Fill]:
        """Its fills, by time and id."""
        first = min(self._block, (before[0] - START_NS) // BLOCK_NS)
        for block in range(first, -1, -1):
            for execution in reversed(self._listed(block)):
                fill = execution.fill
                if fill is not None and (fill.venue_time_ns, int(fill.fill_id)) < before:
                    yield fill

    def oldest_first(self, after: tuple[int, int]) -> Iterator[cash_flows_pb2.CashFlow]:
        """Its cash flows, by time and id."""
        first = max(0, (after[0] - START_NS) // BLOCK_NS)
        for block in range(first, self._block + 1):
            for execution in self._listed(block):
                flow = execution.flow
                if flow is not None and (flow.venue_time_ns, int(flow.cash_flow_id)) > after:
                    yield flow

    def _listed(self, block: int) -> list[Execution]:
        """What it lists of a block, in order."""
        if block == self.executions.blocks:
            return []
        reports = self.executions.block(block)
        known = reports[: self._step] if block == self._block else reports
        found = [report.execution for report in known if report.is_new]
        return sorted(found, key=lambda one: (one.place[0], one.place[2]))


class ReportRing:
    """The newest reports of this process, numbered from 1. What it has reported before it was
    killed, it does not know."""

    def __init__(self, exchange: Exchange, epoch: int) -> None:
        self._exchange = exchange
        self._epoch = epoch
        self._ring: deque[Response] = deque(maxlen=RING_MAX)
        self._taken = 0
        self._changed = asyncio.Condition()
        self.newest = Cursor(epoch, 0)

    def holds(self, cursor: Cursor) -> bool:
        """Whether everything after a cursor can be read."""
        oldest = self.newest.sequence - len(self._ring)
        return cursor.epoch == self._epoch and cursor.sequence >= oldest

    async def run(self) -> None:
        """Let happen what readers take, until all has happened."""
        while not self._exchange.has_ended:
            while not self._exchange.may_go_on:
                await asyncio.sleep(LOOK_SECONDS)
            async with self._changed:
                await self._changed.wait_for(self._has_room)
                for response in self._exchange.go_on():
                    self.newest = Cursor(self._epoch, self.newest.sequence + 1)
                    response.cursor.CopyFrom(self.newest.message())
                    self._ring.append(response)
                self._changed.notify_all()

    async def after(self, sequence: int) -> list[Response]:
        """What follows, once there is something."""
        async with self._changed:
            self._taken = max(self._taken, sequence)
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self.newest.sequence > sequence)
            begin = len(self._ring) - (self.newest.sequence - sequence)
            return [self._ring[n] for n in range(begin, min(begin + SENT_MAX, len(self._ring)))]

    def _has_room(self) -> bool:
        return self.newest.sequence - self._taken < AHEAD_MAX


class RandomTradeFlow(trade_flow_pb2_grpc.TradeFlowServicer):
    """What the ledger asks of a venue."""

    def __init__(self, exchange: Exchange, reports: ReportRing) -> None:
        self._exchange = exchange
        self._reports = reports

    async def ListAccounts(
        self, request: accounts_pb2.ListAccountsRequest, context: Context
    ) -> accounts_pb2.ListAccountsResponse:
        ready = accounts_pb2.ACCOUNT_STATE_READY
        account = accounts_pb2.Account(account=ACCOUNT, state=ready, paper=True)
        return accounts_pb2.ListAccountsResponse(accounts=[account])

    async def StreamExecutions(
        self, request: trade_flow_pb2.StreamExecutionsRequest, context: Context
    ) -> AsyncIterator[Response]:
        cursor = Cursor.of(request.resume_after)
        if not self._reports.holds(cursor):
            cursor = self._reports.newest
            snapshot = snapshots_pb2.ExecutionSnapshot()
            yield Response(cursor=cursor.message(), snapshot=snapshot)
        sequence = cursor.sequence
        while True:
            for response in await self._reports.after(sequence):
                yield response
                sequence = response.cursor.sequence

    async def ListFills(
        self, request: trade_flow_pb2.ListFillsRequest, context: Context
    ) -> trade_flow_pb2.ListFillsResponse:
        size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        fills = self._exchange.newest_first(_position(request, (TIME_END_NS, 0)))
        found = [fill for _, fill in zip(range(size), fills, strict=False)]
        token = ""
        if len(found) == size:
            token = paging.make_token(request, [found[-1].venue_time_ns, int(found[-1].fill_id)])
        return trade_flow_pb2.ListFillsResponse(fills=found, next_page_token=token)

    async def ListCashFlows(
        self, request: cash_flows_pb2.ListCashFlowsRequest, context: Context
    ) -> cash_flows_pb2.ListCashFlowsResponse:
        size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        flows = self._exchange.oldest_first(_position(request, (request.start_time_ns, -1)))
        found = [flow for _, flow in zip(range(size), flows, strict=False)]
        token = ""
        if len(found) == size:
            last = found[-1]
            token = paging.make_token(request, [last.venue_time_ns, int(last.cash_flow_id)])
        return cash_flows_pb2.ListCashFlowsResponse(cash_flows=found, next_page_token=token)

    async def GetOrder(
        self, request: trade_flow_pb2.GetOrderRequest, context: Context
    ) -> trade_flow_pb2.GetOrderResponse:
        request_id = request_id_of(request.client_order_id)
        if request_id is None:
            order_id = request.client_order_id
            raise UnknownOrder(f"no order {order_id!r}", client_order_id=order_id)
        order = orders_pb2.Order(request_id=request_id, client_order_id=request.client_order_id)
        return trade_flow_pb2.GetOrderResponse(order=order)


class ListedInstruments(market_data_pb2_grpc.MarketDataServicer):
    """The instruments of the venue."""

    def __init__(self, exchange: Exchange) -> None:
        self._executions = exchange.executions

    async def ListInstruments(
        self, request: market_data_pb2.ListInstrumentsRequest, context: Context
    ) -> market_data_pb2.ListInstrumentsResponse:
        venue = self._executions.venue
        listed = [instrument_of(venue, *of) for of in self._executions.terms.items()]
        return market_data_pb2.ListInstrumentsResponse(instruments=listed)


def _position(
    request: "trade_flow_pb2.ListFillsRequest | cash_flows_pb2.ListCashFlowsRequest",
    first: tuple[int, int],
) -> tuple[int, int]:
    """Time and id after which a page begins. Raises BadPageToken."""
    match paging.read_token(request):
        case [int(time_ns), int(number)]:
            return time_ns, number
    return first


if __name__ == "__main__":
    raise SystemExit(main())
