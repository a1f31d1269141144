"""Decisions and requests in a mesh: they become orders of the paper account, once, with kill -9."""

import base64
import time
import uuid
from decimal import Decimal

import psycopg
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2, event_pb2, risk_pb2, signals_pb2
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2, trade_flow_pb2

from kit.events import event_log
from kit.events.event_ids import event_id
from tests.integration.mesh import SYMBOL, VENUE, new_folder, running
from tests.integration.orders import OrderCaller, refused
from tests.integration.simulation import SIMULATE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ACCOUNT = "paper"
STRATEGY = "integration"
SECOND_NS = 1_000_000_000
OPEN = signals_pb2.POSITION_ACTION_OPEN
CLOSE = signals_pb2.POSITION_ACTION_CLOSE
CALL_SECONDS_MAX = 60
OUTCOME_SECONDS_MAX = 240
"""An order that a kill cut off before it was sent counts as never arrived after about 100 s."""


@pytest.fixture(scope="module")
def mesh():
    with new_folder() as data, running(data, *SIMULATE) as mesh:
        mesh.wait_until_running()
        caller = OrderCaller(mesh, ACCOUNT)
        mesh.wait_until(caller.is_ready, "the paper account is ready")
        mesh.wait_until(lambda: caller.best_bid() > 0, "there is a book")
        mesh.wait_until(lambda: state(mesh).is_acting, "the inspector acts")
        yield mesh


@pytest.fixture
def caller(mesh):
    return OrderCaller(mesh, ACCOUNT)


def stub(mesh):
    return inspector_pb2_grpc.InspectorStub(mesh.channel)


def state(mesh):
    return stub(mesh).GetState(inspector_pb2.GetStateRequest(), timeout=CALL_SECONDS_MAX)


def size(mesh):
    """What the strategy holds; None if it has no position."""
    found = [one for one in state(mesh).positions if one.strategy == STRATEGY]
    return Decimal(found[0].size) if found else None


async def decide(mesh, caller, action):
    """Store a decision, as the advisor does. Returns its lifecycle id."""
    lifecycle, now_ns = uuid.uuid4().bytes, time.time_ns()
    price = caller.best_bid()
    intent = decisions_pb2.ExecutionIntent(
        **caller.here,
        symbol=SYMBOL,
        strategy=STRATEGY,
        action=action,
        side=types_pb2.SIDE_BUY if action == OPEN else types_pb2.SIDE_SELL,
        type=orders_pb2.ORDER_TYPE_MARKET,
        reference_price=str(price),
        expires_time_ns=now_ns + 300 * SECOND_NS,
    )
    if action == OPEN:
        intent.size = "0.01"
        intent.stop_price = str((price * Decimal("0.8")).quantize(Decimal(1)))
        intent.target_price = str((price * Decimal("1.2")).quantize(Decimal(1)))
    event = event_pb2.Event(
        event_id=event_id("advisor", STRATEGY, [lifecycle]),
        source="advisor",
        instance=STRATEGY,
        time_ns=now_ns,
        lifecycle_id=lifecycle,
        cause_ids=[lifecycle],
    )
    event.decision_made.outcome = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
    event.decision_made.intent.CopyFrom(intent)
    connection = await psycopg.AsyncConnection.connect(mesh.database_url())
    async with connection:
        await event_log.append(connection, event_pb2.EVENT_STREAM_DECISIONS, [event], now_ns)
    return lifecycle


def chain(mesh, lifecycle):
    """The events of a lifecycle by the name of their payload."""
    rows = mesh.sql("SELECT body FROM events WHERE lifecycle_id = %s ORDER BY stored_time_ns",
                    lifecycle)  # fmt: skip
    events = [event_pb2.Event.FromString(bytes(row[0])) for row in rows]
    return [(one.WhichOneof("payload"), one) for one in events]


def of(mesh, lifecycle, name):
    return [one for payload, one in chain(mesh, lifecycle) if payload == name]


def open_of(caller, *lifecycles):
    """The open orders of some lifecycles: the example strategy trades in this account too."""
    begins = tuple(f"lc-{one.hex()}" for one in lifecycles)
    return [one for one in caller.open().values() if one.request_id.startswith(begins)]


def fills_of(caller, lifecycle):
    request = trade_flow_pb2.ListFillsRequest(**caller.here, page_size=1000)
    orders = {fill.client_order_id for fill in caller.call("ListFills", request).fills}
    names = {key: caller.order(key).request_id for key in orders}
    own = {key for key, name in names.items() if name.startswith(f"lc-{lifecycle.hex()}")}
    fills = caller.call("ListFills", request).fills
    return sum(Decimal(fill.size) for fill in fills if fill.client_order_id in own)


async def test_decision_becomes_an_entry_with_exits_and_a_close_ends_it(mesh, caller):
    opened = await decide(mesh, caller, OPEN)
    mesh.wait_until(lambda: of(mesh, opened, "orders_submitted"), "the orders are handed over")
    (submitted,) = of(mesh, opened, "orders_submitted")
    assert submitted.orders_submitted.outcome == risk_pb2.SUBMISSION_OUTCOME_TAKEN, submitted
    mesh.wait_until(lambda: (size(mesh) or 0) > 0, "the strategy holds what was bought")
    assert {one.content.type for one in open_of(caller, opened)} == {
        orders_pb2.ORDER_TYPE_STOP,
        orders_pb2.ORDER_TYPE_TAKE_PROFIT,
    }
    closed = await decide(mesh, caller, CLOSE)
    mesh.wait_until(lambda: size(mesh) is None, "the position has ended")
    assert open_of(caller, opened, closed) == []
    bought, sold = fills_of(caller, opened), fills_of(caller, closed)
    assert Decimal("0.0099") < sold < bought == Decimal("0.01")
    names = [name for name, _ in chain(mesh, closed)]
    assert names.count("verdict_given") == 2
    assert "order_filled" in names


@pytest.mark.parametrize("killed", ["inspector", VENUE])
async def test_kill_9_on_the_way_doubles_nothing(mesh, caller, killed):
    opened = await decide(mesh, caller, OPEN)
    if killed == VENUE:
        # Without the venue nothing is known of the instrument, and nothing is allowed.
        mesh.wait_until(lambda: of(mesh, opened, "verdict_given"), "the entry is allowed")
    mesh.kill(killed)
    mesh.wait_until(lambda: of(mesh, opened, "orders_submitted"), "the outcome is known")
    mesh.wait_until(caller.is_ready, "the account is ready")
    closed = await decide(mesh, caller, CLOSE)
    mesh.wait_until(lambda: of(mesh, closed, "verdict_given"), "the close is allowed")
    mesh.kill(killed)
    mesh.wait_until(lambda: size(mesh) is None, "the position has ended", OUTCOME_SECONDS_MAX)
    mesh.wait_until(caller.is_ready, "the account is ready")
    assert open_of(caller, opened, closed) == []
    bought, sold = fills_of(caller, opened), fills_of(caller, closed)
    assert bought in (0, Decimal("0.01"))
    assert bought * Decimal("0.99") <= sold <= bought


def test_person_asks_for_an_order_over_rest(mesh, caller):
    price = str((caller.best_bid() * Decimal("0.9")).quantize(Decimal(1)))
    content = {
        **caller.here,
        "symbol": SYMBOL,
        "side": "SIDE_BUY",
        "type": "ORDER_TYPE_LIMIT",
        "size": "0.01",
    }
    body = {
        "request_id": "person-1",
        "reason": "to see it work",
        "operation": "OPERATION_PLACE",
        "content": {**content, "price": price},
    }
    status, answer = mesh.post("/v1/inspector/orders", body)
    assert status == 200, answer
    assert mesh.post("/v1/inspector/orders", body) == (status, answer)
    lifecycle = base64.b64decode(answer["lifecycle_id"])
    (order,) = open_of(caller, lifecycle)
    assert order.content.price == price
    assert mesh.post("/v1/inspector/orders", body | {"reason": "other"})[0] == 200
    other = body | {"content": {**content, "price": price, "size": "0.02"}}
    assert mesh.post("/v1/inspector/orders", other)[0] == 409
    request = inspector_pb2.SubmitManualRequest(
        request_id="person-2",
        reason="the end",
        operation=signed_pb2.OPERATION_CANCEL,
        target_client_order_id=order.client_order_id,
        content=orders_pb2.OrderContent(symbol=SYMBOL, **caller.here),
    )
    cancelled = stub(mesh).SubmitManual(request, timeout=CALL_SECONDS_MAX)
    assert cancelled.submitted.orders[0].state == orders_pb2.ORDER_STATE_CANCELLED
    assert open_of(caller, lifecycle) == []


async def test_halted_mesh_opens_nothing(mesh, caller):
    halted, active = risk_pb2.TRADING_MODE_HALTED, risk_pb2.TRADING_MODE_ACTIVE
    ask = inspector_pb2.SetModeRequest(scope="mesh", mode=halted, reason="a test")
    assert stub(mesh).SetMode(ask, timeout=CALL_SECONDS_MAX).mode.mode == halted
    mesh.kill("inspector")
    opened = await decide(mesh, caller, OPEN)
    mesh.wait_until(lambda: of(mesh, opened, "verdict_given"), "the verdict is given")
    (given,) = of(mesh, opened, "verdict_given")
    assert given.verdict_given.verdict == risk_pb2.VERDICT_STAND_DOWN
    assert not of(mesh, opened, "orders_submitted")
    mesh.wait_until(lambda: state(mesh).is_acting, "the inspector acts")
    ask.mode, ask.scope = active, "mesh"
    stub(mesh).SetMode(ask, timeout=CALL_SECONDS_MAX)
    ask.reason = ""
    reason, _ = refused(lambda: stub(mesh).SetMode(ask, timeout=CALL_SECONDS_MAX))
    assert reason == "BAD_REQUEST"
