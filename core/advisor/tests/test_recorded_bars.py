"""Bars of the process History, over gRPC."""

import asyncio

import pytest
from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from core.advisor.recorded_bars import HISTORY, BarsUnavailable, RecordedBars
from core.advisor.tests.examples import bar
from kit.base import rpc
from kit.base.errors import BadRequest
from kit.base.service_channels import ServiceChannels
from tests.support.waiting import until


class History(history_pb2_grpc.HistoryServicer):
    """It answers, or fails."""

    def __init__(self):
        self.requests = []
        self.fails = False

    async def ListBars(self, request, context):
        self.requests.append(request)
        if self.fails:
            raise BadRequest("no such interval")
        return history_pb2.ListBarsResponse(bars=[bar(), bar(final=False)])


class Directory:
    """Says where History runs, once it does."""

    def __init__(self):
        self.address = ""

    async def watch(self, kind: str):
        instance = registry_pb2.ServiceInstance(kind=kind, name=kind, address=self.address)
        yield [registry_pb2.Service(instance=instance)] if self.address else []
        await asyncio.Event().wait()


@pytest.fixture
async def history():
    """History, and what reads from it."""
    served, server, directory = History(), rpc.server(), Directory()
    rpc.serve(server, history_pb2.DESCRIPTOR.services_by_name["History"], served)
    directory.address = f"127.0.0.1:{rpc.listen(server, '127.0.0.1:0')}"
    await server.start()
    channels = ServiceChannels(directory, HISTORY)
    task = asyncio.create_task(channels.run())
    await until(lambda: channels.instances(HISTORY))
    yield served, RecordedBars(channels)
    task.cancel()
    await asyncio.wait([task])
    await channels.close()
    await server.stop(None)


async def test_the_final_bars_of_a_range_are_read_oldest_first(history):
    served, bars = history
    assert await bars.opened_in("binance", "BTCUSDT", "1m", range(5, 9)) == [bar()]
    (request,) = served.requests
    assert (request.venue, request.symbol, request.interval) == ("binance", "BTCUSDT", "1m")
    assert (request.range.start_time_ns, request.range.end_time_ns) == (5, 9)
    assert request.order == history_pb2.SORT_ORDER_OLDEST_FIRST


async def test_a_history_that_fails_or_is_not_there_is_unavailable(history):
    served, bars = history
    served.fails = True
    with pytest.raises(BarsUnavailable, match="no such interval"):
        await bars.opened_in("binance", "BTCUSDT", "1m", range(9))
    nobody = RecordedBars(ServiceChannels(Directory(), HISTORY))
    with pytest.raises(BarsUnavailable, match="history"):
        await nobody.opened_in("binance", "BTCUSDT", "1m", range(9))
