"""A mesh whose inspector is killed, and whose stops vanish at the venue."""

import hashlib
import hmac
import time
import urllib.request
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2

from tests.integration.mesh import SYMBOL, VENUE, new_folder, running
from tests.integration.orders import OrderCaller, refused
from tests.integration.simulation import SIMULATE
from tests.integration.test_inspector import CLOSE, OPEN, decide, of, open_of, size, state

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

DEAD_MAN_SECONDS = "6"
STOP = orders_pb2.ORDER_TYPE_STOP
CANCELLED, WORKING = orders_pb2.ORDER_STATE_CANCELLED, orders_pb2.ORDER_STATE_OPEN
TAKE_LEASE = (
    "UPDATE leases SET (holder, epoch, expires_time) = ('the test', epoch + 1, 'infinity')"
    " WHERE name = 'inspector' RETURNING epoch"
)
RETURN_LEASE = (
    "UPDATE leases SET (holder, expires_time) = ('', '-infinity')"
    " WHERE name = 'inspector' RETURNING epoch"
)


@pytest.fixture(scope="module")
def mesh():
    with pytest.MonkeyPatch.context() as patch, new_folder() as data:
        patch.setenv("VENUEMESH_ORDERS_DEAD_MAN_S", DEAD_MAN_SECONDS)
        with running(data, *SIMULATE) as mesh:
            mesh.wait_until_running()
            caller = OrderCaller(mesh)
            mesh.wait_until(caller.takes_requests, "the account takes requests")
            mesh.wait_until(lambda: caller.best_bid() > 0, "there is a book")
            yield mesh


@pytest.fixture
def caller(mesh):
    return OrderCaller(mesh)


@contextmanager
def without_inspector(mesh):
    """It is killed, and does not act when it starts again: another one has the lease."""
    mesh.kill("inspector")
    mesh.sql(TAKE_LEASE)
    try:
        yield
    finally:
        mesh.sql(RETURN_LEASE)
        mesh.wait_until(lambda: state(mesh).is_acting, "the inspector acts again")


def is_silent(caller):
    """Whether the account has cancelled its entries."""
    accounts = caller.call("ListAccounts", accounts_pb2.ListAccountsRequest(venue=VENUE)).accounts
    (found,) = [one for one in accounts if one.account == caller.here["account"]]
    return found.dead_man_fired


def stops(caller, lifecycle):
    """The stops that work at the venue."""
    return [
        one
        for one in open_of(caller, lifecycle)
        if (one.content.type, one.state, one.held_here) == (STOP, WORKING, False)
    ]


async def open_position(mesh, caller):
    """A position with a stop at the venue. Returns its lifecycle."""
    opened = await decide(mesh, caller, OPEN)
    mesh.wait_until(lambda: of(mesh, opened, "orders_submitted"), "the orders are handed over")
    mesh.wait_until(lambda: stops(caller, opened), "the stop is at the venue")
    return opened


async def close_position(mesh, caller):
    assert size(mesh) > 0
    await decide(mesh, caller, CLOSE)
    mesh.wait_until(lambda: size(mesh) is None, "the position has ended")


def delete_at_exchange(mesh, client_order_id):
    """Cancel an order with the account's own key, as a person at the exchange does."""
    terms = {"symbol": SYMBOL, "origClientOrderId": client_order_id}
    query = urlencode({**terms, "timestamp": time.time_ns() // 10**6})
    signature = hmac.new(b"demo-secret", query.encode(), hashlib.sha256).hexdigest()
    url = f"http://127.0.0.1:{mesh.port('simulator')}/{VENUE}/api/v3/order"
    request = urllib.request.Request(f"{url}?{query}&signature={signature}", method="DELETE")
    request.add_header("X-MBX-APIKEY", "demo-key")
    with urllib.request.urlopen(request) as response:
        assert response.status == 200


async def test_dead_inspector_leaves_no_entry_in_the_book_and_every_stop(mesh, caller):
    opened = await open_position(mesh, caller)
    (stop,) = stops(caller, opened)
    entry = caller.place(caller.resting())
    with without_inspector(mesh):
        mesh.wait_until(
            lambda: caller.order(entry.client_order_id).state == CANCELLED, "the entry is cancelled"
        )
        assert is_silent(caller)
        reason, _ = refused(lambda: caller.place(caller.resting()))
        assert reason == "ACCOUNT_NOT_READY"
        assert [one.client_order_id for one in stops(caller, opened)] == [stop.client_order_id]
    mesh.wait_until(lambda: not is_silent(caller), "the account takes entries again")
    caller.cancel(caller.place(caller.resting()).client_order_id)
    await close_position(mesh, caller)


async def test_stop_that_somebody_deletes_at_the_exchange_is_an_alarm_and_comes_again(mesh, caller):
    opened = await open_position(mesh, caller)
    (stop,) = stops(caller, opened)
    delete_at_exchange(mesh, stop.client_order_id)
    mesh.wait_until(lambda: of(mesh, opened, "protection_changed"), "the alarm is raised")
    mesh.wait_until(lambda: stops(caller, opened), "the position has a stop again")
    mesh.wait_until(lambda: len(of(mesh, opened, "protection_changed")) == 2, "the alarm ends")
    begun, over = (one.protection_changed for one in of(mesh, opened, "protection_changed"))
    assert (begun.problem, begun.is_certain, over.problem) == ("it has no stop", True, "")
    (new,) = stops(caller, opened)
    assert new.client_order_id != stop.client_order_id
    assert (new.content.stop_price, new.content.size) == (stop.content.stop_price, over.size)
    notices = [one["detail"] for one in mesh.log("notifier") if one["event"] == "notice"]
    assert any("it has no stop" in one for one in notices)
    await close_position(mesh, caller)
