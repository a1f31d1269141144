"""What a process measures of its stores."""

import asyncio

import psycopg
import pytest

from kit.base.database import Database
from kit.base.redis_commands import RedisCommands
from kit.base.store_metrics import StoreMetrics
from kit.base.telemetry import Meter
from tests.support.waiting import until


class Rig:
    """Metrics of one process."""

    def __init__(self) -> None:
        meter = Meter("one")
        self.metrics = StoreMetrics(meter)
        self._registry = meter.registry

    def value(self, name, **labels):
        return self._registry.get_sample_value(f"venuemesh_{name}", labels)


async def test_commands_of_redis_are_measured_and_waiting_reads_are_not(valkey_url):
    rig = Rig()
    commands = RedisCommands(valkey_url, rig.metrics)
    await commands.call("PING")
    with pytest.raises(Exception, match="wrong number"):
        await commands.call("GET")
    await commands.call("XREAD", "COUNT", 1, "BLOCK", 1, "STREAMS", "none", "0")
    await commands.close()
    assert rig.value("store_duration_seconds_count", store="redis", operation="PING") == 1
    assert rig.value("store_duration_seconds_count", store="redis", operation="XREAD") is None
    assert rig.value("store_errors_total", store="redis", error="ResponseError") == 1


async def test_connections_waits_and_errors_of_the_database_are_measured(postgres_url):
    rig = Rig()
    database = Database(postgres_url, connections_max=1, metrics=rig.metrics)

    async def wait() -> None:
        async with database.transaction():
            pass

    async with database.transaction():
        assert rig.value("database_connections_in_use") == 1
        waiting = asyncio.create_task(wait())
        await until(lambda: database._room._waiters)
    await waiting
    with pytest.raises(psycopg.Error):
        async with database.transaction() as connection:
            await connection.execute("SELECT 1/0")
    await database.close()
    assert rig.value("database_connections_in_use") == 0
    assert rig.value("database_wait_seconds_count") == 3
    labels = {"store": "postgresql", "operation": "transaction"}
    assert rig.value("store_duration_seconds_count", **labels) == 3
    assert rig.value("store_errors_total", store="postgresql", error="DivisionByZero") == 1
