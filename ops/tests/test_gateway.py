"""How commands find the gateway of a mesh, and what they show to it."""

import asyncio
import datetime as dt
import ipaddress
import json
import stat
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.registry.v1 import registry_pb2, registry_pb2_grpc
from venuemesh.repair.v1 import repair_pb2, repair_pb2_grpc

from kit.base import rpc
from kit.base.errors import UnknownVenue
from ops import cli, gateway
from ops.errors import OperationsError
from ops.supervisor import state
from ops.supervisor.data_folder import locked
from ops.supervisor.state import MeshState

TOKEN = "the-token"
REMOTE = "https://mesh.example.com"


def find(tmp_path, *words, **environment):
    """The gateway that a command finds."""
    chosen = cli.parsed("status", list(words))
    found = {"VENUEMESH_PROFILES": str(tmp_path / "profiles.toml"), **environment}
    return gateway.find(chosen, found)


def write_profiles(tmp_path: Path, text: str, mode: int = 0o600) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(text)
    file.chmod(mode)


@pytest.mark.parametrize(
    ("text", "address", "encrypted"),
    [
        ("http://10.0.0.5:8081", "10.0.0.5:8081", False),
        ("localhost:8081", "localhost:8081", False),
        ("https://mesh.example.com", "mesh.example.com:443", True),
        ("https://mesh.example.com:8443/", "mesh.example.com:8443", True),
        ("http://[::1]:8081", "[::1]:8081", False),
    ],
)
def test_a_gateway_is_a_url(text, address, encrypted):
    assert gateway.parse_url(text) == (address, encrypted)


@pytest.mark.parametrize(
    "text", ["ftp://host:1", "https://host/path", "http://user:secret@host", "https://", "h:99999"]
)
def test_other_texts_are_no_gateway(text):
    with pytest.raises(OperationsError, match="allowed are http://HOST:PORT"):
        gateway.parse_url(text)


def test_the_options_come_before_the_environment(tmp_path):
    write_profiles(tmp_path, f'[far]\ngateway = "{REMOTE}"\ntoken = "of the profile"\n')
    environment = {"VENUEMESH_GATEWAY": "https://other:1", "VENUEMESH_TOKEN": TOKEN}
    found = find(tmp_path, **environment)
    assert (found.address, found.token) == ("other:1", TOKEN)
    found = find(tmp_path, "--gateway", "https://named:2", **environment)
    assert (found.address, found.token) == ("named:2", TOKEN)
    found = find(tmp_path, "--gateway", "https://named:2", "--token", "mine", **environment)
    assert found.token == "mine"
    found = find(tmp_path, "--profile", "far", **environment)
    assert (found.address, found.token) == ("mesh.example.com:443", "of the profile")
    found = find(tmp_path, VENUEMESH_PROFILE="far")
    assert found.address == "mesh.example.com:443"


def test_a_token_of_the_environment_is_not_shown_to_a_profile(tmp_path):
    write_profiles(tmp_path, f'[far]\ngateway = "{REMOTE}"\n')
    assert find(tmp_path, "--profile", "far", VENUEMESH_TOKEN=TOKEN).token == ""


def test_a_mesh_on_this_machine_is_found_by_its_data_folder(tmp_path):
    words = ("--data", str(tmp_path))
    assert find(tmp_path, *words, VENUEMESH_GATEWAY=REMOTE) is None
    mesh = MeshState(
        supervisor_pid=1,
        started=0.0,
        world="simulate",
        gateway="http://127.0.0.1:9999",
        registry="127.0.0.1:9998",
        ports={},
        children=[],
    )
    state.write(tmp_path, mesh)
    assert find(tmp_path, *words) is None, "its supervisor has ended"
    with locked(tmp_path):
        found = find(tmp_path, *words)
    assert (found.address, found.local, found.encrypted) == ("127.0.0.1:9999", mesh, False)


def test_a_token_comes_from_a_file_or_a_command(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    text = f'[a]\ngateway = "{REMOTE}"\ntoken_file = "{file}"\n'
    text += f'[b]\ngateway = "{REMOTE}"\ntoken_command = "echo {TOKEN}"\n'
    text += f'[c]\ngateway = "{REMOTE}"\ntoken_command = "false"\n'
    write_profiles(tmp_path, text)
    assert find(tmp_path, "--profile", "a").token == TOKEN
    assert find(tmp_path, "--profile", "b").token == TOKEN
    assert find(tmp_path, "--gateway", REMOTE, "--token-file", str(file)).token == TOKEN
    with pytest.raises(OperationsError, match="'false' failed: exit code 1"):
        find(tmp_path, "--profile", "c")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
def test_files_that_others_can_use_are_refused(tmp_path, mode):
    write_profiles(tmp_path, f'[far]\ngateway = "{REMOTE}"\ntoken = "{TOKEN}"\n', mode)
    with pytest.raises(OperationsError, match="chmod 600") as refusal:
        find(tmp_path, "--profile", "far")
    assert TOKEN not in str(refusal.value)
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(mode)
    with pytest.raises(OperationsError, match="chmod 600"):
        find(tmp_path, "--gateway", REMOTE, "--token-file", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == mode


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fur]\n", "no profile 'far' .* did you mean 'fur'"),
        ("[far]\n", "missing required field `gateway`"),
        ('[far]\ngateway = "https://a"\ntokn = "b"\n', "no such key 'tokn'.*did you mean 'token'"),
        ('[far]\ngateway = "https://a"\ntoken = "b"\ntoken_file = "c"\n', "only one of"),
        ('far = "https://a"\n', "must be in a section"),
        ("[far\n", "not TOML"),
    ],
)
def test_wrong_profiles_are_explained(tmp_path, text, words):
    write_profiles(tmp_path, text)
    with pytest.raises(OperationsError, match=words):
        find(tmp_path, "--profile", "far")


def test_a_token_is_not_sent_in_plaintext_to_another_machine(tmp_path):
    words = ("--gateway", "http://mesh.example.com:8081", "--token", TOKEN)
    with pytest.raises(OperationsError, match="use https"):
        find(tmp_path, *words)
    assert find(tmp_path, *words, "--plaintext").token == TOKEN
    assert find(tmp_path, "--gateway", "http://127.0.0.1:8081", "--token", TOKEN).token == TOKEN
    assert find(tmp_path, "--gateway", "http://mesh.example.com:8081").token == ""


class Repairs(repair_pb2_grpc.RepairServicer):
    """One job, shown to callers with the token only."""

    def __init__(self):
        self.requests = []

    async def _check(self, request, context):
        self.requests.append(request)
        if ("authorization", f"Bearer {TOKEN}") not in context.invocation_metadata():
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")

    async def GetRepair(self, request, context):
        await self._check(request, context)
        return repair_pb2.GetRepairResponse(job=job(repair_pb2.REPAIR_STATE_RUNNING, 1))

    async def WatchRepair(self, request, context):
        await self._check(request, context)
        for state_, filled in ((repair_pb2.REPAIR_STATE_RUNNING, 1), (self.end, 2)):
            yield repair_pb2.WatchRepairResponse(job=job(state_, filled))

    async def StartRepair(self, request, context):
        await self._check(request, context)
        return repair_pb2.StartRepairResponse(job=job(repair_pb2.REPAIR_STATE_QUEUED, 0))

    async def CancelRepair(self, request, context):
        await self._check(request, context)
        return repair_pb2.CancelRepairResponse(job=job(repair_pb2.REPAIR_STATE_CANCELLED, 0))

    async def ListHoles(self, request, context):
        await self._check(request, context)
        raise UnknownVenue(f"no venue {request.venue!r}", venue=request.venue)

    async def ListRepairs(self, request, context):
        await self._check(request, context)
        return repair_pb2.ListRepairsResponse(jobs=[job(repair_pb2.REPAIR_STATE_DONE, 2)])

    end = repair_pb2.REPAIR_STATE_DONE


def job(job_state, filled):
    return repair_pb2.RepairJob(
        repair_id="r1",
        venue="binance",
        symbol="BTCUSDT",
        state=job_state,
        hole_count=2,
        filled_count=filled,
    )


class Registry(registry_pb2_grpc.RegistryServicer):
    async def ListServices(self, request, context):
        services = [
            registry_pb2.Service(
                instance=registry_pb2.ServiceInstance(service_id=name, name=name, kind="venue")
            )
            for name in ("kraken", "okx")
        ]
        return registry_pb2.ListServicesResponse(
            services=services, mesh_id="far-mesh", world="live"
        )


class Admin(admin_pb2_grpc.AdminServicer):
    """Kraken has failed a card, and OKX has played none."""

    async def GetStatus(self, request, context):
        assert ("venuemesh-service", request.service_id) in context.invocation_metadata()
        if request.service_id == "okx":
            return admin_pb2.GetStatusResponse()
        score = admin_pb2.ConformanceScore(passed=40, failed_cards=["GAP-1"], played_time_ns=1)
        return admin_pb2.GetStatusResponse(conformance=score)


@asynccontextmanager
async def serving(servicer, credentials=None):
    """A gateway. Yields host:port."""
    server = rpc.server()
    rpc.serve(server, repair_pb2.DESCRIPTOR.services_by_name["Repair"], servicer)
    rpc.serve(server, registry_pb2.DESCRIPTOR.services_by_name["Registry"], Registry())
    rpc.serve(server, admin_pb2.DESCRIPTOR.services_by_name["Admin"], Admin())
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.fixture
async def repairs():
    servicer = Repairs()
    async with serving(servicer) as address:
        servicer.where = ("--gateway", f"http://{address}", "--token", TOKEN)
        yield servicer


async def command(*words):
    """Beside this event loop: the command brings its own."""
    return await asyncio.to_thread(cli.main, list(words))


async def test_calls_show_the_token_and_answers_are_json(repairs, capsys):
    assert await command("repair", "show", "r1", "--json", *repairs.where) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["repair_id"], found["state"]) == ("r1", "REPAIR_STATE_RUNNING")
    assert await command("repair", "watch", "r1", "--json", *repairs.where) == 0
    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["REPAIR_STATE_RUNNING", "REPAIR_STATE_DONE"]
    assert await command("repair", "cancel", "r1", *repairs.where) == 0
    assert "cancelled" in capsys.readouterr().out
    assert await command("repair", "list", *repairs.where) == 0
    assert "BTCUSDT" in capsys.readouterr().out


async def test_a_job_that_leaves_holes_ends_with_1(repairs, capsys):
    repairs.end = repair_pb2.REPAIR_STATE_INCOMPLETE
    words = ("start", "binance", "BTCUSDT", "--from", "2026-01-01", "--watch")
    assert await command("repair", *words, *repairs.where) == 1
    assert "incomplete" in capsys.readouterr().out
    started, watched = repairs.requests
    assert (started.venue, started.start_time_ns) == ("binance", 1_767_225_600 * 10**9)
    assert watched.repair_id == "r1"


async def test_a_call_without_a_token_says_how_to_name_one(repairs, capsys):
    assert await command("repair", "show", "r1", "--json", *repairs.where[:2]) == 1
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["reason"] == "UNAUTHENTICATED"
    assert "--token-file" in error["message"]


async def test_an_error_of_the_mesh_keeps_its_reason(repairs, capsys):
    assert await command("repair", "holes", "binanc", "--json", *repairs.where) == 1
    error = json.loads(capsys.readouterr().err)["error"]
    assert (error["reason"], error["exit_code"]) == ("UNKNOWN_VENUE", 1)
    assert "did you mean 'binance'?" in error["message"]


async def test_a_gateway_that_does_not_answer_is_named(capsys):
    assert await command("status", "--gateway", "http://127.0.0.1:1") == 1
    assert "no mesh answers at http://127.0.0.1:1" in capsys.readouterr().err


async def test_the_gateway_of_another_mesh_is_refused(repairs, tmp_path, monkeypatch, capsys):
    url = repairs.where[1]
    monkeypatch.setenv("VENUEMESH_PROFILES", str(tmp_path / "profiles.toml"))
    for mesh_id, code in (("far-mesh", 0), ("near-mesh", 1)):
        text = f'[far]\ngateway = "{url}"\ntoken = "{TOKEN}"\nmesh_id = "{mesh_id}"\n'
        write_profiles(tmp_path, text)
        assert await command("repair", "show", "r1", "--profile", "far") == code
    assert "belongs to the mesh 'far-mesh'" in capsys.readouterr().err
    assert len(repairs.requests) == 1


async def test_status_names_the_world_of_the_mesh(repairs, capsys):
    assert await command("status", "--json", *repairs.where) == 0
    assert json.loads(capsys.readouterr().out)["world"] == "live"


async def test_scores_of_a_mesh_are_those_that_its_venues_report(repairs, capsys):
    assert await command("conform", "--scores", "--json", *repairs.where) == 1
    kraken, okx = map(json.loads, capsys.readouterr().out.splitlines())
    assert (kraken["service"], kraken["passed"], kraken["failed_cards"]) == (
        "kraken",
        40,
        ["GAP-1"],
    )
    assert (okx["service"], okx["played_time_ns"]) == ("okx", 0)
    assert await command("conform", "okx", "--scores", *repairs.where) == 0
    assert "never played" in capsys.readouterr().out
    assert await command("conform", "krakn", "--scores", *repairs.where) == 1
    assert "did you mean 'kraken'?" in capsys.readouterr().err
    assert await command("conform", "okx", *repairs.where) == 2
    assert "--scores shows those of a mesh" in capsys.readouterr().err


def certificate():
    """A key and its own certificate for 127.0.0.1, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mesh")])
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        builder.not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, signed.public_bytes(serialization.Encoding.PEM)


async def test_an_encrypted_gateway_is_checked_with_its_certificates(tmp_path, monkeypatch, capsys):
    private, public = certificate()
    (tmp_path / "ca.pem").write_bytes(public)
    credentials = grpc.ssl_server_credentials([(private, public)])
    async with serving(Repairs(), credentials) as address:
        text = f'[far]\ngateway = "https://{address}"\ntoken = "{TOKEN}"\n'
        write_profiles(tmp_path, f'{text}ca_file = "{tmp_path / "ca.pem"}"\n')
        monkeypatch.setenv("VENUEMESH_PROFILES", str(tmp_path / "profiles.toml"))
        assert await command("repair", "show", "r1", "--profile", "far") == 0
        assert "BTCUSDT" in capsys.readouterr().out
        write_profiles(tmp_path, text)
        assert await command("repair", "show", "r1", "--profile", "far") == 1
        assert "UNAVAILABLE" in capsys.readouterr().err
