"""The server as its clients see it: HTTP, websockets, faults."""

import asyncio
import gzip
import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import WSMsgType

from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.simulator import keepalive
from kit.simulator.app import Simulator
from kit.simulator.dialect import WebsocketSession
from kit.simulator.settings import SimulatorSettings
from kit.simulator.tests.fakes import FakeExchange
from kit.simulator.tests.running import running, text_of
from tests.support.waiting import WAIT_SECONDS_MAX

QUICK_RULES = replace(FakeExchange.rules, ping_interval_s=0.02, pong_timeout_s=0.1)


@pytest.fixture
def capture_file(tmp_path: Path) -> Path:
    """Frames of every length class of a websocket header, then many usual ones."""
    lines = ["status/A/".ljust(length, "0") for length in (125, 126, 127, 65_535, 65_536)]
    lines += [f"status/A/{number}" for number in range(20_000)]
    file = tmp_path / "frames.jsonl"
    file.write_text("\n".join(lines))
    return file


async def test_a_venue_is_found_by_path_or_host():
    async with running() as client:
        assert await client.get("/fake/api/time?x=1") == (200, b"/api/time")
        headers = {"Host": "api.fake.example:443"}
        assert await client.get("/api/time", headers=headers) == (200, b"/api/time")
        status, body = await client.get("/other/api/time")
        assert status == 404
        assert b"fake" in body
        status, _ = await client.get("/fake/nowhere", headers={"Upgrade": "websocket"})
        assert status == 404


async def test_a_simulated_market_publishes_in_steps_of_its_time():
    async with running() as client:
        websocket = await client.subscribe("status/all")
        times_ns = [int(await text_of(websocket)) for _ in range(5)]
        steps = {later - earlier for earlier, later in itertools.pairwise(times_ns)}
        assert steps == {5_000_000}
        (status,) = (await client.json("/status"))["venues"]
        assert status["venue"] == "fake"
        assert (status["connections"], status["streams"]) == (1, ["status/all"])
        assert status["frames_sent"] >= 5


async def test_a_replay_at_full_speed_delivers_every_frame_once_in_order(capture_file: Path):
    async with running("replay", replay=[f"fake={capture_file}"], speed="max") as client:
        websockets = await asyncio.gather(*(client.subscribe("status/A") for _ in range(2)))
        for websocket in websockets:
            for line in capture_file.read_text().splitlines():
                assert await text_of(websocket) == line
        status = await client.finished()
        assert (status["venue"], status["frames_played"]) == ("fake", 20_005)
        assert status["frames_sent"] == 2 * 20_005
        assert not websockets[0].closed


async def test_a_client_that_does_not_read_delays_the_tape(tmp_path: Path):
    file = tmp_path / "frames.jsonl"
    line = "trades/A/" + "7" * 10_000
    file.write_text(f"{line}\n" * 5_000)
    async with running("replay", replay=[f"fake={file}"], speed="max") as client:
        websocket = await client.subscribe("trades/A", max_msg_size=0)
        same, played = 0, -1
        while same < 30:
            (status,) = (await client.json("/replay/status"))["venues"]
            same = same + 1 if status["frames_played"] == played else 0
            played = status["frames_played"]
        assert played < 5_000
        for _ in range(5_000):
            assert await text_of(websocket) == line
        assert (await client.finished())["frames_played"] == 5_000


async def test_a_damaged_tape_is_played_to_the_damage_and_ends_the_connections(tmp_path: Path):
    lines = [f"trades/A/{number}" for number in range(200_000)]
    packed = gzip.compress("\n".join(lines).encode())
    file = tmp_path / "frames.jsonl.gz"
    file.write_bytes(packed[: len(packed) - 100])
    async with running("replay", replay=[f"fake={file}"], speed="max") as client:
        websocket = await client.subscribe("trades/A")
        heard = 0
        async for message in websocket:
            assert message.data == lines[heard]
            heard += 1
        assert heard > 20_000
        assert websocket.close_code == 1011
        assert "frames.jsonl.gz" in (await client.finished())["failure"]


async def test_the_exchange_pings_and_ends_what_does_not_answer():
    class Quick(FakeExchange):
        rules = QUICK_RULES

    async with running(exchange=Quick) as client:
        silent = await client.subscribe("book/A", autoping=False)
        answering = await client.subscribe("book/A")
        reading = asyncio.create_task(answering.receive())
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while (message := await silent.receive()).type is WSMsgType.PING:
                continue
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
        assert not reading.done()
        reading.cancel()


@pytest.mark.parametrize(("by_clock", "code"), [(False, 1008), (True, 1001)])
async def test_an_exchange_can_close_a_connection_after_its_answer(
    monkeypatch: pytest.MonkeyPatch, by_clock: bool, code: int
):
    monkeypatch.setattr(keepalive, "TICK_S", 0.02)

    class Leaving(FakeExchange):
        async def receive(self, session, text, market_view) -> list[bytes]:
            session.closing = "" if by_clock else "enough"
            return [b"heard"]

        def tick(self, session, market_view) -> list[bytes]:
            session.closing = "enough" if by_clock else ""
            return []

    async with running(exchange=Leaving) as client:
        websocket = await client.session.ws_connect(client.base + "/fake/ws")
        await websocket.send_str("book/A")
        if not by_clock:
            assert await text_of(websocket) == "heard"
        while (message := await websocket.receive()).type is WSMsgType.TEXT:
            assert message.data == "heard"
        assert (websocket.close_code, message.extra) == (code, "enough")


async def test_each_connection_gets_its_tick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keepalive, "TICK_S", 0.02)

    class Ticking(FakeExchange):
        def tick(self, session, market_view) -> list[bytes]:
            return [",".join(session.streams).encode(), b"tick"]

        def open(self, path, query):
            numbers = itertools.count()
            return WebsocketSession(shape=lambda payload: b"%d %b" % (next(numbers), payload))

    async with running(exchange=Ticking) as client:
        for name in ("book/A", "book/B"):
            websocket = await client.session.ws_connect(client.base + "/fake/ws")
            await websocket.send_str(name)
            heard = [await text_of(websocket) for _ in range(5)]
            assert heard == [
                f"0 {name.upper()}", f"1 {name}", "2 tick", f"3 {name}", "4 tick",
            ]  # fmt: skip


async def test_a_client_with_too_many_messages_is_disconnected():
    async with running() as client:
        websocket = await client.subscribe("book/A")
        for _ in range(10):
            await websocket.send_str("book/A")
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            async for message in websocket:
                assert message.data == "BOOK/A"
        assert websocket.close_code == 1008


@pytest.mark.parametrize(
    ("world", "fields", "key"),
    [
        ("live", {}, "mesh.world"),
        ("replay", {}, "simulator.replay"),
        ("replay", {"replay": ["other=/no/such/file"]}, "simulator.replay"),
        ("replay", {"replay": ["fake=/no/such/file"]}, "simulator.replay"),
        ("simulate", {"faults": "/no/such/file"}, "simulator.faults"),
    ],
)
async def test_an_unplayable_world_is_rejected(world: str, fields: dict, key: str):
    with pytest.raises(SettingError) as refused:
        Simulator(world, SimulatorSettings(**fields), {"fake": FakeExchange}, SystemClock())
    assert refused.value.key == key


async def test_a_port_in_use_is_rejected():
    async with running() as client:
        port = int(client.base.rpartition(":")[2])
        second = Simulator(
            "simulate", SimulatorSettings(port=port), {"fake": FakeExchange}, SystemClock()
        )
        with pytest.raises(SettingError, match="port"):
            await second.start("127.0.0.1")
