"""What is written for Envoy, and when."""

import asyncio
import json
from asyncio.subprocess import DEVNULL

import pytest

from gateway import service_contracts
from gateway.envoy_access import GatewayAccess
from gateway.envoy_admin import CLUSTERS, ROUTES, EnvoyAdmin
from gateway.envoy_configuration import (
    CLUSTERS_FILE,
    GRACE_S,
    MEMORY_FILE,
    ROUTES_FILE,
    ROUTES_FOLLOW_S,
    EnvoyConfiguration,
)
from gateway.registry import ProcessId, ServiceRegistry
from gateway.settings import GatewaySettings
from gateway.tests.fakes import ADMIN, LIVE, MARKET_DATA, StillClock, eventually, instance
from kit.base.access.settings import AccessSettings
from kit.base.access.tokens import MeshNames
from kit.base.access.trust import TrustedKeys
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.base.tracing.settings import TelemetrySettings
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
            GatewayAccess(
                AccessSettings(required=True), MeshNames("local"), TrustedKeys, "session"
            ),
            self.registry,
            clock,
        )

    def read(self, name):
        return json.loads((self.configuration.folder / name).read_text())

    def clusters(self):
        return {found["name"]: found for found in self.read(CLUSTERS_FILE)["resources"]}

    def routes(self):
        configuration = self.read(ROUTES_FILE)["resources"][0]
        return configuration["virtual_hosts"][0]["routes"]


class FakeEnvoy:
    """Uses what is written when it is asked for the third time, or never."""

    def __init__(self, files, *, follows=True):
        self.asked = 0
        self._files = files
        self._follows = follows

    async def versions(self):
        self.asked += 1
        if not self._follows or self.asked < 3:
            return {CLUSTERS: "before", ROUTES: self._files.read(ROUTES_FILE)["version_info"]}
        return {
            CLUSTERS: self._files.read(CLUSTERS_FILE)["version_info"],
            ROUTES: self._files.read(ROUTES_FILE)["version_info"],
            "other": "1",
        }


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


def inodes(folder):
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.stat().st_ino for file in files}


def test_what_has_not_changed_is_not_written_again(files):
    files.configuration.write()
    before = inodes(files.configuration.folder)
    files.registry.register(BINANCE)
    files.configuration.write()
    after = inodes(files.configuration.folder)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {CLUSTERS_FILE, ROUTES_FILE, MEMORY_FILE}


def test_only_the_loopback_is_listened_on(files):
    files.configuration.write()
    bootstrap = files.read("bootstrap.json")
    listeners = bootstrap["static_resources"]["listeners"]
    hosts = {found["address"]["socket_address"]["address"] for found in listeners}
    assert hosts == {"127.0.0.1"}


def test_in_a_container_the_gateway_listens_on_every_address(tmp_path, clock):
    files = Files(tmp_path, clock, host="0.0.0.0", advertise_host="registry")
    files.configuration.write()
    bootstrap = files.read("bootstrap.json")
    public = bootstrap["static_resources"]["listeners"][0]
    assert public["address"]["socket_address"]["address"] == "0.0.0.0"
    assert addresses(files.clusters()["registry"]) == [("registry", 8082)]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_envoys_metrics_leave_the_loopback_only_on_purpose(host, tmp_path, clock):
    files = Files(tmp_path, clock, host="0.0.0.0", advertise_host="registry")
    if host != "127.0.0.1":
        files.configuration.telemetry = TelemetrySettings(metrics_host=host)
    files.configuration.write()
    metrics = files.read("bootstrap.json")["static_resources"]["listeners"][1]
    assert (metrics["name"], metrics["address"]["socket_address"]["address"]) == ("metrics", host)


def test_only_its_owner_reaches_the_administration(files, tmp_path):
    files.configuration.write()
    socket = str(files.configuration.folder / "admin.sock")
    assert files.read("bootstrap.json")["admin"] == {
        "address": {"pipe": {"path": socket, "mode": 0o600}}
    }


def test_a_socket_with_a_path_that_is_too_long_is_refused(tmp_path, clock):
    with pytest.raises(SettingError, match="admin_socket"):
        Files(tmp_path / ("long" * 30), clock).configuration.write()


async def test_hosts_may_be_added_or_all_be_let_in(tmp_path, clock):
    for hosts, domains in [
        (("localhost", "gateway"), [["localhost", "gateway", "localhost:*", "gateway:*"], ["*"]]),
        (("localhost",) * 3, [["localhost", "localhost:*"], ["*"]]),
        (("*",), [["*"]]),
    ]:
        files = Files(tmp_path / str(len(hosts)), clock, GatewaySettings(hosts=hosts))
        files.configuration.write()
        virtual_hosts = files.read(ROUTES_FILE)["resources"][0]["virtual_hosts"]
        assert [found["domains"] for found in virtual_hosts] == domains
        program = (envoy.binary(), "--mode", "validate", "--config-path")
        bootstrap = files.configuration.folder / "bootstrap.json"
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
    files.registry.unregister(ProcessId("binance"))
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
    "wrong",
    [
        {"port": 0},
        {"public_port": 70_000},
        {"web_port": -1},
        {"hosts": ()},
        {"origins": ("http://localhost:3000/",)},
        {"calls_per_second": 0},
    ],
)
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(SettingError, match=f"gateway.{next(iter(wrong))}"):
        GatewaySettings(**wrong)


async def test_it_settles_when_envoy_uses_what_is_written(files, clock):
    files.configuration.write()
    files.registry.register(BINANCE)
    began_ns, files.configuration.envoy = clock.now_ns, FakeEnvoy(files)
    await files.configuration.settle()
    # It has not waited for anybody else to write it.
    assert "venuemesh.marketdata.v1.MarketData/binance" in files.clusters()
    assert files.configuration.envoy.asked == 3
    assert clock.now_ns - began_ns < ROUTES_FOLLOW_S * 1e9


async def test_it_does_not_wait_for_ever_for_envoy(files, clock):
    files.configuration.write()
    began_ns, files.configuration.envoy = clock.now_ns, FakeEnvoy(files, follows=False)
    await files.configuration.settle()
    assert clock.now_ns - began_ns >= ROUTES_FOLLOW_S * 1e9


async def test_an_envoy_that_cannot_be_asked_has_no_versions(tmp_path):
    assert await EnvoyAdmin(str(tmp_path / "nowhere.sock")).versions() == {}
