import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from core.recorder.tests.market import (
    TRADES,
    entry,
    expected_trades,
    recorded_trades,
    trade_batch,
    trades,
)
from core.recorder.tests.process import RecorderProcess
from core.recorder.tests.rig import rig_for
from kit import rpc
from kit.cursor import Cursor


@pytest.fixture
async def process(valkey_url, postgres_url):
    process = RecorderProcess(valkey_url, postgres_url)
    async with rig_for(valkey_url, postgres_url) as rig:
        await rig.append(entry(TRADES, trade_batch(Cursor(1, 1), trades(1, 3))))
        process.start()
        try:
            await rig.recorded(TRADES, Cursor(1, 1))
            yield process
        finally:
            process.kill()


async def test_the_process_records_and_tells_its_state(process, postgres_url):
    assert recorded_trades(postgres_url) == expected_trades(trades(1, 3))
    async with rpc.channel(f"127.0.0.1:{process.port}") as channel:
        admin = admin_pb2_grpc.AdminStub(channel)
        status = (await admin.GetStatus(admin_pb2.GetStatusRequest())).status
    assert status.state == registry_pb2.SERVICE_STATE_SERVING
    assert status.events_total == 3
    assert process.stop() == 0
