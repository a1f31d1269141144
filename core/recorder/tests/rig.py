"""A recorder with its streams, database and clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from venuemesh.registry.v1 import registry_pb2

from core.recorder.recorder import Recorder
from core.recorder.settings import RecorderSettings
from core.recorder.store import RecorderStore
from kit.base.clock import SystemClock
from kit.base.cursor import START, Cursor, StreamKey
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.base.telemetry import Meter
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from tests.support.waiting import WAIT_SECONDS_MAX

SETTINGS = RecorderSettings(chunk_rows_max=500, chunk_age_ms=5, block_age_ms=20)


class Rig:
    """Its parts, and the streams that it reads from."""

    def __init__(self, valkey_url: str, postgres_url: str) -> None:
        self.streams = RedisStreams(valkey_url)
        self.database = Database(postgres_url)
        self.store = RecorderStore(self.database)
        self.meter = Meter("recorder")
        self.recorder = Recorder(
            self.streams,
            self.store,
            SETTINGS,
            self.meter,
            DegradedReasons(self.meter),
            SystemClock(),
        )

    async def append(self, *entries: StreamEntry) -> None:
        for key in dict.fromkeys(entry.key for entry in entries):
            await self.streams.register(key)
        await self.streams.append(entries)

    async def recorded(self, key: StreamKey, cursor: Cursor) -> None:
        """Wait until the stream is recorded up to here."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while await self.position(key) < cursor:
                await asyncio.sleep(0.01)

    async def position(self, key: StreamKey) -> Cursor:
        try:
            return (await self.store.positions()).get(key, START)
        except StoreUnavailable:
            return START

    @property
    def is_degraded(self) -> bool:
        return self.meter.state == registry_pb2.SERVICE_STATE_DEGRADED

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The recorder runs; at the end it is cancelled, as by the runtime."""
        task = asyncio.create_task(self.recorder.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def close(self) -> None:
        await self.streams.close()
        await self.database.close()


@asynccontextmanager
async def rig_for(valkey_url: str, postgres_url: str) -> AsyncIterator[Rig]:
    """A rig on these servers; the database has the schema."""
    rig = Rig(valkey_url, postgres_url)
    try:
        yield rig
    finally:
        await rig.close()
