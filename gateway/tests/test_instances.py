"""Several processes of one service behind the real Envoy: updates, kills and second instances."""

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import Awaitable, Callable

import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from gateway.envoy_admin import CLUSTERS, EnvoyAdmin
from gateway.envoy_configuration import CLUSTERS_FILE
from gateway.tests.conftest import free_ports
from gateway.tests.fakes import MARKET_DATA, process, succeeds
from gateway.tests.starting import start_process
from ops.embedded import envoy
from tests.support.waiting import WAIT_SECONDS_MAX

STANDBY = registry_pb2.SERVICE_STATE_STANDBY
SERVING = registry_pb2.SERVICE_STATE_SERVING


@pytest.fixture
def start(door):
    """Starts a process: service id, kind, instance. All are killed at the end."""
    with contextlib.ExitStack() as running:

        def started(service_id: str, kind: str, instance: str) -> subprocess.Popen[bytes]:
            variables = {"VENUEMESH_INSTANCE_ID": instance}
            (port,) = free_ports(1)
            process = start_process(door, service_id, kind, port, variables)
            return running.enter_context(process)

        yield started


@pytest.fixture
async def states(door):
    """Waits until the registry lists the instances of a service in these states."""
    async with door.process_channel("tests") as direct:
        stub = registry_pb2_grpc.RegistryStub(direct)

        async def wait(service_id: str, expected: dict[str, int]) -> None:
            found: dict[str, int] = {}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAIT_SECONDS_MAX):
                    while found != expected:
                        listed = await stub.ListServices(registry_pb2.ListServicesRequest())
                        found = {
                            one.instance.instance_id: one.status.state
                            for one in listed.services
                            if one.instance.service_id == service_id
                        }
                        await asyncio.sleep(0.02)
            assert found == expected

        yield wait


class Calls:
    """Calls without a pause, and counts who has answered."""

    def __init__(self, call: Callable[[], Awaitable[str]]) -> None:
        self.answered: dict[str, int] = {}
        self.failed: list[str] = []
        self._call = call
        self._task = asyncio.create_task(self._run())

    async def answered_by(self, *names: str) -> None:
        """Wait until each of them has answered again."""
        self.answered.clear()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not set(names) <= set(self.answered):
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                name = await self._call()
                self.answered[name] = self.answered.get(name, 0) + 1
            except grpc.aio.AioRpcError as error:
                self.failed.append(f"{error.code()} {error.details()}")
            # Fewer than the gateway allows one token.
            await asyncio.sleep(0.005)


@pytest.fixture
async def calls():
    """Starts calling, until the test ends."""
    running: list[Calls] = []

    def begin(call: Callable[[], Awaitable[str]]) -> Calls:
        running.append(Calls(call))
        return running[-1]

    yield begin
    for one in running:
        await one.end()


@pytest.fixture
def ask_venue(channel):
    stub = market_data_pb2_grpc.MarketDataStub(channel)

    async def ask(venue: str) -> str:
        request = market_data_pb2.ListInstrumentsRequest(page_size=1)
        metadata = (("venuemesh-venue", venue),)
        return (await stub.ListInstruments(request, metadata=metadata)).instruments[0].venue

    return ask


@pytest.fixture
def ask_history(channel):
    stub = history_pb2_grpc.HistoryStub(channel)

    async def ask() -> str:
        request = history_pb2.ListTradesRequest(venue="binance", symbol="BTC-USDT")
        return (await stub.ListTrades(request)).next_page_token

    return ask


async def all_answer(ask: Callable[[], Awaitable[str]]) -> None:
    """More calls than there are instances."""
    for _ in range(20):
        await ask()


async def test_a_rolling_update_fails_no_call(start, states, calls, ask_venue):
    old = start("rolling", "venue", "old")
    await states("rolling", {"old": SERVING})
    await succeeds(lambda: ask_venue("rolling"))
    called = calls(lambda: ask_venue("rolling"))
    start("rolling", "venue", "new")
    await states("rolling", {"old": SERVING, "new": STANDBY})
    await called.answered_by("old")
    assert set(called.answered) == {"old"}
    old.terminate()
    await called.answered_by("new")
    assert old.wait(WAIT_SECONDS_MAX) == 0
    await states("rolling", {"new": SERVING})
    await called.answered_by("new")
    assert called.failed == []


async def test_a_goodbye_is_answered_when_callers_reach_the_successor(
    door, directory, states, ask_venue
):
    async with process(directory, "handed", name="handed") as old:
        old.venue.name = "old"
        await succeeds(lambda: ask_venue("handed"))
        async with process(directory, "handed", name="handed", instance_id="new") as new:
            new.venue.name = "new"
            await states("handed", {"": SERVING, "new": STANDBY})
            leaving = directory("handed", "venue")
            assert await leaving.withdraw(old.instance)
            # Envoy's workers may be a moment later, and repeat a call that the old one refuses.
            written = json.loads((door.folder / envoy.FOLDER / CLUSTERS_FILE).read_text())
            (cluster,) = (
                one for one in written["resources"] if one["name"] == f"{MARKET_DATA}/handed"
            )
            ports = [one.instance.address.rpartition(":")[2] for one in (old, new)]
            assert [port in str(cluster) for port in ports] == [False, True]
            used = await EnvoyAdmin(str(door.admin_socket)).versions()
            assert used[CLUSTERS] == written["version_info"]
            await leaving.close()


async def test_a_later_start_of_the_same_instance_survives_the_goodbye_of_the_earlier(
    start, states, calls, ask_venue
):
    old = start("same", "venue", "one")
    await states("same", {"one": SERVING})
    old.send_signal(signal.SIGSTOP)
    start("same", "venue", "one")
    await states("same", {"one": SERVING})
    await succeeds(lambda: ask_venue("same"))
    old.send_signal(signal.SIGCONT)
    old.terminate()
    assert old.wait(WAIT_SECONDS_MAX) == 0
    await states("same", {"one": SERVING})
    called = calls(lambda: ask_venue("same"))
    await called.answered_by("one")
    assert called.failed == []


async def test_two_histories_serve_and_one_that_is_killed_fails_no_later_call(
    start, states, calls, ask_history
):
    first = start("history", "history", "first")
    start("history", "history", "second")
    await states("history", {"first": SERVING, "second": SERVING})
    await succeeds(ask_history)
    called = calls(ask_history)
    await called.answered_by("first", "second")
    first.kill()
    first.wait()
    await states("history", {"first": registry_pb2.SERVICE_STATE_LOST, "second": SERVING})
    # The gateway follows the registry a moment later.
    await succeeds(lambda: all_answer(ask_history))
    called.failed.clear()
    await called.answered_by("second")
    for _ in range(100):
        assert await ask_history() == "second"
    assert called.failed == []


async def test_admin_names_one_of_several_instances(start, states, channel, browser):
    start("bars", "bars", "first")
    await states("bars", {"first": SERVING})
    start("bars", "bars", "second")
    await states("bars", {"first": SERVING, "second": SERVING})
    stub = admin_pb2_grpc.AdminStub(channel)

    async def answers(name: str) -> str:
        metadata = (("venuemesh-service", name),)
        found = await succeeds(
            lambda: stub.GetStatus(admin_pb2.GetStatusRequest(), metadata=metadata)
        )
        return found.instance.instance_id

    assert [await answers(f"bars@{name}") for name in ("first", "second")] == ["first", "second"]
    assert {await answers("bars") for _ in range(20)} == {"first"}
    async with browser.get("/v1/services/bars@second/status") as response:
        assert (await response.json())["instance"]["instance_id"] == "second"
