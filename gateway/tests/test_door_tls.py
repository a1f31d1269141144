"""Envoy and the processes by TLS: who is served, and who is not."""

import asyncio
import os
from secrets import token_hex

import aiohttp
import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc

from gateway.tests.conftest import Door, free_ports, listens
from gateway.tests.fakes import ADMIN, instance, succeeds
from gateway.tests.starting import start_process
from kit.base import rpc
from kit.base.access import authority
from kit.base.access.certificates import CertificateAuthority
from kit.base.access.credentials import FixedToken
from kit.base.access.roles import Role
from kit.base.access.settings import TlsSettings
from kit.base.access.transport import MeshTls
from kit.base.clock import SystemClock
from kit.base.errors import reason_of
from tests.support.waiting import WAIT_SECONDS_MAX


def files(folder, service_id, days=90, signed_by=None):
    """The settings of a process with its own certificate. ``signed_by``: the folder of the keys of
    another authority."""
    keys = folder / authority.FOLDER
    issued = CertificateAuthority(signed_by or keys, "local", SystemClock()).issue(service_id, days)
    file = folder / f"{service_id}-{token_hex(4)}.pem"
    file.write_bytes(issued.key + issued.chain)
    return {"certificate_file": str(file), "authority_file": str(keys / "authority.crt")}


def variables(folder, service_id, days=90, signed_by=None):
    named = files(folder, service_id, days, signed_by)
    return {"VENUEMESH_TLS_REQUIRED": "true"} | {
        f"VENUEMESH_TLS_{key.upper()}": file for key, file in named.items()
    }


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    """A gateway whose processes use TLS."""
    door = Door(tmp_path_factory.mktemp("encrypted"))
    before = dict(os.environ)
    os.environ.update(variables(door.folder, "registry"))
    try:
        door.start_registry()
        door.start_envoy()
        yield door
    finally:
        os.environ.clear()
        os.environ.update(before)
        door.close()


@pytest.fixture
async def ask(encrypted):
    """Asks a process for its status, through Envoy."""
    async with rpc.channel(encrypted.address, FixedToken(encrypted.token(Role.ADMIN))) as channel:
        stub = admin_pb2_grpc.AdminStub(channel)

        def asked(service_id):
            request = admin_pb2.GetStatusRequest(service_id=service_id)
            return stub.GetStatus(request, metadata=(("venuemesh-service", service_id),))

        yield asked


async def register(door, service_id, port):
    """Register a process at a port as it would do it itself."""
    settings = TlsSettings(required=True, **files(door.folder, service_id))
    rpc.encrypt(MeshTls(settings, SystemClock()))
    token = FixedToken(door.process_token(service_id, "bars"))
    async with rpc.channel(door.registry_address, token, "registry") as channel:
        rpc.encrypt(None)
        found = instance(service_id, "bars", service_id, f"127.0.0.1:{port}", ADMIN)
        request = registry_pb2.RegisterRequest(instance=found)
        await registry_pb2_grpc.RegistryStub(channel).Register(request)


async def test_envoy_calls_processes_by_tls_and_only_the_service_that_is_meant(encrypted, ask):
    (port,) = free_ports(1)
    # The ids of venues may have underscores, which names of hosts have not.
    name = "bars_2"
    with start_process(encrypted, name, "bars", port, variables(encrypted.folder, name)):
        found = await succeeds(lambda: ask(name))
        assert found.instance.service_id == name
        await succeeds(lambda: ask("registry"))
        # The process of another service answers at the address.
        await register(encrypted, "impostor", port)
        assert await is_refused(encrypted, ask, "impostor", "verify_san")
        await succeeds(lambda: ask(name))


@pytest.mark.parametrize("wrong", ["expired", "foreign"])
async def test_envoy_calls_no_process_with_a_wrong_certificate(encrypted, ask, tmp_path, wrong):
    (port,) = free_ports(1)
    terms = {"days": 0} if wrong == "expired" else {"signed_by": tmp_path / "keys"}
    with start_process(encrypted, wrong, "bars", port, variables(encrypted.folder, wrong, **terms)):
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while not listens(port):
                await asyncio.sleep(0.01)
        await register(encrypted, wrong, port)
        assert await is_refused(encrypted, ask, wrong, "verify_error")


async def test_pages_come_by_tls(encrypted):
    async with aiohttp.ClientSession() as browser:
        async with browser.get(f"{encrypted.url}/healthz") as response:
            assert await response.text() == "ok\n"
        for scheme in ("http", "https"):
            url = f"{scheme}://127.0.0.1:{encrypted.ports['web_port']}/healthz"
            with pytest.raises(aiohttp.ClientError):
                await browser.get(url, ssl=False)


async def test_a_process_without_a_certificate_is_not_heard(encrypted):
    token = FixedToken(encrypted.process_token("bars", "bars"))
    async with rpc.channel(encrypted.registry_address, token) as channel:
        stub = registry_pb2_grpc.RegistryStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListServices(registry_pb2.ListServicesRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def is_refused(door, ask, service_id, counter):
    """Wait until Envoy has ended a connection for this reason. False: a call was answered."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not await _refusals(door, service_id, counter):
            if await _reason(ask(service_id)) not in ("UNKNOWN_SERVICE", "SERVICE_UNAVAILABLE"):
                return False
    return True


async def _reason(call):
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    return "served"


async def _refusals(door, service_id, counter):
    """How many connections to a process Envoy has ended for this reason."""
    path = f"/stats?filter={service_id}.*{counter}"
    async with door.admin() as admin, admin.get(path) as response:
        lines = (await response.text()).splitlines()
    return sum(int(line.rpartition(": ")[2]) for line in lines)
