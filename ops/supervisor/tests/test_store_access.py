"""Each process gets its own login at the stores, and no password is in its environment."""

from dataclasses import replace
from pathlib import Path

import pytest

from kit.base.settings import MeshSettings
from ops.embedded import postgres, valkey
from ops.embedded.store_passwords import StorePasswords
from ops.supervisor.mesh import Mesh
from ops.supervisor.store_access import record_url
from ops.supervisor.tests.test_mesh import OPTIONS, PORTS

STORES = {
    "ingest": ("redis",),
    "recorder": ("redis", "database"),
    "bars": ("redis", "database"),
    "bridge": ("redis",),
    "history": ("database",),
    "repair": ("redis", "database"),
    "ledger": ("redis", "database"),
    "audit": ("redis", "database"),
    "advisor": ("redis", "database"),
    "detector": ("redis", "database"),
    "inspector": ("redis", "database"),
    "notifier": ("redis", "database"),
    "mcp": (),
    "push": (),
    "registry": (),
    "simulator": (),
    "binance": (),
}


def secrets_of(mesh: Mesh) -> dict[str, dict[str, str]]:
    return {
        service.name: {name: text() for name, text in service.command.secrets.items() if text()}
        for service in mesh.services()
    }


def environments_of(mesh: Mesh) -> dict[str, dict[str, str]]:
    return {service.name: dict(service.command.environment) for service in mesh.services()}


def test_each_service_has_its_own_passwords_of_the_stores_that_it_uses(tmp_path: Path):
    mesh = Mesh(replace(OPTIONS, data=tmp_path), PORTS, MeshSettings())
    found = secrets_of(mesh)
    for name, stores in STORES.items():
        own = {f"VENUEMESH_{store.upper()}_PASSWORD_FILE" for store in stores}
        assert set(found[name]) == {*own, "VENUEMESH_ACCESS_TOKEN_FILE"}, name
    passwords = [text for texts in found.values() for text in texts.values()]
    assert len(set(passwords)) == len(passwords)
    environments = environments_of(mesh)
    redis_url = environments["bars"]["VENUEMESH_REDIS_URL"]
    assert redis_url == f"redis://venuemesh_bars@127.0.0.1:{PORTS['valkey']}/0"
    assert "@" not in environments["registry"]["VENUEMESH_DATABASE_URL"]
    shown = str(environments) + str([service.command for service in mesh.services()])
    assert not [text for text in passwords if text in shown]


@pytest.mark.parametrize("by_file", [False, True])
def test_one_password_for_everything_goes_to_those_who_need_it(tmp_path: Path, by_file: bool):
    (tmp_path / "password").write_text("s/ecret\n")
    named = {"database_password_file": str(tmp_path / "password")} if by_file else {}
    login = "one" if by_file else "one:s%2Fecret"
    settings = MeshSettings(database_url=f"postgresql://{login}@db.example/x", **named)
    mesh = Mesh(replace(OPTIONS, data=tmp_path), PORTS, settings)
    for name, texts in secrets_of(mesh).items():
        expected = "s/ecret" if "database" in STORES.get(name, ()) else None
        assert texts.get("VENUEMESH_DATABASE_PASSWORD_FILE") == expected
    for name in STORES:
        environment = environments_of(mesh)[name]
        assert environment["VENUEMESH_DATABASE_URL"] == "postgresql://one@db.example/x"
        assert environment["VENUEMESH_DATABASE_PASSWORD_FILE"] == ""


def test_the_servers_get_no_passwords_of_services(tmp_path: Path):
    mesh = Mesh(replace(OPTIONS, data=tmp_path), PORTS, MeshSettings())
    found = secrets_of(mesh)
    assert not any(found[name] for name in ("valkey", "postgres", "envoy"))


def test_a_tool_finds_the_record_of_a_folder(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="start the mesh once"):
        record_url(MeshSettings(), tmp_path, "venuemesh_reader")
    passwords = StorePasswords.of_mesh(tmp_path)
    password = passwords.password(postgres.STORE, "venuemesh_reader")
    found = record_url(MeshSettings(), tmp_path, "venuemesh_reader")
    assert found == f"postgresql://venuemesh_reader:{password}@127.0.0.1:8432/venuemesh"
    other = MeshSettings(database_url="postgresql://elsewhere/x")
    assert record_url(other, tmp_path, "venuemesh_reader") == "postgresql://elsewhere/x"


def test_passwords_are_kept_and_only_the_user_may_read_them(tmp_path: Path):
    passwords = StorePasswords.of_mesh(tmp_path)
    first = passwords.password(valkey.STORE, "venuemesh_bars")
    again = StorePasswords.of_mesh(tmp_path)
    assert again.password(valkey.STORE, "venuemesh_bars") == first
    assert passwords.password(postgres.STORE, "venuemesh_bars") != first
    files = list(passwords.folder.iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert passwords.folder.stat().st_mode & 0o777 == 0o700
