"""Certificates of supervised processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kit.base.access.certificates import Validity
from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from ops import ports
from ops.supervisor.mesh import Mesh
from ops.supervisor.mesh_certificates import MeshCertificates
from ops.supervisor.options import MeshOptions
from tests.support.manual_clock import ManualClock

DAY_S = 86_400
VARIABLE = "VENUEMESH_TLS_CERTIFICATE_FILE"


@pytest.fixture
def clock() -> ManualClock:
    found = ManualClock()
    found.now_ns = SystemClock().time_ns()
    return found


@pytest.fixture
def certificates(tmp_path: Path, clock: ManualClock) -> MeshCertificates:
    return MeshCertificates(tmp_path, "local", clock)


def test_each_process_of_a_mesh_has_its_own(certificates: MeshCertificates, tmp_path: Path) -> None:
    venue_ports = {"binance": 5060, "kraken": 5062}
    own = venue_ports | ports.of_replicas(("binance",), venue_ports)
    options = MeshOptions(
        world="simulate", venues=("binance", "kraken"), data=tmp_path, replicas=("binance",)
    )
    mesh = Mesh(options, ports.assign(own, 9_400), MeshSettings(), certificates)
    named = {
        service.name: service.command.environment[VARIABLE]
        for service in mesh.services()
        if VARIABLE in service.command.environment
    }
    assert named.keys() >= {"registry", "binance", "binance-b", "kraken", "ingest", "bars"}
    for service_id, file in named.items():
        assert Validity.of(Path(file).read_bytes()).service_id == service_id
        assert Path(file).stat().st_mode & 0o777 == 0o600


@asynccontextmanager
async def renewing(certificates: MeshCertificates) -> AsyncIterator[None]:
    task = asyncio.create_task(certificates.run())
    yield
    assert not task.done()
    task.cancel()


async def test_one_is_renewed_when_a_third_of_its_life_is_left(
    certificates: MeshCertificates, clock: ManualClock
) -> None:
    file = Path(certificates.settings_of("bars").certificate_file)
    first = file.read_bytes()
    async with renewing(certificates):
        await clock.advance(59 * DAY_S)
        assert file.read_bytes() == first
        await clock.advance(2 * DAY_S)
        assert file.read_bytes() != first


async def test_a_full_disk_ends_nothing(
    certificates: MeshCertificates, clock: ManualClock, tmp_path: Path
) -> None:
    file = Path(certificates.settings_of("bars").certificate_file)
    away = tmp_path / "away"
    file.parent.rename(away)
    file.parent.write_text("no folder")
    async with renewing(certificates):
        await clock.advance(61 * DAY_S)
        with pytest.raises(SettingError, match="cannot be written"):
            certificates.settings_of("bridge")
        file.parent.unlink()
        away.rename(file.parent)
        await clock.advance(3_600)
        assert Validity.of(file.read_bytes()).end_s > clock.time_ns() / 1e9 + 89 * DAY_S
