"""The files of processes reach their Secrets, with real keys and a cluster that takes patches."""

import asyncio
import os
import signal
import sys
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from kit.base.access.authority import PUBLIC_FILE
from kit.base.access.certificates import AUTHORITY_FILE, Validity
from kit.base.errors import SettingError
from kit.execution.approval.keys import publish_inspector_key
from ops.kubernetes.identities import (
    EXIT_FAILED,
    EXIT_USAGE,
    MERGE_PATCH,
    ClusterError,
    Identity,
    SecretPublisher,
    main,
    read_list,
)
from ops.process_files import CERTIFICATE_FILE, TOKEN_FILE, ProcessTerms, write
from ops.project import ROOT

WAIT_SECONDS_MAX = 60
FILES = {TOKEN_FILE, PUBLIC_FILE, CERTIFICATE_FILE, AUTHORITY_FILE}
INSPECTOR = Identity("inspector", "mesh-inspector-identity", "approval.key")
VENUE = Identity("okx_futures", "mesh-okx-futures-identity", "inspector.pub")


class Cluster:
    """The part of the API that takes Secrets."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, bytes]] = {}
        self.refuses = False
        self.address = ""

    async def patch(self, request: web.Request) -> web.Response:
        assert request.headers["authorization"] == "Bearer account"
        assert request.content_type == MERGE_PATCH
        if self.refuses:
            return web.json_response({"message": "secrets is forbidden"}, status=403)
        data = (await request.json())["data"]
        found = {name: b64decode(value) for name, value in data.items()}
        assert request.match_info["namespace"] == "trading"
        self.secrets[request.match_info["name"]] = found
        return web.json_response({})


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    found = Cluster()
    application = web.Application()
    path = "/api/v1/namespaces/{namespace}/secrets/{name}"
    application.router.add_patch(path, found.patch)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.address = f"http://{host}:{port}"
    yield found
    await runner.cleanup()


@pytest.fixture
def account(tmp_path: Path) -> Path:
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "namespace").write_text("trading\n")
    (folder / "token").write_text("account\n")
    return folder


async def test_a_secret_has_the_files_of_its_process(
    cluster: Cluster, account: Path, tmp_path: Path
) -> None:
    data, folder = tmp_path / "data", tmp_path / "tokens"
    public = publish_inspector_key(data)
    for identity in (INSPECTOR, VENUE):
        terms = ProcessTerms(identity.service_id, "venue")
        write(folder / identity.service_id, data, "local", terms)
    publisher = SecretPublisher(cluster.address, account, folder, data)
    await publisher.publish([INSPECTOR, VENUE])
    inspector, venue = cluster.secrets[INSPECTOR.secret], cluster.secrets[VENUE.secret]
    assert inspector.keys() == FILES | {"approval.key"}
    # The private key is for the inspector alone.
    assert venue.keys() == FILES | {"inspector.pub"}
    assert len(public) == 32
    assert venue["inspector.pub"] == (data / "keys" / "inspector.pub").read_bytes()
    assert Validity.of(venue[CERTIFICATE_FILE]).service_id == "okx_futures"
    assert venue[TOKEN_FILE] == (folder / "okx_futures" / TOKEN_FILE).read_bytes()


async def test_a_cluster_that_refuses_is_named(
    cluster: Cluster, account: Path, tmp_path: Path
) -> None:
    cluster.refuses = True
    write(tmp_path / "tokens" / "bars", tmp_path, "local", ProcessTerms("bars", "bars"))
    publisher = SecretPublisher(cluster.address, account, tmp_path / "tokens", tmp_path)
    with pytest.raises(ClusterError, match=r"mesh-bars.*answers 403.*forbidden"):
        await publisher.publish([Identity("bars", "mesh-bars")])


@pytest.mark.parametrize("line", ["bars", "bars mesh-bars other.key", "a b inspector.pub d", " "])
def test_a_line_that_is_none_is_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "identities"
    file.write_text(f"bars mesh-bars\n{line}\n")
    with pytest.raises(SettingError, match="a service id, a Secret"):
        read_list(file)


def test_without_a_cluster_it_ends_and_says_so(
    account: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VENUEMESH_DATA_DIR", str(tmp_path / "data"))
    listed = tmp_path / "identities"
    listed.write_text("bars mesh-bars\n")
    folder = str(tmp_path / "tokens")
    address = "http://127.0.0.1:1"
    assert main([folder, str(listed), str(account), address]) == EXIT_FAILED
    assert "does not answer" in capsys.readouterr().err
    assert main([folder, str(tmp_path / "none"), str(account), address]) == EXIT_USAGE
    assert main([folder]) == EXIT_USAGE


async def test_the_container_writes_until_it_is_stopped(
    cluster: Cluster, account: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "identities"
    listed.write_text(f"{VENUE.service_id} {VENUE.secret} {VENUE.key}\n")
    files = (tmp_path / "tokens", listed, account, cluster.address)
    words = ("-m", "ops.kubernetes.identities", *files)
    variables = {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}", "VENUEMESH_DATA_DIR": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *map(str, words), env={**os.environ, **variables}
    )
    try:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while VENUE.secret not in cluster.secrets:
                assert process.returncode is None
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
