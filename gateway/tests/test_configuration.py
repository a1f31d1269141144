"""What is written for Envoy, and when."""

import asyncio
import json
from asyncio.subprocess import DEVNULL

import pytest

from gateway import service_contracts
from gateway.envoy_configuration import GRACE_S, MEMORY_FILE, EnvoyConfiguration
from gateway.registry import ServiceRegistry
from gateway.settings import GatewaySettings
from gateway.tests.fakes import ADMIN, LIVE, MARKET_DATA, StillClock, eventually, instance
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from ops.embedded import envoy

CONTRACTS = service_contracts.load()
BINANCE = instance("binance", "venue", "binance", "127.0.0.1:5060", MARKET_DATA, ADMIN)


class Files:
    """The configuration of a mesh, and how to read it."""

    def __init__(self, folder, clock, settings=None, **mesh):
        self.registry = ServiceRegistry(clock)
        self.configuration = EnvoyConfiguration(
            settings or GatewaySettings(),
            MeshSettings(data_dir=str(folder), **mesh),
            CONTRACTS,
            self.registry,
            clock,
        )

    def read(self, name):
        return json.loads((self.configuration.folder / name).read_text())

    def clusters(self):
        return {found["name"]: found for found in self.read("clusters.yaml")["resources"]}

    def routes(self):
        configuration = self.read("routes.yaml")["resources"][0]
        return configuration["virtual_hosts"][0]["routes"]


@pytest.fixture
def clock():
    return StillClock()


@pytest.fixture
def files(tmp_path, clock):
    return Files(tmp_path, clock)


def addresses(cluster):
    return [
        (
            endpoint["endpoint"]["address"]["socket_address"]["address"],
            endpoint["endpoint"]["address"]["socket_address"]["port_value"],
        )
        for group in cluster["load_assignment"]["endpoints"]
        for endpoint in group["lb_endpoints"]
    ]


def test_a_process_has_a_cluster_for_each_way_to_call_it(files):
    files.registry.register(BINANCE)
    files.configuration.write()
    clusters = files.clusters()
    assert addresses(clusters[f"{MARKET_DATA}/binance"]) == [("127.0.0.1", 5060)]
    assert addresses(clusters[f"{ADMIN}/binance"]) == [("127.0.0.1", 5060)]
    assert LIVE not in clusters


def test_of_two_processes_of_a_venue_the_elder_comes_first(files):
    younger = instance("binance-b", "venue", "binance", "127.0.0.1:5560", MARKET_DATA, ADMIN)
    younger.epoch, elder = 2_000, type(BINANCE)()
    elder.CopyFrom(BINANCE)
    elder.epoch = 1_000
    for one in (younger, elder):
        files.registry.register(one)
    files.configuration.write()
    clusters = files.clusters()
    shared = clusters[f"{MARKET_DATA}/binance"]
    assert addresses(shared) == [("127.0.0.1", 5060), ("127.0.0.1", 5560)]
    groups = shared["load_assignment"]["endpoints"]
    assert [group.get("priority", 0) for group in groups] == [0, 1]
    assert addresses(clusters[f"{ADMIN}/binance-b"]) == [("127.0.0.1", 5560)]


def test_processes_of_one_kind_share_a_cluster(files):
    for number in (1, 2):
        name = f"bridge-{number}"
        files.registry.register(instance(name, "bridge", "bridge", f"10.0.0.{number}:8113", LIVE))
    files.configuration.write()
    assert addresses(files.clusters()[LIVE]) == [("10.0.0.1", 8113), ("10.0.0.2", 8113)]


def test_a_host_name_is_looked_up_by_envoy(files):
    files.registry.register(instance("okx", "venue", "okx", "okx:5063", MARKET_DATA))
    files.registry.register(BINANCE)
    files.configuration.write()
    clusters = files.clusters()
    assert clusters[f"{MARKET_DATA}/okx"]["type"] == "STRICT_DNS"
    assert clusters[f"{MARKET_DATA}/binance"]["type"] == "STATIC"


def test_every_route_leads_to_a_cluster(files):
    files.registry.register(BINANCE)
    files.configuration.write()
    wanted = {route["route"]["cluster"] for route in files.routes()}
    assert wanted <= set(files.clusters())


def test_streams_have_no_timeout_and_other_rest_calls_have(files):
    files.registry.register(BINANCE)
    files.configuration.write()
    timeouts = {
        path: (route["route"]["timeout"], route["route"].get("idle_timeout"))
        for route in files.routes()
        for path in route["match"].get("safe_regex", {"regex": ""})["regex"].split("|")
    }
    assert timeouts["/v1/venues/binance/stream"] == ("0s", "0s")
    assert timeouts["/v1/venues/binance/instruments"] == ("60s", None)


def test_what_has_not_changed_is_not_written_again(files):
    files.configuration.write()
    before = {file.name: file.stat().st_ino for file in files.configuration.folder.iterdir()}
    files.registry.register(BINANCE)
    files.configuration.write()
    after = {file.name: file.stat().st_ino for file in files.configuration.folder.iterdir()}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"clusters.yaml", "routes.yaml", MEMORY_FILE}


def test_only_the_loopback_is_listened_on(files):
    files.configuration.write()
    bootstrap = files.read("bootstrap.yaml")
    listeners = [*bootstrap["static_resources"]["listeners"], bootstrap["admin"]]
    hosts = {found["address"]["socket_address"]["address"] for found in listeners}
    assert hosts == {"127.0.0.1"}


def test_in_a_container_the_administration_stays_on_the_loopback(tmp_path, clock):
    files = Files(tmp_path, clock, host="0.0.0.0", advertise_host="registry")
    files.configuration.write()
    bootstrap = files.read("bootstrap.yaml")
    public = bootstrap["static_resources"]["listeners"][0]
    assert public["address"]["socket_address"]["address"] == "0.0.0.0"
    assert bootstrap["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
    assert addresses(files.clusters()["registry"]) == [("registry", 8082)]


async def test_hosts_may_be_added_or_all_be_let_in(tmp_path, clock):
    for hosts, domains in [
        (("localhost", "gateway"), [["localhost", "gateway", "localhost:*", "gateway:*"], ["*"]]),
        (("*",), [["*"]]),
    ]:
        files = Files(tmp_path / str(len(hosts)), clock, GatewaySettings(hosts=hosts))
        files.configuration.write()
        virtual_hosts = files.read("routes.yaml")["resources"][0]["virtual_hosts"]
        assert [found["domains"] for found in virtual_hosts] == domains
        program = (envoy.binary(), "--mode", "validate", "--config-path")
        bootstrap = files.configuration.folder / "bootstrap.yaml"
        checked = await asyncio.create_subprocess_exec(
            *program, bootstrap, stdout=DEVNULL, stderr=DEVNULL
        )
        assert await checked.wait() == 0


async def test_it_follows_the_registry(files):
    files.configuration.write()
    running = asyncio.create_task(files.configuration.run())
    assert f"{ADMIN}/binance" not in files.clusters()
    files.registry.register(BINANCE)
    assert await eventually(lambda: f"{ADMIN}/binance" in files.clusters())
    files.registry.unregister("binance")
    assert await eventually(lambda: f"{ADMIN}/binance" not in files.clusters())
    running.cancel()


async def test_after_a_restart_the_routes_stay_until_the_processes_are_back(tmp_path, clock):
    before = Files(tmp_path, clock)
    before.registry.register(BINANCE)
    before.registry.register(instance("okx", "venue", "okx", "127.0.0.1:5063", ADMIN))
    before.configuration.write()

    after = Files(tmp_path, clock)
    after.configuration.write()
    running = asyncio.create_task(after.configuration.run())
    moved = instance("binance", "venue", "binance", "127.0.0.1:6000", MARKET_DATA, ADMIN)
    await asyncio.sleep(0)
    assert {f"{ADMIN}/binance", f"{ADMIN}/okx"} <= set(after.clusters())
    after.registry.register(moved)
    assert await eventually(
        lambda: addresses(after.clusters()[f"{ADMIN}/binance"]) == [("127.0.0.1", 6000)]
    )
    assert f"{ADMIN}/okx" in after.clusters()
    clock.pass_seconds(GRACE_S)
    after.registry.register(instance("bars", "bars", "bars", "127.0.0.1:8112", ADMIN))
    assert await eventually(lambda: f"{ADMIN}/okx" not in after.clusters())
    assert f"{ADMIN}/binance" in after.clusters()
    running.cancel()


def test_a_folder_that_cannot_be_written_is_a_wrong_setting(tmp_path, clock):
    (tmp_path / "envoy").write_text("a file, where a folder should be")
    with pytest.raises(SettingError, match="data_dir"):
        Files(tmp_path, clock).configuration.write()


@pytest.mark.parametrize(
    "wrong", [{"port": 0}, {"public_port": 70_000}, {"web_port": -1}, {"hosts": ()}]
)
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(SettingError, match=f"gateway.{next(iter(wrong))}"):
        GatewaySettings(**wrong)
