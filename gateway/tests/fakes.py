"""A clock that stands still, and processes of a mesh that hold nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2, live_pb2_grpc
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from kit.base import rpc
from kit.base.directory import ServiceDirectory
from kit.base.errors import UnknownInstrument
from tests.support.waiting import WAIT_SECONDS_MAX

MARKET_DATA = "venuemesh.marketdata.v1.MarketData"
ADMIN = "venuemesh.admin.v1.Admin"
LIVE = "venuemesh.live.v1.Live"
LARGE_ROWS = 4_000
UNLISTED = "UNLISTED"


class StillClock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000_000_000_000

    def pass_seconds(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)

    def time_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.pass_seconds(seconds)
        await asyncio.sleep(0)


class FakeVenue(market_data_pb2_grpc.MarketDataServicer):
    """Sends what a test gives it, and counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.bytes_sent = 0
        self.next_batch = asyncio.Event()
        self.metadata = {}
        """Of the newest call of GetOrderBook."""

    async def ListInstruments(self, request, context):
        self.calls += 1
        symbols = [f"S{number:05}" for number in range(request.page_size)]
        return market_data_pb2.ListInstrumentsResponse(
            instruments=[types_pb2.Instrument(venue=self.name, symbol=symbol) for symbol in symbols]
        )

    async def GetOrderBook(self, request, context):
        self.calls += 1
        self.metadata = dict(context.invocation_metadata())
        return market_data_pb2.GetOrderBookResponse(
            venue=request.venue, symbol=request.symbol, last_sequence=2**53 + 1
        )

    async def VerifyBook(self, request, context):
        return market_data_pb2.VerifyBookResponse(
            symbol=request.symbol, verdict=market_data_pb2.BOOK_VERDICT_AGREES
        )

    async def Subscribe(self, request, context):
        """The first message at once and each further one at a word; or large ones, endlessly."""
        if UNLISTED in request.symbols:
            raise UnknownInstrument("not listed", venue=self.name, symbol=UNLISTED)
        sequence = 0
        while True:
            sequence += 1
            batch = batch_pb2.MarketDataBatch(
                venue=self.name, cursor=types_pb2.Cursor(epoch=1, sequence=sequence)
            )
            if "LARGE" in request.symbols:
                batch.trades.venue_time_ns.extend(range(LARGE_ROWS))
                self.bytes_sent += batch.ByteSize()
            yield market_data_pb2.SubscribeResponse(batches=[batch])
            if "LARGE" not in request.symbols:
                await self.next_batch.wait()
                self.next_batch.clear()


class FakeAdmin(admin_pb2_grpc.AdminServicer):
    """Says whose it is."""

    def __init__(self, service_id: str) -> None:
        self._service_id = service_id
        self.levels: list[str] = []
        self.score: admin_pb2.ConformanceScore | None = None

    async def GetStatus(self, request, context):
        instance = registry_pb2.ServiceInstance(service_id=self._service_id)
        return admin_pb2.GetStatusResponse(instance=instance, conformance=self.score)

    async def SetLogLevel(self, request, context):
        self.levels.append(request.level)
        return admin_pb2.SetLogLevelResponse()


class FakeBridge(live_pb2_grpc.LiveServicer):
    """Returns the requested venues."""

    async def Subscribe(self, request, context):
        for selector in request.selectors:
            batch = batch_pb2.MarketDataBatch(venue=selector.venue)
            yield live_pb2.SubscribeResponse(batches=[batch])


Directories = Callable[[str, str], ServiceDirectory]
"""The registry for a process with this service id and kind, which shows its own token."""


class Process:
    """A gRPC server of this test, which the registry knows for as long as it is open."""

    def __init__(self, service_id: str, kind: str, name: str) -> None:
        self.venue = FakeVenue(name)
        self.admin = FakeAdmin(service_id)
        self.server = rpc.server()
        rpc.serve(self.server, admin_pb2.DESCRIPTOR.services_by_name["Admin"], self.admin)
        services = [ADMIN]
        if kind == "venue":
            service = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"]
            rpc.serve(self.server, service, self.venue)
            services.append(MARKET_DATA)
        if kind == "bridge":
            rpc.serve(self.server, live_pb2.DESCRIPTOR.services_by_name["Live"], FakeBridge())
            services.append(LIVE)
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.instance = instance(service_id, kind, name, f"127.0.0.1:{port}", *services)


@asynccontextmanager
async def process(
    directory: Directories,
    service_id: str,
    kind: str = "venue",
    name: str = "",
    instance_id: str = "",
    http_address: str = "",
) -> AsyncIterator[Process]:
    """A process that serves and announces itself."""
    opened = Process(service_id, kind, name or service_id)
    opened.instance.instance_id = instance_id
    opened.instance.http_address = http_address
    await opened.server.start()
    own = directory(service_id, kind)
    announcing = asyncio.create_task(own.announce(lambda: opened.instance, status))
    try:
        yield opened
    finally:
        announcing.cancel()
        await asyncio.gather(announcing, return_exceptions=True)
        await own.withdraw(opened.instance)
        await own.close()
        await opened.server.stop(None)


def instance(
    service_id: str, kind: str, name: str, address: str, *services: str
) -> registry_pb2.ServiceInstance:
    return registry_pb2.ServiceInstance(
        service_id=service_id, kind=kind, name=name, address=address, grpc_services=services
    )


def status(
    state: "registry_pb2.ServiceState.ValueType" = registry_pb2.SERVICE_STATE_SERVING,
) -> registry_pb2.ServiceStatus:
    return registry_pb2.ServiceStatus(state=state)


async def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it becomes so in time."""
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        return False
    return True


async def succeeds(call: Callable[[], "grpc.aio.UnaryUnaryCall"]):
    """Repeat a call until it is answered. Returns the answer."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.005)
