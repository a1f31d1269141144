"""Faults and changes that are ordered over HTTP, as a client meets them."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType

from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.simulator.app import Simulator
from kit.simulator.settings import SimulatorSettings
from kit.simulator.tests.fakes import FakeExchange
from kit.simulator.tests.running import quietly, running, text_of
from tests.support.waiting import WAIT_SECONDS_MAX


@pytest.mark.parametrize(("fault", "code"), [("disconnect", 1001), ("reset", 1006)])
async def test_connections_are_closed_reset_or_stalled(fault: str, code: int):
    async with running() as client:
        concerned = await client.subscribe("status/all")
        other = await client.subscribe("book/A")
        assert await client.fault(fault) == 200
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            async for message in concerned:
                assert message.type is WSMsgType.TEXT
        assert concerned.close_code == code
        assert not other.closed
        await text_of(await client.subscribe("status/all"))


async def test_a_stalled_connection_stays_open_and_silent():
    async with running() as client:
        stalled = await client.subscribe("status/all")
        assert await client.fault("stall") == 200
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while (await client.json("/faults"))["faults"]:
                await asyncio.sleep(0)
        later = await client.subscribe("status/all")
        newest = int(await text_of(later))
        heard = 0
        while (message := await quietly(stalled)) is not None:
            heard = int(message)
        assert heard < newest
        assert not stalled.closed


async def test_rest_calls_fail_as_often_as_commanded():
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
        for name in ("-status/all", "status/all"):
            await muted.send_str(name)
            assert await text_of(muted) == name.upper()
        assert (await text_of(muted)).isdigit()


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


async def test_an_ignored_client_gets_no_answer():
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
        async with asyncio.timeout(WAIT_SECONDS_MAX):
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


async def test_a_shutdown_closes_all_current_connections():
    async with running() as client:
        connections = [await client.subscribe("book/A"), await client.subscribe("status/all")]
        assert await client.fault("server_shutdown", seconds=0.1) == 200
        later = await client.subscribe("status/all")
        for websocket in connections:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                async for message in websocket:
                    assert message.type is WSMsgType.TEXT
            assert websocket.close_code == 1001
        await text_of(later)


async def test_a_shutdown_is_announced_as_the_venue_does():
    class Polite(FakeExchange):
        def __init__(self) -> None:
            super().__init__()
            self.faults = {"server_shutdown": lambda frame: [(frame[0], b"we go"), frame]}

    async with running(exchange=Polite) as client:
        websocket = await client.subscribe("status/all")
        assert await client.fault("server_shutdown", seconds=0.2) == 200
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            heard = [message.data async for message in websocket]
        assert heard.count("we go") == 1
        assert heard[-1].isdigit()
        assert websocket.close_code == 1001


async def test_a_market_changes_on_command():
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


async def test_in_replay_a_market_cannot_be_changed(tmp_path: Path):
    capture_file = tmp_path / "frames.jsonl"
    capture_file.write_text("trades/A/1")
    async with running("replay", replay=[f"fake={capture_file}"]) as client:
        assert await client.fault("halt", symbol="A") == 400
        assert await client.fault("stale_snapshot") == 200


async def test_a_script_with_an_unknown_fault_is_rejected(tmp_path: Path):
    script = tmp_path / "faults.jsonl"
    script.write_text('{"venue":"fake","fault":"explode"}')
    chosen = SimulatorSettings(faults=str(script))
    with pytest.raises(SettingError) as refused:
        Simulator("simulate", chosen, {"fake": FakeExchange}, SystemClock())
    assert refused.value.key == "simulator.faults"


async def test_a_websocket_is_rejected_as_it_is_opened():
    async with running() as client:
        assert await client.fault("rest_429", path="/ws", seconds=7) == 200
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.subscribe("book/A")
        assert refused.value.status == 429
        assert refused.value.headers is not None
        assert refused.value.headers["Retry-After"] == "7"
        await client.subscribe("book/A")


async def test_faults_are_listed_cleared_and_rejected_when_wrong():
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
        assert await client.fault("drop", seconds=-1) == 400
        assert await client.fault("clock_skew", seconds=-1) == 200
        assert await client.fault("resend", value="many") == 400
        assert await client.fault("drop", venue="other") == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "simulator.example.com"},
    ],
)
async def test_a_web_page_cannot_order_a_fault(headers):
    async with running() as client:
        order = {"venue": "fake", "fault": "drop", "symbol": "NEVER"}
        url = client.base + "/faults"
        async with client.session.post(url, json=order, headers=headers) as response:
            assert response.status == 403
        async with client.session.delete(url, headers=headers) as response:
            assert response.status == 403
        assert (await client.json("/faults"))["faults"] == []
