"""A venue comes into a running mesh, and goes, by REST."""

import socket

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc

from tests.integration.mesh import NO_TRADING, VENUE, metadata, new_folder, running
from tests.integration.simulation import SIMULATE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

NEWCOMER = "bybit"
SYMBOL = "BTCUSDT"


@pytest.fixture(scope="module")
def mesh():
    """A mesh of one venue."""
    with new_folder() as data, running(data, *SIMULATE, *NO_TRADING) as found:
        found.wait_until_running()
        found.wait_until(lambda: venue_is(found, VENUE, "SERVICE_STATE_SERVING"), "it serves")
        yield found


@pytest.fixture
def newcomer(mesh):
    """The mesh, with the other venue."""
    assert activate(mesh)[0] == 200
    yield mesh
    assert deactivate(mesh)[0] == 200


def test_an_activated_venue_is_in_every_list(newcomer):
    newcomer.wait_until(lambda: venue_is(newcomer, NEWCOMER, "SERVICE_STATE_SERVING"), "it serves")
    assert first_trade(newcomer).venue == NEWCOMER
    newcomer.wait_until(lambda: recorded(newcomer) > 0, "its trades are recorded")
    assert catalog(newcomer)["running"]["markets"] > 0
    assert newcomer.children()[NEWCOMER]["state"] == "running"
    assert newcomer.port(NEWCOMER) == catalog(newcomer)["port"]


def test_a_deactivated_venue_is_in_no_list(mesh):
    activate(mesh)
    # A process that has just started does not handle signals yet.
    mesh.wait_until(lambda: venue_is(mesh, NEWCOMER, "SERVICE_STATE_SERVING"), "it serves")
    before = {name: child["pid"] for name, child in mesh.children().items() if name != NEWCOMER}
    status, answer = deactivate(mesh)
    assert (status, "running" in answer["venue"]) == (200, False)
    assert NEWCOMER not in {service["instance"]["name"] for service in services(mesh)}
    assert {name: child["pid"] for name, child in mesh.children().items()} == before
    mesh.wait_until(
        lambda: mesh.get(f"/v1/venues/{NEWCOMER}/instruments")[0] == 404, "its route is gone"
    )
    ended = [line["event"] for line in mesh.log(NEWCOMER)]
    assert ended[-2:] == ["draining", "stopped"]
    assert venue_is(mesh, VENUE, "SERVICE_STATE_SERVING")


@pytest.mark.parametrize("victim", [NEWCOMER, "registry"])
def test_a_killed_process_is_restarted(newcomer, victim):
    restarts = newcomer.children()[victim]["restarts"]
    newcomer.kill(victim)
    newcomer.wait_until(
        lambda: newcomer.children()[victim]["restarts"] > restarts, f"{victim} is started again"
    )
    newcomer.wait_until(
        lambda: venue_is(newcomer, NEWCOMER, "SERVICE_STATE_SERVING"), "it serves again"
    )
    assert newcomer.children()[NEWCOMER]["state"] == "running"


def test_a_taken_port_is_a_clear_error(mesh):
    port = catalog(mesh)["port"]
    with socket.socket() as taken:
        # Connections of the venue's own life may not have been forgotten yet.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        status, answer = activate(mesh)
    assert (status, answer["details"][0]["reason"]) == (400, "PORT_IN_USE")
    assert f"port {port} ({NEWCOMER}) is in use" in answer["message"]
    assert NEWCOMER not in mesh.children()


def activate(mesh):
    """Status and answer."""
    return mesh.post(f"/v1/catalog/{NEWCOMER}:activate", {})


def deactivate(mesh):
    """Status and answer."""
    return mesh.post(f"/v1/catalog/{NEWCOMER}:deactivate", {})


def catalog(mesh, venue=NEWCOMER):
    """The entry of a venue in the catalog."""
    return mesh.get(f"/v1/catalog/{venue}")[1]["venue"]


def venue_is(mesh, venue, state):
    """Whether the catalog states that the venue is in this state."""
    return catalog(mesh, venue)["running"]["state"] == state


def services(mesh):
    """All that are registered."""
    return mesh.get("/v1/services")[1]["services"]


def recorded(mesh):
    """Number of its trades in the database."""
    return mesh.sql("SELECT count(*) FROM trades WHERE venue = %s", NEWCOMER)[0][0]


def first_trade(mesh):
    """The first batch of trades through the gateway."""
    stub = market_data_pb2_grpc.MarketDataStub(mesh.channel)
    request = market_data_pb2.SubscribeRequest(
        venue=NEWCOMER, channels=[types_pb2.CHANNEL_TRADES], symbols=[SYMBOL]
    )
    call = stub.Subscribe(request, metadata=metadata(NEWCOMER), timeout=30)
    for response in call:
        for batch in response.batches:
            if batch.trades.price:
                call.cancel()
                return batch
    raise AssertionError("the stream ended")
