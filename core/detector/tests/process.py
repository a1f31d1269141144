"""The detector as a separate process, with processes around it that the test plays."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc
from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from core.detector.bar_clients import BARS, HISTORY, BarSeries
from core.detector.tests.rig import MadeBars
from kit.base import rpc
from tests.support.service_process import ServiceProcess

STRATEGY = """\
from kit.features.indicators import close, previous
from kit.strategy.strategy import PositionSize, Rule, Strategy

always = Strategy(
    name="always",
    instruments=("binance/BTCUSDT",),
    interval="1s",
    account="paper",
    rules=(Rule(name="up", condition=close > 0),),
    threshold=0.5,
    position=PositionSize(notional="25", stop_distance=previous(close, 3)),
    cooldown_s=0,
    expiry_s=1,
    warm_up_bars=0,
)
"""


class MeshServer(
    bars_pb2_grpc.BarsServicer,
    history_pb2_grpc.HistoryServicer,
    registry_pb2_grpc.RegistryServicer,
):
    """Bars, history and the registry that names them, on one port."""

    def __init__(self, bars: MadeBars) -> None:
        self.bars = bars
        self.address = ""

    async def Subscribe(self, request, context):
        (interval,) = request.intervals
        series = BarSeries(request.venue, request.symbol, interval)
        async with aclosing(self.bars.live(series)) as changes:
            async for bars in changes:
                yield bars_pb2.SubscribeResponse(bars=bars)

    async def ListBars(self, request, context):
        series = BarSeries(request.venue, request.symbol, request.interval)
        times_ns = range(request.range.start_time_ns, request.range.end_time_ns)
        newest_first = request.order == history_pb2.SORT_ORDER_NEWEST_FIRST
        found = await self.bars.recorded(series, times_ns, request.page_size, newest_first)
        return history_pb2.ListBarsResponse(bars=found)

    async def Watch(self, request, context):
        instance = registry_pb2.ServiceInstance(
            kind=request.kind, name=request.kind, service_id=request.kind, address=self.address
        )
        found = [registry_pb2.Service(instance=instance)]
        yield registry_pb2.WatchResponse(services=found if request.kind in (BARS, HISTORY) else [])
        while True:
            await context.read()

    async def Register(self, request, context):
        return registry_pb2.RegisterResponse(heartbeat_interval_ms=1000)

    async def Heartbeat(self, request, context):
        return registry_pb2.HeartbeatResponse()

    async def Unregister(self, request, context):
        return registry_pb2.UnregisterResponse()


@asynccontextmanager
async def serving(bars: MadeBars) -> AsyncIterator[str]:
    """The address of the server."""
    server, servicer = rpc.server(), MeshServer(bars)
    for file, name in ((bars_pb2, "Bars"), (history_pb2, "History"), (registry_pb2, "Registry")):
        rpc.serve(server, file.DESCRIPTOR.services_by_name[name], servicer)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield servicer.address
    finally:
        await server.stop(None)


def detector_process(
    postgres_url: str, valkey_url: str, registry: str, folder: Path, **variables: str
) -> ServiceProcess:
    """It is not started yet."""
    settings = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": valkey_url,
        "REGISTRY": registry,
        "DETECTOR_STRATEGIES_FOLDER": str(folder),
    }
    return ServiceProcess("detector", {**settings, **variables})
