"""A rolling update of every service by the strategies of the chart: a client that retries sees no
error, and no trade is lost or repeated."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import grpc
import psycopg
import pytest
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc

from ops.kubernetes.tests import chart
from tests.integration.followers import LiveTrades, following
from tests.integration.kubernetes.cluster import Cluster, running
from tests.integration.mesh import (
    CALL_SECONDS_MAX,
    LOOK_AGAIN_SECONDS,
    LOOK_AGAIN_SECONDS_MAX,
    SYMBOL,
    VENUE,
    new_folder,
    shown_channel,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1_200)]

VALUES = "venues.kraken.enabled=false"
RETRY_SECONDS_MAX = 60.0
TRADES_MIN = 50
TRADES = "SELECT trade_id FROM trades WHERE venue = %s AND symbol = %s ORDER BY trade_id"
GAPS = "SELECT count(*) FROM gaps WHERE reason <> 'unproven'"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with new_folder() as folder, running(folder, chart.manifest("small", "--set", VALUES)) as found:
        found.start_all()
        yield found


class RetryingCaller(threading.Thread):
    """Calls the services in turn through the gateway, each call again until it succeeds."""

    def __init__(self, cluster: Cluster, services: list[str]) -> None:
        super().__init__(daemon=True)
        self.calls: Counter[str] = Counter()
        self.retried: Counter[str] = Counter()
        self.failed: list[tuple[str, str]] = []
        """Calls that no retry has saved."""
        self._services = services
        self._channel = shown_channel(cluster.gateway, cluster.token)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the present call."""
        self._stopping.set()
        self.join()
        self._channel.close()

    def run(self) -> None:
        while not self._stopping.wait(LOOK_AGAIN_SECONDS_MAX):
            for service in self._services:
                self._call(service)

    def _call(self, service: str) -> None:
        admin = admin_pb2_grpc.AdminStub(self._channel)
        request = admin_pb2.GetStatusRequest(service_id=service)
        deadline = time.monotonic() + RETRY_SECONDS_MAX
        while True:
            try:
                admin.GetStatus(request, timeout=CALL_SECONDS_MAX)
            except grpc.RpcError as error:
                if time.monotonic() > deadline:
                    self.failed.append((service, f"{error.code().name}: {error.details()}"))
                    return
                self.retried[service] += 1
                self._stopping.wait(LOOK_AGAIN_SECONDS)
            else:
                self.calls[service] += 1
                return


def read(cluster: Cluster, query: str, *values: object) -> list[tuple]:
    """Rows of the record."""
    with psycopg.connect(cluster.database_url()) as connection:
        return connection.execute(query, values or None).fetchall()


def update(cluster: Cluster, name: str) -> None:
    """Replace the processes of a workload, which all end in time."""
    for codes in cluster.roll(name):
        assert {*codes.values()} == {0}, (name, codes)


def is_whole(ids: list[int]) -> bool:
    """Whether ids are consecutive, and each is there once."""
    return ids == list(range(ids[0], ids[-1] + 1))


def wait_for_more(cluster: Cluster, trades: LiveTrades) -> None:
    newest = max(trades.counts, default=0)
    cluster.wait_until(
        lambda: max(trades.counts, default=0) > newest + TRADES_MIN, "further trades arrive"
    )


def check_record(cluster: Cluster, newest: int) -> None:
    """Every trade up to the newest one is recorded once."""
    cluster.wait_until(
        lambda: read(cluster, TRADES, VENUE, SYMBOL)[-1][0] >= newest, "all are recorded"
    )
    assert is_whole([row[0] for row in read(cluster, TRADES, VENUE, SYMBOL)])


def test_an_update_of_every_service_fails_no_call_and_loses_no_trade(
    cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    updated = [*cluster.services()]
    cluster.wait_until(lambda: cluster.registered().keys() >= {*updated}, "all are registered")
    cluster.wait_until(lambda: read(cluster, TRADES, VENUE, SYMBOL), "trades are recorded")
    gaps = read(cluster, GAPS)
    caller, trades = RetryingCaller(cluster, updated), LiveTrades()
    caller.start()
    with following(cluster, trades) as follower:
        wait_for_more(cluster, trades)
        for name in updated:
            calls = caller.calls.copy()
            update(cluster, name)
            cluster.wait_until(
                lambda calls=calls: all(caller.calls[one] > calls[one] for one in updated),
                f"every service answers after the update of {name}",
            )
        wait_for_more(cluster, trades)
    caller.stop()
    record_property("retried", dict(caller.retried))
    record_property("subscriptions that ended", follower.ends)
    assert caller.failed == []
    assert is_whole(sorted(trades.counts.elements()))
    assert trades.gaps == []
    check_record(cluster, max(trades.counts))
    assert read(cluster, GAPS) == gaps
