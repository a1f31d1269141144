"""The server as its clients see it: HTTP, websockets, faults."""

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from kit.clock import SystemClock
from kit.errors import SettingError
from kit.simulator import keepalive
from kit.simulator.app import Simulator
from kit.simulator.dialect import Session
from kit.simulator.settings import SimulatorSettings
from kit.simulator.tests.fakes import FakeExchange

WAIT_S = 10.0
QUICK_RULES = replace(FakeExchange.rules, ping_interval_s=0.02, pong_timeout_s=0.1)


class Client:
    """A client of one running simulator."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def get(self, path: str, **options) -> tuple[int, bytes]:
        async with self.session.get(self.base + path, **options) as response:
            return response.status, await response.read()

    async def json(self, path: str) -> dict:
        async with self.session.get(self.base + path) as response:
            assert response.status == 200
            return await response.json()

    async def fault(self, fault: str, **fields) -> int:
        order = {"venue": "fake", "fault": fault, **fields}
        async with self.session.post(self.base + "/faults", json=order) as response:
            return response.status

    async def subscribe(self, names: str, **options) -> ClientWebSocketResponse:
        websocket = await self.session.ws_connect(self.base + "/fake/ws", **options)
        await websocket.send_str(names)
        assert await text_of(websocket) == names.upper()
        return websocket

    async def finished(self) -> dict:
        async with asyncio.timeout(WAIT_S):
            while True:
                (status,) = (await self.json("/replay/status"))["venues"]
                if status["finished"]:
                    return status


async def text_of(websocket: ClientWebSocketResponse) -> str:
    async with asyncio.timeout(WAIT_S):
        message = await websocket.receive()
    assert message.type is WSMsgType.TEXT, message
    return message.data


async def quietly(websocket: ClientWebSocketResponse) -> str | None:
    """The next text, or None when there is none for a moment."""
    try:
        return (await websocket.receive(timeout=0.2)).data
    except TimeoutError:
        return None


@asynccontextmanager
async def running(
    world: str = "simulate", exchange=FakeExchange, **fields
) -> AsyncIterator[Client]:
    chosen = SimulatorSettings(port=0, start_delay_ms=20, **fields)
    simulator = Simulator(world, chosen, {"fake": exchange}, SystemClock())
    await simulator.start("127.0.0.1")
    stopping = asyncio.Event()
    task = asyncio.create_task(simulator.run(stopping))
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(session, f"http://127.0.0.1:{simulator.port}")
    finally:
        stopping.set()
        await asyncio.wait_for(task, WAIT_S)


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """Frames of every length class of a websocket header, then many usual ones."""
    lines = ["status/A/".ljust(length, "0") for length in (125, 126, 127, 65_535, 65_536)]
    lines += [f"status/A/{number}" for number in range(20_000)]
    file = tmp_path / "frames.jsonl"
    file.write_text("\n".join(lines))
    return file


async def test_a_venue_is_told_by_the_path_or_by_the_host():
    async with running() as client:
        assert await client.get("/fake/api/time?x=1") == (200, b"/api/time")
        headers = {"Host": "api.fake.example:443"}
        assert await client.get("/api/time", headers=headers) == (200, b"/api/time")
        status, body = await client.get("/other/api/time")
        assert status == 404
        assert b"fake" in body
        status, _ = await client.get("/fake/nowhere", headers={"Upgrade": "websocket"})
        assert status == 404


async def test_a_simulated_market_speaks_in_steps_of_its_own_time():
    async with running() as client:
        websocket = await client.subscribe("status/all")
        times_ns = [int(await text_of(websocket)) for _ in range(5)]
        steps = {later - earlier for earlier, later in itertools.pairwise(times_ns)}
        assert steps == {5_000_000}
        (status,) = (await client.json("/status"))["venues"]
        assert status["venue"] == "fake"
        assert (status["connections"], status["streams"]) == (1, ["status/all"])
        assert status["frames_sent"] >= 5


async def test_a_replay_at_full_speed_delivers_every_frame_once_in_order(tape: Path):
    async with running("replay", replay=[f"fake={tape}"], speed="max") as client:
        websockets = await asyncio.gather(*(client.subscribe("status/A") for _ in range(2)))
        for websocket in websockets:
            for line in tape.read_text().splitlines():
                assert await text_of(websocket) == line
        status = await client.finished()
        assert (status["venue"], status["frames_played"]) == ("fake", 20_005)
        assert status["frames_sent"] == 2 * 20_005
        assert not websockets[0].closed


async def test_a_client_that_does_not_read_holds_the_tape_up(tmp_path: Path):
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
        async with asyncio.timeout(WAIT_S):
            while (message := await silent.receive()).type is WSMsgType.PING:
                continue
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
        assert not reading.done()
        reading.cancel()


@pytest.mark.parametrize(("by_clock", "code"), [(False, 1008), (True, 1001)])
async def test_an_exchange_may_end_a_connection_after_what_it_says(
    monkeypatch: pytest.MonkeyPatch, by_clock: bool, code: int
):
    monkeypatch.setattr(keepalive, "TICK_S", 0.02)

    class Leaving(FakeExchange):
        async def receive(self, session, text, floor) -> list[bytes]:
            session.closing = "" if by_clock else "enough"
            return [b"heard"]

        def tick(self, session, floor) -> list[bytes]:
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


async def test_each_connection_is_told_something_by_the_clock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keepalive, "TICK_S", 0.02)

    class Ticking(FakeExchange):
        def tick(self, session, floor) -> list[bytes]:
            return [",".join(session.streams).encode(), b"tick"]

        def open(self, path, query):
            numbers = itertools.count()
            return Session(shape=lambda payload: b"%d %b" % (next(numbers), payload))

    async with running(exchange=Ticking) as client:
        for name in ("book/A", "book/B"):
            websocket = await client.session.ws_connect(client.base + "/fake/ws")
            await websocket.send_str(name)
            heard = [await text_of(websocket) for _ in range(5)]
            assert heard == [
                f"0 {name.upper()}", f"1 {name}", "2 tick", f"3 {name}", "4 tick",
            ]  # fmt: skip


async def test_a_client_that_talks_too_much_is_ended():
    async with running() as client:
        websocket = await client.subscribe("book/A")
        for _ in range(10):
            await websocket.send_str("book/A")
        async with asyncio.timeout(WAIT_S):
            async for message in websocket:
                assert message.data == "BOOK/A"
        assert websocket.close_code == 1008


@pytest.mark.parametrize(("fault", "code"), [("disconnect", 1001), ("reset", 1006)])
async def test_connections_end_in_good_and_in_bad_order(fault: str, code: int):
    async with running() as client:
        concerned = await client.subscribe("status/all")
        other = await client.subscribe("book/A")
        assert await client.fault(fault) == 200
        async with asyncio.timeout(WAIT_S):
            async for message in concerned:
                assert message.type is WSMsgType.TEXT
        assert concerned.close_code == code
        assert not other.closed
        await text_of(await client.subscribe("status/all"))


async def test_a_stalled_connection_stays_open_and_silent():
    async with running() as client:
        stalled = await client.subscribe("status/all")
        assert await client.fault("stall") == 200
        async with asyncio.timeout(WAIT_S):
            while (await client.json("/faults"))["faults"]:
                await asyncio.sleep(0)
        later = await client.subscribe("status/all")
        newest = int(await text_of(later))
        heard = 0
        while (message := await quietly(stalled)) is not None:
            heard = int(message)
        assert heard < newest
        assert not stalled.closed


async def test_rest_calls_fail_as_ordered_and_then_no_more():
    async with running() as client:
        assert await client.fault("rest_429", path="time", seconds=3) == 200
        assert await client.get("/fake/other") == (200, b"/other")
        async with client.session.get(client.base + "/fake/time") as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "3")
            assert await response.read() == b'{"error":"slower"}'
        assert await client.get("/fake/time") == (200, b"/time")
        for fault, status in (("rest_418", 418), ("rest_500", 500), ("rest_html", 502)):
            assert await client.fault(fault) == 200
            found, body = await client.get("/fake/time")
            assert found == status
            assert (b"<html>" in body) == (fault == "rest_html")


async def test_a_delayed_answer_comes_later_than_the_next():
    async with running() as client:
        assert await client.fault("rest_delay", path="slow", seconds=0.2) == 200
        slow = asyncio.create_task(client.get("/fake/slow"))
        assert await client.get("/fake/quick") == (200, b"/quick")
        assert not slow.done()
        assert await slow == (200, b"/slow")


async def test_a_subscription_is_acknowledged_and_then_silent_until_it_is_made_again():
    async with running() as client:
        assert await client.fault("ack_then_silence") == 200
        muted = await client.subscribe("status/all")
        heard = await client.subscribe("status/all")
        for _ in range(5):
            await text_of(heard)
        assert await quietly(muted) is None
        assert not muted.closed


async def test_a_subscription_begins_with_frames_that_were_sent_before():
    async with running() as client:
        assert await client.fault("resend", value="3", count=2) == 200
        first = await client.subscribe("status/all")
        heard = [await text_of(first) for _ in range(20)]
        again = await client.subscribe("status/all")
        resent = [int(await text_of(again)) for _ in range(3)]
        assert resent == sorted(resent, reverse=True)
        assert int(heard[0]) <= min(resent)
        following = int(await text_of(again))
        assert following == max(resent) + 5_000_000


async def test_a_client_that_is_not_heard_gets_no_answer():
    async with running() as client:
        websocket = await client.subscribe("status/all")
        assert await client.fault("no_pong", seconds=0) == 200
        await websocket.send_str("book/A")
        await websocket.ping(b"hello")
        for _ in range(20):
            assert (await text_of(websocket)).isdigit()
        async with client.session.delete(client.base + "/faults") as response:
            assert response.status == 200
        await websocket.send_str("book/B")
        async with asyncio.timeout(WAIT_S):
            while (text := await text_of(websocket)).isdigit():
                pass
        assert text == "BOOK/B"


async def test_rest_shows_no_market_one_twice_or_an_old_book():
    async with running() as client:
        _, listed = await client.get("/fake/listings")
        symbols = listed.decode().split(",")
        assert await client.fault("empty_market_list", path="listings") == 200
        assert await client.get("/fake/listings") == (200, b"")
        assert await client.fault("symbol_twice", path="listings", symbol=symbols[1]) == 200
        _, twice = await client.get("/fake/listings")
        assert sorted(twice.decode().split(",")) == sorted([*symbols, symbols[1]])
        assert await client.get("/fake/listings") == (200, listed)
        path = f"/fake/book?symbol={symbols[0]}"
        _, old = await client.get(path)
        assert await client.fault("stale_snapshot", symbol=symbols[0], count=2) == 200
        _, stale = await client.get(path)
        websocket = await client.subscribe("status/all")
        for _ in range(40):
            await text_of(websocket)
        assert await client.get(path) == (200, stale)
        _, new = await client.get(path)
        assert int(old) <= int(stale) < int(new)


async def test_a_server_that_shuts_down_closes_all_connections_of_that_moment():
    async with running() as client:
        connections = [await client.subscribe("book/A"), await client.subscribe("status/all")]
        assert await client.fault("server_shutdown", seconds=0.1) == 200
        later = await client.subscribe("status/all")
        for websocket in connections:
            async with asyncio.timeout(WAIT_S):
                async for message in websocket:
                    assert message.type is WSMsgType.TEXT
            assert websocket.close_code == 1001
        await text_of(later)


async def test_a_shutdown_is_announced_in_the_venues_own_words():
    class Polite(FakeExchange):
        def __init__(self) -> None:
            super().__init__()
            self.faults = {"server_shutdown": lambda frame: [(frame[0], b"we go"), frame]}

    async with running(exchange=Polite) as client:
        websocket = await client.subscribe("status/all")
        assert await client.fault("server_shutdown", seconds=0.2) == 200
        async with asyncio.timeout(WAIT_S):
            heard = [message.data async for message in websocket]
        assert heard.count("we go") == 1
        assert heard[-1].isdigit()
        assert websocket.close_code == 1001


async def test_a_market_changes_on_order():
    async with running() as client:
        assert await client.fault("delist", symbol="ETHBTC") == 200
        _, listed = await client.get("/fake/listings")
        assert b"ETHBTC" not in listed.split(b",")
        assert await client.fault("delist", symbol="ETHBTC") == 400
        assert await client.fault("list", symbol="ETHBTC") == 200
        _, listed = await client.get("/fake/listings")
        assert b"ETHBTC" in listed.split(b",")
        known = (await client.json("/faults"))["known"]["fake"]
        assert {"halt", "list", "tick_size", "burst", "clock_skew", "stale_snapshot"} <= set(known)


async def test_in_replay_a_market_cannot_be_changed(tape: Path):
    async with running("replay", replay=[f"fake={tape}"]) as client:
        assert await client.fault("halt", symbol="A") == 400
        assert await client.fault("stale_snapshot") == 200


async def test_a_script_is_refused_where_it_asks_for_what_is_not_known(tmp_path: Path):
    script = tmp_path / "faults.jsonl"
    script.write_text('{"venue":"fake","fault":"explode"}')
    chosen = SimulatorSettings(faults=str(script))
    with pytest.raises(SettingError) as refused:
        Simulator("simulate", chosen, {"fake": FakeExchange}, SystemClock())
    assert refused.value.key == "simulator.faults"


async def test_a_websocket_is_refused_as_it_is_opened():
    async with running() as client:
        assert await client.fault("rest_429", path="/ws", seconds=7) == 200
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.subscribe("book/A")
        assert refused.value.status == 429
        assert refused.value.headers is not None
        assert refused.value.headers["Retry-After"] == "7"
        await client.subscribe("book/A")


async def test_faults_are_listed_switched_off_and_refused_when_wrong():
    async with running() as client:
        assert await client.fault("drop", symbol="NEVER", count=0) == 200
        (listed,) = (await client.json("/faults"))["faults"]
        assert (listed["fault"], listed["fired"]) == ("drop", 0)
        async with client.session.delete(client.base + "/faults?venue=fake") as response:
            assert response.status == 200
        answer = await client.json("/faults")
        assert answer["faults"] == []
        assert {"drop", "stall", "rest_429"} <= set(answer["known"]["fake"])
        assert await client.fault("explode") == 400
        assert await client.fault("drop", probability=2) == 400
        assert await client.fault("drop", venue="other") == 400


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
async def test_what_cannot_be_played_is_refused(world: str, fields: dict, key: str):
    with pytest.raises(SettingError) as refused:
        Simulator(world, SimulatorSettings(**fields), {"fake": FakeExchange}, SystemClock())
    assert refused.value.key == key


async def test_a_port_in_use_is_refused():
    async with running() as client:
        port = int(client.base.rpartition(":")[2])
        second = Simulator(
            "simulate", SimulatorSettings(port=port), {"fake": FakeExchange}, SystemClock()
        )
        with pytest.raises(SettingError, match="port"):
            await second.start("127.0.0.1")
