"""A recorder whose logins are rejected stays up, says so, and continues when they are corrected."""

import asyncio

import psycopg
import pytest
import redis
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from core.recorder.tests.market import TRADES, entry, trade_batch, trades
from core.recorder.tests.process import recorder_process
from core.recorder.tests.rig import rig_for
from kit.base import rpc
from kit.base.cursor import Cursor
from kit.base.store_urls import with_password
from tests.support.waiting import WAIT_SECONDS_MAX

USER = "late_recorder"


@pytest.fixture
def roles(superuser_url, valkey_url):
    """A user of either store, whose password is not the one that the recorder has."""
    with (
        psycopg.connect(superuser_url, autocommit=True) as database,
        redis.Redis.from_url(valkey_url) as streams,
    ):
        database.execute(f"CREATE ROLE {USER} LOGIN PASSWORD 'another' IN ROLE venuemesh_owner")
        streams.execute_command("ACL", "SETUSER", USER, "on", ">another", "~*", "+@all")
        yield database, streams
        streams.execute_command("ACL", "DELUSER", USER)
        database.execute(f"REASSIGN OWNED BY {USER} TO venuemesh_owner")
        database.execute(f"DROP ROLE {USER}")


async def test_it_waits_degraded_and_continues(valkey_url, postgres_url, roles, tmp_path):
    database, streams = roles
    hosts = [url.rpartition("@")[2] for url in (valkey_url, postgres_url)]
    urls = [f"redis://{USER}@{hosts[0]}", f"postgresql://{USER}@{hosts[1]}"]
    process = recorder_process(*(with_password(url, "s3cret") for url in urls))
    log = tmp_path / "log"
    async with rig_for(valkey_url, postgres_url) as rig:
        await rig.append(entry(TRADES, trade_batch(Cursor(1, 1), trades(1, 3))))
        with log.open("wb") as output:
            process.start(stdout=output, stderr=output)
        try:
            await is_degraded(process, f"PostgreSQL rejects the login of role '{USER}'")
            database.execute(f"ALTER ROLE {USER} PASSWORD 's3cret'")
            await is_degraded(process, f"Redis rejects the login of user '{USER}'")
            streams.execute_command("ACL", "SETUSER", USER, "resetpass", ">s3cret")
            await rig.recorded(TRADES, Cursor(1, 1))
            assert process.process.poll() is None
        finally:
            process.kill()
    assert "s3cret" not in log.read_text()


async def is_degraded(process, words: str) -> None:
    async with rpc.channel(process.address) as channel:
        admin = admin_pb2_grpc.AdminStub(channel)
        request = admin_pb2.GetStatusRequest()

        async def status():
            return (await admin.GetStatus(request, wait_for_ready=True)).status

        async with asyncio.timeout(WAIT_SECONDS_MAX):
            found = await status()
            while words not in found.detail:
                await asyncio.sleep(0.01)
                found = await status()
    assert found.state == registry_pb2.SERVICE_STATE_DEGRADED
    assert "is away" not in found.detail
    assert "s3cret" not in found.detail
