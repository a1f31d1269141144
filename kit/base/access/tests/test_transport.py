"""TLS between processes, with real servers: who is let in, and whom a caller believes."""

import asyncio

import grpc
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc

from kit.base import rpc
from kit.base.access.authority import Authority
from kit.base.access.call_guard import CallGuard
from kit.base.access.certificates import CertificateAuthority, keep_current
from kit.base.access.credentials import FixedToken
from kit.base.access.roles import Role
from kit.base.access.settings import TlsSettings
from kit.base.access.tokens import MeshNames, TokenTerms, TokenVerifier, issue
from kit.base.access.transport import MeshTls
from kit.base.access.trust import from_file
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.errors import SettingError, reason_of
from tests.support.manual_clock import ManualClock
from tests.support.waiting import WAIT_SECONDS_MAX

CLOCK = SystemClock()
NAMES = MeshNames("local")
DAY_S = 86_400


class Answering(admin_pb2_grpc.AdminServicer):
    async def GetStatus(self, request, context):
        return admin_pb2.GetStatusResponse()


async def endlessly(request, context):
    while True:
        yield b"."
        await asyncio.sleep(0.01)


def later_by(seconds):
    clock = ManualClock()
    clock.now_ns = CLOCK.time_ns() + seconds * NANOSECONDS_PER_SECOND
    return clock


class Mesh:
    """The keys of one mesh, and what each of its processes shows."""

    def __init__(self, folder):
        self.folder = folder
        self.keys = Authority(folder, CLOCK)
        self.certificates = CertificateAuthority(folder, "local", CLOCK)

    def tls(self, service_id, days=90, authority=None, clock=CLOCK):
        self.write(service_id, days)
        return MeshTls(
            TlsSettings(
                required=True,
                certificate_file=str(self.folder / f"{service_id}.pem"),
                authority_file=str((authority or self).folder / "authority.crt"),
            ),
            clock,
        )

    def write(self, service_id, days=90):
        issued = self.certificates.issue(service_id, days)
        (self.folder / f"{service_id}.pem").write_bytes(issued.key + issued.chain)

    def token(self, service_id):
        terms = TokenTerms(service_id, frozenset({Role.PROCESS}), 60, kind="bars")
        return FixedToken(issue(terms, self.keys.signing, NAMES, CLOCK)[0])

    def operator(self):
        terms = TokenTerms("someone", frozenset({Role.ADMIN}), 60)
        return FixedToken(issue(terms, self.keys.signing, NAMES, CLOCK)[0])


@pytest.fixture(autouse=True)
def plain_again():
    yield
    rpc.encrypt(None)


@pytest.fixture
def mesh(tmp_path):
    return Mesh(tmp_path / "mesh")


@pytest.fixture
def stranger(tmp_path):
    return Mesh(tmp_path / "stranger")


@pytest.fixture
async def address(mesh):
    """A process with the certificate of "bars"."""
    guard = CallGuard(TokenVerifier(NAMES, CLOCK, None), CLOCK, required=True, streams_max=4)
    guard.trust(from_file(mesh.folder / "jwks.json"))
    server = rpc.server()
    rpc.encrypt(mesh.tls("bars"))
    admin = admin_pb2.DESCRIPTOR.services_by_name["Admin"]
    rpc.serve(server, admin, Answering(), guard=guard)
    endless = grpc.unary_stream_rpc_method_handler(endlessly)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("none", {"Endless": endless}),)
    )
    port = rpc.listen(server, "127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


async def outcome(address, token, tls=None, service_id=""):
    """The code of a call, and its reason."""
    # The server of this test has its credentials already.
    rpc.encrypt(tls)
    async with rpc.channel(address, token, service_id) as channel:
        # The server is still one with TLS.
        try:
            stub = admin_pb2_grpc.AdminStub(channel)
            await stub.GetStatus(admin_pb2.GetStatusRequest(), timeout=WAIT_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            return error.code().name, reason_of(error)
    return "OK", ""


async def test_a_process_of_the_mesh_is_let_in(mesh, address):
    tls = mesh.tls("bridge")
    assert await outcome(address, mesh.token("bridge"), tls, "bars") == ("OK", "")
    assert await outcome(address, mesh.token("bridge"), tls) == ("OK", "")
    assert await outcome(address, mesh.operator(), tls) == ("OK", "")


async def test_the_name_of_a_service_may_have_an_underscore(mesh, address):
    # The ids of venues have some.
    mesh.write("binance_futures")
    (mesh.folder / "binance_futures.pem").rename(mesh.folder / "bars.pem")
    tls = mesh.tls("bridge")

    async def ask():
        return (await outcome(address, mesh.token("bridge"), tls, "binance_futures"))[0]

    await becomes("OK", ask)
    assert (await outcome(address, mesh.token("bridge"), tls, "binance"))[0] == "UNAVAILABLE"


async def test_a_token_is_bound_to_the_certificate_of_its_process(mesh, address):
    found = await outcome(address, mesh.token("registry"), mesh.tls("bridge"))
    assert found == ("UNAUTHENTICATED", "TOKEN_INVALID")


async def test_no_certificate_a_foreign_one_and_an_expired_one_are_refused(mesh, stranger, address):
    for tls in (None, stranger.tls("bridge", authority=mesh), mesh.tls("late", days=0)):
        assert (await outcome(address, mesh.token("bridge"), tls))[0] == "UNAVAILABLE"


async def test_a_caller_believes_neither_a_foreign_server_nor_another_service(
    mesh, stranger, address
):
    # A caller that trusts another authority.
    assert (await outcome(address, mesh.token("bridge"), stranger.tls("bridge")))[
        0
    ] == "UNAVAILABLE"
    found = await outcome(address, mesh.token("bridge"), mesh.tls("bridge"), "registry")
    assert found[0] == "UNAVAILABLE"


async def becomes(expected, ask):
    """Wait until a call has this outcome: a file is read again after half a second."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while (found := await ask()) != expected:
            assert found in ("OK", "UNAVAILABLE")


async def test_a_server_shows_a_renewed_certificate_without_a_restart(mesh, address):
    tls = mesh.tls("bridge")

    async def ask():
        return (await outcome(address, mesh.token("bridge"), tls, "bars"))[0]

    mesh.write("bars", days=0)
    await becomes("UNAVAILABLE", ask)
    mesh.write("bars")
    await becomes("OK", ask)
    (mesh.folder / "bars.pem").write_text("")
    other = mesh.certificates.issue("bars").key
    (mesh.folder / "bars.pem").write_bytes(other + mesh.certificates.issue("bars").chain)
    assert await ask() == "OK"


async def test_a_channel_shows_a_renewed_certificate(mesh, address):
    rpc.encrypt(mesh.tls("bridge", days=0))
    async with rpc.channel(address, mesh.token("bridge"), "bars") as channel:
        stub = admin_pb2_grpc.AdminStub(channel)

        async def ask():
            try:
                await stub.GetStatus(admin_pb2.GetStatusRequest(), timeout=WAIT_SECONDS_MAX)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        assert await ask() == "UNAVAILABLE"
        mesh.write("bridge")
        await becomes("OK", ask)


async def test_a_stream_outlives_the_certificate_with_which_it_began(mesh, address):
    tls = mesh.tls("bridge")
    rpc.encrypt(tls)
    before = tls.shown
    async with rpc.channel(address, mesh.token("bridge"), "bars") as channel:
        method = channel.unary_stream("/none/Endless", None, None)
        stream = method(b"")
        await stream.read()
        mesh.write("bridge")
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while tls.shown is before:
                await asyncio.sleep(0.01)
        again = method(b"")
        assert await again.read() == b"."
        assert await stream.read() == b"."
        stream.cancel()
        again.cancel()


def test_a_key_of_another_certificate_is_refused(mesh):
    settings = TlsSettings(
        required=True,
        certificate_file=str(mesh.folder / "bars.pem"),
        authority_file=str(mesh.folder / "authority.crt"),
    )
    key, chain = mesh.certificates.issue("bars").key, mesh.certificates.issue("bars").chain
    (mesh.folder / "bars.pem").write_bytes(key + chain)
    with pytest.raises(SettingError, match="the key is not that of the certificate"):
        MeshTls(settings, CLOCK)


async def test_a_certificate_that_nobody_has_renewed_is_in_the_log(mesh, caplog):
    clock = later_by(0)
    tls = mesh.tls("bars", clock=clock)
    assert tls.expires_time_s() == pytest.approx(CLOCK.time_ns() / 1e9 + 90 * DAY_S, abs=60)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(tls.run())
        await clock.advance(70 * DAY_S)
        assert "certificate not renewed" not in caplog.messages
        await clock.advance(6 * DAY_S)
        assert "certificate not renewed" in caplog.messages
        task.cancel()


def test_the_key_of_the_authority_is_its_owners(mesh):
    assert (mesh.folder / "authority.key").stat().st_mode & 0o777 == 0o600
    again = CertificateAuthority(mesh.folder, "local", CLOCK)
    assert again.certificate == mesh.certificates.certificate


def test_a_setting_without_its_file_is_refused():
    tls = TlsSettings(required=True, certificate_file="a")
    with pytest.raises(SettingError, match=r"tls\.authority_file"):
        MeshTls(tls, CLOCK)


def test_a_certificate_is_kept_until_it_should_be_renewed(mesh):
    file = mesh.folder / "bars.pem"
    keep_current(file, "bars", mesh.certificates)
    first = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    keep_current(file, "bars", mesh.certificates)
    assert file.read_bytes() == first
    later = later_by(61 * DAY_S)
    found = keep_current(file, "bars", CertificateAuthority(mesh.folder, "local", later))
    assert file.read_bytes() != first
    assert found.end_s > CLOCK.time_ns() / 1e9 + 150 * DAY_S


def test_a_certificate_of_another_authority_or_service_is_replaced(mesh, stranger):
    file = mesh.folder / "bars.pem"
    keep_current(file, "bars", stranger.certificates)
    first = file.read_bytes()
    keep_current(file, "bars", mesh.certificates)
    assert file.read_bytes() != first
    assert keep_current(file, "bridge", mesh.certificates).service_id == "bridge"
    file.write_text("no certificate")
    assert keep_current(file, "bars", mesh.certificates).service_id == "bars"
