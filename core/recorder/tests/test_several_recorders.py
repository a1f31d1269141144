"""Two recorders divide the streams: whatever ends one of them, each row is recorded once."""

import asyncio
import random
import signal

import psycopg
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from core.recorder.tests.market import count, expected_trades
from core.recorder.tests.process import recorder_process
from core.recorder.tests.rig import Rig, rig_for
from core.recorder.tests.test_crashes import Tape, locked, someone_waits_for
from kit.base import rpc
from kit.base.cursor import Cursor, StreamKey
from kit.marketdata.delivery.redis_streams import StreamEntry
from tests.support.waiting import eventually

VENUES = ("binance", "bybit", "kraken", "okx")
BATCHES = 300
ENDS = ("kill", "hang", "end in order", "kill", "hang", "kill")
SHARES = (
    "SELECT holder, count(*) FROM leases"
    " WHERE name LIKE 'recorder/share/%' AND expires_time > now() GROUP BY 1"
)
TRADES = (
    "SELECT symbol, trade_id::text AS id, price, size, side, venue_time_ns FROM trades"
    " WHERE venue = %s ORDER BY symbol, trade_id"
)


class Tapes:
    """The same tape for each venue."""

    def __init__(self) -> None:
        self.tape = Tape(BATCHES)
        self.keys = {
            StreamKey(venue, entry.key.channel) for venue in VENUES for entry in self.tape.entries
        }

    def part(self, start: int, stop: int) -> list[StreamEntry]:
        return [
            entry._replace(key=StreamKey(venue, entry.key.channel))
            for entry in self.tape.entries[start:stop]
            for venue in VENUES
        ]

    def parts(self, number: int) -> list[list[StreamEntry]]:
        size = len(self.tape.entries) // number
        return [self.part(place * size, (place + 1) * size) for place in range(number)]

    async def are_recorded(self, rig: Rig) -> None:
        for key in self.keys:
            await rig.recorded(key, self.tape.last)

    def check(self, url: str) -> None:
        """The database holds each tape, each row once, and no gap."""
        with psycopg.connect(url) as connection:
            for venue in VENUES:
                rows = connection.execute(TRADES, [venue]).fetchall()
                assert rows == expected_trades(self.tape.rows)
        assert count(url, "quotes") == len(VENUES) * BATCHES
        assert count(url, "gaps") == 0
        with psycopg.connect(url) as connection:
            query = "SELECT sum(update_count) FROM book_batch_rows GROUP BY venue"
            assert connection.execute(query).fetchall() == [(BATCHES,)] * len(VENUES)


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


@pytest.fixture
def two(valkey_url, postgres_url):
    processes = [recorder_process(valkey_url, postgres_url) for _ in "ab"]
    for process in processes:
        process.start()
    yield processes
    for process in processes:
        process.kill()


async def holders(rig) -> dict[str, int]:
    """How many shares each recorder holds."""
    async with rig.database.transaction() as connection:
        return dict(await (await connection.execute(SHARES)).fetchall())


async def are_divided(rig) -> bool:
    return len(await holders(rig)) == 2


async def status(process) -> registry_pb2.ServiceStatus:
    """What a recorder says of itself."""
    async with rpc.channel(process.address) as channel:
        admin = admin_pb2_grpc.AdminStub(channel)
        request = admin_pb2.GetStatusRequest()
        return (await admin.GetStatus(request, wait_for_ready=True)).status


async def test_both_record_and_whoever_joins_disturbs_nothing(rig, two, postgres_url):
    first, second = Tapes().parts(2)
    await rig.append(*first)
    await eventually(lambda: are_divided(rig))
    await rig.append(*second)
    await Tapes().are_recorded(rig)
    assert min([(await status(process)).events_total for process in two]) > 0
    Tapes().check(postgres_url)


async def test_ends_of_either_lose_and_repeat_no_row(rig, two, postgres_url):
    chance, tapes = random.Random(3), Tapes()
    await eventually(lambda: are_divided(rig))
    ends = iter(ENDS)
    for number, part in enumerate(tapes.parts(10 * len(ENDS))):
        await rig.append(*part)
        if number % 10 == 5:
            # Whatever it does at this moment.
            await ended(chance.choice(two), next(ends), rig)
    await tapes.are_recorded(rig)
    tapes.check(postgres_url)


async def ended(process, end: str, rig: Rig) -> None:
    """End a recorder, or let it hang, until the other one has all shares; then let it go on."""

    async def is_followed() -> bool:
        return len(await holders(rig)) == 1

    match end:
        case "kill":
            process.kill()
        case "end in order":
            await asyncio.to_thread(process.stop)
        case "hang":
            process.process.send_signal(signal.SIGSTOP)
    await eventually(is_followed)
    if end == "hang":
        process.process.send_signal(signal.SIGCONT)
    else:
        process.start()
    await eventually(lambda: are_divided(rig))


@pytest.mark.parametrize("recorded_before", [0, 30], ids=["while it makes a day", "in a COPY"])
async def test_a_recorder_that_is_frozen_is_followed(
    valkey_url, postgres_url, rig, recorded_before
):
    """PostgreSQL waits for its next statement, or for its rows."""
    tapes = Tapes()
    frozen, other = (recorder_process(valkey_url, postgres_url) for _ in "ab")
    frozen.start()
    try:
        await rig.append(*tapes.part(0, recorded_before))
        for key in tapes.keys if recorded_before else ():
            await rig.recorded(key, Cursor(1, recorded_before // 3))
        async with locked(postgres_url, "quote_rows") as connection:
            await rig.append(*tapes.part(recorded_before, BATCHES))
            await someone_waits_for(connection, "quote_rows")
            frozen.process.send_signal(signal.SIGSTOP)
        other.start()
        await rig.append(*tapes.part(BATCHES, len(tapes.tape.entries)))
        await tapes.are_recorded(rig)
        tapes.check(postgres_url)
        frozen.process.send_signal(signal.SIGCONT)
        await eventually(lambda: are_divided(rig))
    finally:
        frozen.kill()
        other.kill()


async def test_of_two_with_one_name_the_later_one_records(valkey_url, postgres_url, rig):
    tapes = Tapes()
    first, later = (recorder_process(valkey_url, postgres_url, INSTANCE_ID="same") for _ in "ab")
    parts = tapes.parts(3)

    async def is_refused() -> bool:
        return "another process has the name 'same'" in (await status(first)).detail

    async def later_records() -> bool:
        return (await status(later)).events_total > 0

    try:
        first.start()
        await rig.append(*parts[0])
        await rig.recorded(next(iter(tapes.keys)), Cursor(1, 1))
        later.start()
        await eventually(is_refused)
        await rig.append(*parts[1])
        await eventually(later_records)
        later.kill()
        await rig.append(*parts[2])
        await tapes.are_recorded(rig)
        assert (await status(first)).state == registry_pb2.SERVICE_STATE_SERVING
        tapes.check(postgres_url)
    finally:
        first.kill()
        later.kill()
