"""A position that no strategy has opened: it is announced, adopted, protected and closed."""

import base64
from decimal import Decimal

import pytest
from venuemesh.events.v1 import event_pb2

from tests.integration.mesh import new_folder, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

VENUE, SYMBOL = "okx_futures", "BTC-USDT-SWAP"
HERE = {"venue": VENUE, "account": "demo"}
PLACE = {**HERE, "symbol": SYMBOL}
SIZE = "0.1"
TRAILING_OFFSET = "500"
RISK = "/v1/inspector"


@pytest.fixture(scope="module")
def mesh():
    with (
        new_folder() as data,
        running(data, "--world", "simulate", "--seed", "7", "--venues", VENUE) as mesh,
    ):
        mesh.wait_until_running()
        mesh.wait_until(lambda: is_ready(mesh), "the account takes orders")
        mesh.wait_until(lambda: best_bid(mesh) > 0, "there is a book")
        yield mesh


def rest(mesh, path):
    status, answer = mesh.get(path)
    assert status == 200, answer
    return answer


def asked(mesh, path, **body):
    status, answer = mesh.post(f"{RISK}{path}", {"reason": "a test", **body})
    assert status == 200, answer
    return answer


def is_ready(mesh):
    accounts = rest(mesh, f"/v1/venues/{VENUE}/accounts")["accounts"]
    states = [one["state"] for one in accounts if one["account"] == "demo"]
    return states == ["ACCOUNT_STATE_READY"] and rest(mesh, RISK)["is_acting"]


def best_bid(mesh):
    book = rest(mesh, f"/v1/venues/{VENUE}/instruments/{SYMBOL}/book?depth=1")
    return Decimal(book["bids"][0]["price"])


def sizes(mesh, path, field):
    """What is held in the instrument, as one of the lists of the inspector says."""
    listed = rest(mesh, f"{RISK}/{path}").get(field, [])
    return [one["size"] for one in listed if one["symbol"] == SYMBOL]


def stops_at_exchange(mesh):
    orders = rest(mesh, f"/v1/venues/{VENUE}/orders?account=demo").get("orders", [])
    return [
        one
        for one in orders
        if one["content"]["type"] == "ORDER_TYPE_STOP"
        and one["state"] == "ORDER_STATE_OPEN"
        and not one.get("held_here")
    ]


def moves(mesh, lifecycle_id):
    """The events of moves of a position's stop."""
    rows = mesh.sql(
        "SELECT body FROM events WHERE lifecycle_id = %s ORDER BY stored_time_ns", lifecycle_id
    )
    events = [event_pb2.Event.FromString(bytes(row[0])) for row in rows]
    return [one.stop_trailed for one in events if one.HasField("stop_trailed")]


def test_position_of_nobody_is_adopted_its_stop_trails_at_the_exchange_and_it_is_closed(mesh):
    content = {**PLACE, "side": "SIDE_BUY", "type": "ORDER_TYPE_MARKET", "size": SIZE}
    operation = "OPERATION_PLACE"
    bought = asked(mesh, "/orders", request_id="buy-1", operation=operation, content=content)
    assert bought["submitted"]["outcome"] == "SUBMISSION_OUTCOME_TAKEN", bought
    mesh.wait_until(
        lambda: sizes(mesh, "legacyPositions", "positions") == [SIZE], "it is announced"
    )
    assert stops_at_exchange(mesh) == []

    stop_price = str((best_bid(mesh) * Decimal("0.9")).quantize(Decimal(1)))
    terms = {"stop_price": stop_price, "trailing_offset": TRAILING_OFFSET}
    adopted = asked(mesh, "/positions:adopt", **PLACE, **terms)
    assert adopted["size"] == SIZE
    assert mesh.post(f"{RISK}/positions:adopt", {**PLACE, **terms, "reason": "again"})[0] == 400
    mesh.wait_until(lambda: stops_at_exchange(mesh), "the stop is at the exchange")
    (stop,) = stops_at_exchange(mesh)
    assert stop["content"]["size"] == SIZE

    # It is the same order: the position never is without it.
    mesh.wait_until(
        lambda: (
            [
                one["client_order_id"]
                for one in stops_at_exchange(mesh)
                if Decimal(one["content"]["stop_price"]) > Decimal(stop_price)
            ]
            == [stop["client_order_id"]]
        ),
        "the stop is amended towards the market",
    )
    made = moves(mesh, base64.b64decode(adopted["lifecycle_id"]))
    assert made[0].before == stop_price
    assert made[0].amendment.target_client_order_id == stop["client_order_id"]
    prices = [Decimal(one.after) for one in made]
    assert prices == sorted(prices)
    assert prices[0] > Decimal(stop_price)
    mesh.wait_until(
        lambda: sizes(mesh, "legacyPositions", "positions") == [], "what is adopted is nobody's"
    )

    asked(mesh, "/modes", scope=f"account:{VENUE}/demo", mode="TRADING_MODE_CLOSING_ALL")
    mesh.wait_until(lambda: sizes(mesh, "protections", "protections") == [], "it is closed")
    assert stops_at_exchange(mesh) == []
    positions = rest(mesh, f"/v1/venues/{VENUE}/positions?account=demo").get("positions", [])
    assert [one for one in positions if Decimal(one["size"])] == []
