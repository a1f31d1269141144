"""Every container of the chart runs, passes its probes and ends, outside Kubernetes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.kubernetes.tests import chart
from tests.integration.kubernetes.cluster import FIRST, Cluster, running
from tests.integration.mesh import new_folder

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_200)]

TOKEN_OF_JOBS = chart.values()["backfillTokenSecret"]
BACKFILL = "backfill[0].venue=binance,backfill[0].symbol=BTCUSDT"
TIMES = "backfill[0].from=2026-01-01,backfill[0].to=2026-01-02"
STARTED_AND_ALIVE = frozenset({"startupProbe", "livenessProbe"})
NEEDS_REDIS = ("ingest", "bars", "bridge", "recorder")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    manifest = chart.manifest("small", "--set-string", f"{BACKFILL},{TIMES}")
    with new_folder() as folder, running(folder, manifest) as cluster:
        cluster.start_all()
        yield cluster


def job(cluster: Cluster, name: str) -> int:
    """The exit code of a job."""
    (pod,) = cluster.pods[name]
    cluster.wait_until(lambda: pod.exit_codes(), f"{name} has ended")
    (code,) = pod.exit_codes().values()
    return code


def test_every_container_passes_its_probes(cluster: Cluster) -> None:
    """The fixture has waited for the readiness probes."""
    probed = 0
    for pod in cluster.lasting():
        for name, container in pod.containers().items():
            for kind in STARTED_AND_ALIVE & container.keys():
                assert pod.passes(name, kind), (pod.place.name, name, kind)
                probed += 1
    # The process that writes identities has no liveness probe.
    assert probed == 2 * sum(len(pod.containers()) for pod in cluster.lasting()) - 1


def test_jobs_end(cluster: Cluster) -> None:
    assert job(cluster, "migrate-install") == 0
    (backfill,) = [name for name in cluster.workloads if name.startswith("backfill")]
    cluster.secrets[TOKEN_OF_JOBS] = {"token": cluster.token.encode()}
    cluster.wait_until(lambda: "repair" in cluster.registered(), "repair is registered")
    cluster.start(backfill)
    assert job(cluster, backfill) == 0, cluster.pods[backfill][0].log("backfill")


def test_without_its_store_a_process_is_alive_and_not_ready(cluster: Cluster) -> None:
    (redis,) = cluster.pods["redis"]
    assert cluster.end("redis", redis) == {"redis": 0}
    without = [cluster.pods[name][0] for name in NEEDS_REDIS]
    for pod in without:
        cluster.wait_until(lambda pod=pod: not pod.is_ready(), f"{pod.place.name} notices", pod)
        (name,) = pod.containers()
        assert pod.passes(name, "livenessProbe")
    cluster.start("redis")
    cluster.wait_until_ready(*without)


def test_a_process_that_hangs_is_not_alive(cluster: Cluster) -> None:
    (history,) = cluster.pods["history"]
    with history.stopped("history"):
        assert not history.passes("history", "livenessProbe")
    assert history.passes("history", "livenessProbe")


def test_nothing_is_written_outside_of_volumes(cluster: Cluster) -> None:
    for pod in cluster.lasting():
        for name in pod.containers():
            found = [path for path in pod.root(name).rglob("*") if not is_place(path)]
            assert found == []


def is_place(path: Path) -> bool:
    """Whether it is a mount or a folder that leads to one."""
    return path.is_symlink() or path.is_dir()


def test_every_container_ends_in_time(cluster: Cluster) -> None:
    """The processes before the gateway, the gateway before the stores."""
    names = {pod.place.workload for pod in cluster.lasting()} - {*FIRST}
    for group in (names, ("gateway",), ("redis", "database")):
        pods = [(name, pod) for name in group for pod in cluster.pods[name]]
        with ThreadPoolExecutor(len(pods)) as threads:
            codes = list(threads.map(lambda one: cluster.end(*one), pods))
        assert [found for found in codes if {*found.values()} != {0}] == []
