"""Leases, and which readers get changes."""

import asyncio

import grpc
import pytest
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from gateway import registry as registry_module
from gateway import service
from gateway.registry import FORGOTTEN_AFTER_S, LOST_AFTER_S, ProcessId, ServiceRegistry
from gateway.service import RegistryServicer
from gateway.tests.fakes import StillClock, eventually, instance, status
from kit.base import rpc
from kit.base.access.tokens import Caller
from kit.base.access.trust import TrustedKeys
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import (
    BadRequest,
    InstanceReplaced,
    TooManySubscribers,
    UnknownService,
    reason_of,
)
from kit.base.settings import MeshSettings
from tests.support.manual_clock import ManualClock
from tests.support.waiting import WAIT_SECONDS_MAX

BINANCE = instance("binance", "venue", "binance", "127.0.0.1:5060")
KRAKEN = instance("kraken", "venue", "kraken", "kraken.mesh:5062")
BARS = instance("bars-2", "bars", "bars", "127.0.0.1:8112")
LOST = registry_pb2.SERVICE_STATE_LOST
SERVING = registry_pb2.SERVICE_STATE_SERVING
DEGRADED = registry_pb2.SERVICE_STATE_DEGRADED


class NoTokens:
    """The tokens of a mesh that asks for none."""

    trusted = TrustedKeys()

    def renewed_for_process(self, caller: Caller) -> str:
        return ""


@pytest.fixture
def clock():
    return StillClock()


@pytest.fixture
def registry(clock):
    return ServiceRegistry(clock)


def ids(registry, kind=""):
    return [found.instance.service_id for found in registry.services(kind)]


def state(registry):
    return registry.services()[0].status.state


def test_services_come_by_kind_and_name(registry):
    for known in (KRAKEN, BINANCE, BARS):
        registry.register(known)
    assert ids(registry) == ["bars-2", "binance", "kraken"]
    assert ids(registry, "venue") == ["binance", "kraken"]


def test_the_same_id_replaces_what_was_there(registry):
    registry.register(BINANCE)
    registry.register(instance("binance", "venue", "binance", "127.0.0.1:6000"))
    assert [found.instance.address for found in registry.services()] == ["127.0.0.1:6000"]


def test_a_heartbeat_of_a_stranger_asks_it_to_register(registry):
    with pytest.raises(UnknownService) as caught:
        registry.heartbeat(ProcessId("binance"), status())
    assert caught.value.metadata == {"name": "binance"}


def test_silence_makes_lost_then_forgotten(registry, clock):
    registry.register(BINANCE)
    registry.heartbeat(ProcessId("binance"), status(SERVING))
    clock.pass_seconds(LOST_AFTER_S - 0.1)
    registry.sweep()
    assert state(registry) == SERVING
    clock.pass_seconds(0.1)
    registry.sweep()
    assert state(registry) == LOST
    clock.pass_seconds(FORGOTTEN_AFTER_S - LOST_AFTER_S)
    registry.sweep()
    assert ids(registry) == []


def test_a_heartbeat_brings_a_lost_process_back(registry, clock):
    registry.register(BINANCE)
    clock.pass_seconds(LOST_AFTER_S)
    registry.sweep()
    registry.heartbeat(ProcessId("binance"), status(SERVING))
    registry.sweep()
    assert state(registry) == SERVING


def test_the_revision_grows_with_what_others_must_know(registry, clock):
    seen = [registry.revision]

    def grew():
        seen.append(registry.revision)
        return seen[-1] > seen[-2]

    registry.register(BINANCE)
    assert grew()
    registry.heartbeat(ProcessId("binance"), status(SERVING))
    assert grew()
    registry.heartbeat(ProcessId("binance"), status(SERVING))
    assert not grew()
    registry.heartbeat(ProcessId("binance"), status(DEGRADED))
    assert grew()
    clock.pass_seconds(LOST_AFTER_S)
    registry.sweep()
    assert grew()
    registry.sweep()
    assert not grew()
    registry.unregister(ProcessId("binance"))
    assert grew()
    registry.unregister(ProcessId("binance"))
    assert not grew()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (instance("", "venue", "binance", "127.0.0.1:1"), "service_id"),
        (instance("Binance", "venue", "binance", "127.0.0.1:1"), "service_id"),
        (instance("a/b", "venue", "binance", "127.0.0.1:1"), "service_id"),
        (instance("x" * 65, "venue", "binance", "127.0.0.1:1"), "service_id"),
        (instance("binance", "", "binance", "127.0.0.1:1"), "kind"),
        (instance("binance", "venue", "bi nance", "127.0.0.1:1"), "name"),
        (instance("binance", "venue", "binance", ""), "address"),
        (instance("binance", "venue", "binance", "127.0.0.1"), "address"),
        (instance("binance", "venue", "binance", "127.0.0.1:0"), "address"),
        (instance("binance", "venue", "binance", "127.0.0.1:65536"), "address"),
        (instance("binance", "venue", "binance", "host name:1"), "address"),
        (instance("binance", "venue", "binance", "h:1", *map(str, range(65))), "grpc_services"),
    ],
)
def test_what_envoy_could_not_route_to_is_refused(registry, wrong, field):
    with pytest.raises(BadRequest) as caught:
        registry.register(wrong)
    assert caught.value.metadata["field"] == f"instance.{field}"
    assert ids(registry) == []


def test_it_holds_only_so_many(registry, monkeypatch):
    monkeypatch.setattr(registry_module, "SERVICES_MAX", 1)
    registry.register(BINANCE)
    registry.register(BINANCE)
    with pytest.raises(TooManySubscribers):
        registry.register(KRAKEN)


async def test_waiting_ends_with_a_change(registry):
    waiting = asyncio.create_task(registry.wait_for_change(registry.revision))
    await asyncio.sleep(0)
    assert not waiting.done()
    registry.register(BINANCE)
    await asyncio.wait_for(waiting, WAIT_SECONDS_MAX)


async def test_waiting_ends_at_once_when_the_change_was_before(registry):
    seen = registry.revision
    registry.register(BINANCE)
    await asyncio.wait_for(registry.wait_for_change(seen), WAIT_SECONDS_MAX)
    assert registry.revision > seen


async def test_waiting_ends_with_the_time(registry):
    seen = registry.revision
    await asyncio.wait_for(registry.wait_for_change(seen, 0.01), WAIT_SECONDS_MAX)
    assert registry.revision == seen


async def test_it_sweeps_while_it_runs(registry):
    registry.register(BINANCE)
    running = asyncio.create_task(registry.run())
    assert await eventually(lambda: ids(registry) == [])
    running.cancel()


async def test_time_in_which_the_registry_did_not_run_is_no_silence():
    clock = ManualClock()
    registry = ServiceRegistry(clock)
    registry.register(BINANCE)
    registry.heartbeat(ProcessId("binance"), status(SERVING))
    running = asyncio.create_task(registry.run())
    await clock.settle()
    clock.now_ns += int(2 * LOST_AFTER_S * NANOSECONDS_PER_SECOND)
    await clock.advance(0)
    assert state(registry) == SERVING
    await clock.advance(LOST_AFTER_S + 1)
    assert state(registry) == LOST
    running.cancel()


@pytest.fixture
async def served(registry):
    """The registry over gRPC: its servicer and a stub."""
    mesh = MeshSettings(mesh_id="m1")
    server, servicer = rpc.server(), RegistryServicer(registry, mesh, NoTokens())
    rpc.serve(server, registry_pb2.DESCRIPTOR.services_by_name["Registry"], servicer)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with rpc.channel(f"127.0.0.1:{port}") as channel:
        yield servicer, registry_pb2_grpc.RegistryStub(channel)
    await server.stop(None)


async def test_the_list_names_the_mesh(served):
    _, stub = served
    answer = await stub.ListServices(registry_pb2.ListServicesRequest())
    assert (answer.mesh_id, answer.world) == ("m1", "simulate")


async def test_a_watch_gives_the_list_at_each_change(registry, served):
    _, stub = served
    call = stub.Watch(registry_pb2.WatchRequest(kind="venue"))
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        assert list((await call.read()).services) == []
        registry.register(BINANCE)
        while not (services := (await call.read()).services):
            pass
        assert services[0].instance == BINANCE
    call.cancel()


async def test_a_watch_repeats_the_list_with_the_heartbeats(registry, served, monkeypatch):
    monkeypatch.setattr(service, "HEARTBEAT_INTERVAL_MS", 10)
    registry.register(BINANCE)
    _, stub = served
    call = stub.Watch(registry_pb2.WatchRequest())
    await call.read()
    registry.heartbeat(ProcessId("binance"), registry_pb2.ServiceStatus(events_total=7))
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not (events := (await call.read()).services[0].status.events_total):
            pass
    assert events == 7
    call.cancel()


async def test_there_are_only_so_many_watchers(served, monkeypatch):
    monkeypatch.setattr(service, "WATCHERS_MAX", 1)
    servicer, stub = served
    first = stub.Watch(registry_pb2.WatchRequest())
    await first.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Watch(registry_pb2.WatchRequest()).read()
    assert reason_of(caught.value) == "TOO_MANY_SUBSCRIBERS"
    first.cancel()
    assert await eventually(lambda: servicer.watchers == 0)
    again = stub.Watch(registry_pb2.WatchRequest())
    await again.read()
    again.cancel()


def started(instance_id, start_time_ns, of=BINANCE):
    found = registry_pb2.ServiceInstance(instance_id=instance_id, start_time_ns=start_time_ns)
    found.MergeFrom(of)
    return found


def states(registry):
    return {
        found.instance.instance_id: registry_pb2.ServiceState.Name(found.status.state)[14:]
        for found in registry.services()
    }


A, B = ProcessId("binance", "a"), ProcessId("binance", "b")


def test_what_an_earlier_start_says_changes_nothing(registry):
    registry.register(started("a", 1))
    registry.register(started("a", 2))
    registry.heartbeat(A, status(SERVING), 2)
    with pytest.raises(UnknownService):
        registry.heartbeat(A, status(registry_pb2.SERVICE_STATE_DRAINING), 1)
    assert registry.unregister(A, 1)
    with pytest.raises(InstanceReplaced) as caught:
        registry.register(started("a", 1))
    assert caught.value.metadata == {"name": "binance", "instance": "a"}
    assert states(registry) == {"a": "SERVING"}


def test_an_earlier_start_may_come_back_when_the_later_one_is_lost(registry, clock):
    registry.register(started("a", 2))
    clock.pass_seconds(LOST_AFTER_S)
    registry.sweep()
    registry.register(started("a", 1))
    assert states(registry) == {"a": "STARTING"}


def test_nothing_late_brings_a_process_back_that_has_left(registry):
    registry.register(started("a", 1))
    registry.unregister(A, 1)
    with pytest.raises(UnknownService):
        registry.heartbeat(A, status(SERVING), 1)
    with pytest.raises(InstanceReplaced):
        registry.register(started("a", 1))
    registry.register(started("a", 2))
    assert states(registry) == {"a": "STARTING"}


def test_a_second_instance_of_a_writer_stands_by_until_the_first_leaves(registry):
    for process, name in ((A, "a"), (B, "b")):
        registry.register(started(name, 1))
        registry.heartbeat(process, status(SERVING), 1)
    assert states(registry) == {"a": "SERVING", "b": "STANDBY"}
    assert registry.unregister(B, 7)
    assert states(registry) == {"a": "SERVING", "b": "STANDBY"}
    before = registry.revision
    assert registry.unregister(A, 1)
    assert states(registry) == {"b": "SERVING"}
    assert registry.revision > before


def test_a_standby_takes_over_from_a_lost_one_and_stays(registry, clock):
    registry.register(started("a", 1))
    clock.pass_seconds(LOST_AFTER_S)
    registry.register(started("b", 2))
    registry.heartbeat(B, status(SERVING), 2)
    assert states(registry)["b"] == "STANDBY"
    registry.sweep()
    assert states(registry) == {"a": "LOST", "b": "SERVING"}
    registry.heartbeat(A, status(SERVING), 1)
    assert states(registry) == {"a": "STANDBY", "b": "SERVING"}


def test_instances_of_a_reader_serve_beside_each_other(registry):
    for name in ("a", "b"):
        registry.register(started(name, 1, instance("history", "history", "history", "h:1")))
        registry.heartbeat(ProcessId("history", name), status(SERVING), 1)
    assert states(registry) == {"a": "SERVING", "b": "SERVING"}
    assert registry.unregister(ProcessId("history", "a"), 1)
    assert states(registry) == {"b": "SERVING"}


def test_after_a_restart_the_first_to_register_takes_no_place(registry):
    old = registry_pb2.Service(instance=started("a", 1))
    registry.expect([old])
    registry.register(started("b", 2))
    registry.heartbeat(B, status(SERVING), 2)
    assert (states(registry), registry.expected) == ({"b": "STANDBY"}, [old])
    registry.register(started("a", 1))
    assert (states(registry), registry.expected) == ({"a": "STARTING", "b": "STANDBY"}, [])


@pytest.mark.parametrize("give_up", [lambda one: one.expect([]), lambda one: one.unregister(A, 1)])
def test_a_place_is_not_kept_for_ever(registry, give_up):
    registry.expect([registry_pb2.Service(instance=started("a", 1))])
    registry.register(started("b", 2))
    registry.heartbeat(B, status(SERVING), 2)
    give_up(registry)
    assert states(registry) == {"b": "SERVING"}


def test_a_venue_that_was_stopped_is_forgotten_with_all_its_instances(registry):
    registry.expect([registry_pb2.Service(instance=started("c", 1))])
    for known in (started("a", 1), started("b", 1), KRAKEN):
        registry.register(known)
    registry.forget("binance")
    assert (ids(registry), registry.expected) == (["kraken"], [])


@pytest.mark.parametrize(
    "claimed",
    [
        instance("kraken", "venue", "binance", "127.0.0.1:9"),
        instance("binance_futures", "venue", "binance", "127.0.0.1:9"),
        instance("binance", "venue", "binance", "127.0.0.1:9", "venuemesh.access.v1.Tokens"),
        instance("ledger", "ledger", "ledger", "127.0.0.1:9", "venuemesh.events.v1.Events"),
    ],
    ids=lambda one: f"{one.service_id} {one.name} {list(one.grpc_services)}",
)
def test_no_process_takes_the_calls_of_another(registry, claimed):
    with pytest.raises(BadRequest) as refused:
        registry.register(claimed)
    assert refused.value.metadata["field"] in ("instance.name", "instance.grpc_services")


def test_each_process_serves_its_own_contracts(registry):
    for kind, service_id, *services in (
        ("venue", "binance-b", "marketdata.v1.MarketData", "tradeflow.v1.TradeFlow"),
        ("audit", "audit", "audit.v1.Audit", "events.v1.Events", "admin.v1.Admin"),
        ("registry", "registry", "registry.v1.Registry", "access.v1.Tokens"),
    ):
        served, name = [f"venuemesh.{one}" for one in services], service_id.partition("-")[0]
        registry.register(instance(service_id, kind, name, "127.0.0.1:9", *served))
    assert len(registry) == 3
