import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from core.history.tests.process import history_process
from core.history.tests.recorded import SYMBOL, VENUE, Trade, record_trades
from kit.base import errors, rpc
from kit.base.database import Database


@pytest.fixture
async def process(postgres_url):
    database = Database(postgres_url)
    await record_trades(database, [Trade(number) for number in (1, 2, 3)])
    await database.close()
    process = history_process(postgres_url)
    process.start()
    yield process
    process.kill()


async def reason(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), errors.reason_of(caught.value)


async def test_process_serves_the_record(process):
    async with rpc.channel(process.address) as channel:
        history = history_pb2_grpc.HistoryStub(channel)
        request = history_pb2.ListTradesRequest(venue=VENUE, symbol=SYMBOL, page_size=2)
        answer = await history.ListTrades(request, wait_for_ready=True, timeout=30)
        assert [trade.trade_id for trade in answer.trades] == ["1", "2"]
        request.page_token = answer.next_page_token
        answer = await history.ListTrades(request)
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
    assert process.stop() == 0
