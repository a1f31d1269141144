import subprocess

import psycopg
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
from core.recorder.tests.process import recorder_process
from core.recorder.tests.rig import rig_for
from kit.base import rpc
from kit.base.cursor import Cursor
from kit.base.runtime import EXIT_WRONG_SETTING
from tests.support.waiting import WAIT_SECONDS_MAX


@pytest.fixture
async def process(valkey_url, postgres_url):
    process = recorder_process(valkey_url, postgres_url)
    async with rig_for(valkey_url, postgres_url) as rig:
        await rig.append(entry(TRADES, trade_batch(Cursor(1, 1), trades(1, 3))))
        process.start()
        try:
            await rig.recorded(TRADES, Cursor(1, 1))
            yield process
        finally:
            process.kill()


async def test_process_records_and_reports_its_state(process, postgres_url):
    assert recorded_trades(postgres_url) == expected_trades(trades(1, 3))
    async with rpc.channel(f"127.0.0.1:{process.port}") as channel:
        admin = admin_pb2_grpc.AdminStub(channel)
        status = (await admin.GetStatus(admin_pb2.GetStatusRequest())).status
    assert status.state == registry_pb2.SERVICE_STATE_SERVING
    assert status.events_total == 3
    assert process.stop() == 0


async def test_newer_database_is_rejected_in_one_line(valkey_url, postgres_url):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (9999, '9999_later.sql', '')")
    process = recorder_process(valkey_url, postgres_url)
    process.start(stderr=subprocess.PIPE, text=True)
    _, words = process.process.communicate(timeout=WAIT_SECONDS_MAX)
    assert process.process.returncode == EXIT_WRONG_SETTING
    last = words.strip().splitlines()[-1]
    assert last.startswith("venuemesh: setting mesh.database_url = ")
    assert "has schema 9999" in last
    assert last.endswith("update this program")
    assert "Traceback" not in words
