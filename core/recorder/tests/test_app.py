import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from core.recorder.tests.market import TRADES, VENUE, entry, trade_batch, trades
from core.recorder.tests.process import RecorderProcess
from core.recorder.tests.rig import rig_for
from kit import errors, rpc
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


async def reason(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), errors.reason_of(caught.value)


async def test_the_process_records_and_serves_history(process):
    async with rpc.channel(f"127.0.0.1:{process.port}") as channel:
        history = history_pb2_grpc.HistoryStub(channel)
        answer = await history.ListTrades(
            history_pb2.ListTradesRequest(venue=VENUE, symbol="BTCUSDT", page_size=2)
        )
        assert [trade.trade_id for trade in answer.trades] == ["1", "2"]
        answer = await history.ListTrades(
            history_pb2.ListTradesRequest(
                venue=VENUE, symbol="BTCUSDT", page_size=2, page_token=answer.next_page_token
            )
        )
        assert [trade.trade_id for trade in answer.trades] == ["3"]
        assert answer.next_page_token == ""
        assert await reason(
            history.ListBars(history_pb2.ListBarsRequest(venue=VENUE, symbol="NONE", interval="1m"))
        ) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_INSTRUMENT")
        assert await reason(
            history.ListGaps(history_pb2.ListGapsRequest(venue=VENUE, page_token="x"))
        ) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_PAGE_TOKEN")
        admin = admin_pb2_grpc.AdminStub(channel)
        status = (await admin.GetStatus(admin_pb2.GetStatusRequest())).status
    assert status.state == registry_pb2.SERVICE_STATE_SERVING
    assert status.events_total == 3
    assert process.stop() == 0
