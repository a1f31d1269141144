"""Studio's page Risk in a real headless browser: what the inspector of a running mesh reports."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from tests.integration.mesh import SYMBOL, VENUE
from tests.integration.orders import OrderCaller
from tests.integration.test_inspector import CLOSE, OPEN, STRATEGY, decide
from tests.integration.web import studio_of

ACCOUNT = "paper"
SCOPE = f"account:{VENUE}/{ACCOUNT}"

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def studio(simulated):
    """The address of Studio."""
    return studio_of(simulated)


@pytest.fixture(scope="module")
def caller(simulated):
    """A caller of the account of strategies."""
    caller = OrderCaller(simulated, ACCOUNT)
    simulated.wait_until(caller.takes_requests, "the inspector takes requests")
    simulated.wait_until(lambda: caller.best_bid() > 0, "there is a book")
    return caller


@pytest.fixture
def room(page, studio):
    """The page."""
    page.goto(f"{studio}#/risk")
    page.get_by_test_id("risk-room").wait_for()
    return page


def store_decision(mesh, caller, action):
    """Store a decision of the advisor. The browser has an event loop in this thread."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, decide(mesh, caller, action)).result()


def test_refused_order_shows_the_check_and_leads_to_its_chain(simulated, caller, room):
    content = orders_pb2.OrderContent(
        venue=VENUE,
        account=ACCOUNT,
        symbol=SYMBOL,
        side=types_pb2.SIDE_BUY,
        type=orders_pb2.ORDER_TYPE_LIMIT,
        size="1000",
        price="50000",
    )
    request = inspector_pb2.SubmitManualRequest(
        request_id="risk-room",
        reason="a test",
        operation=signed_pb2.OPERATION_PLACE,
        content=content,
    )
    inspector_pb2_grpc.InspectorStub(simulated.channel).SubmitManual(request, timeout=60)
    room.get_by_test_id("choice-refused").click()
    row = room.get_by_test_id("verdict-row").filter(has_text="order_notional_max").first
    row.wait_for()
    text = row.inner_text()
    assert "block" in text
    assert f"Buy 1000 {SYMBOL}, {VENUE}/{ACCOUNT}" in text
    assert "50000000 of 100000 USDT" in text
    row.get_by_test_id("why-link").click()
    room.get_by_test_id("box-verdict").first.wait_for()


def test_limits_and_accounts_are_those_of_the_inspector(room):
    rate = room.locator("[data-testid=limit-row][data-limit=entries_per_minute_max]")
    rate.wait_for()
    assert "600" in rate.inner_text()
    assert "%" in rate.inner_text()
    room.locator(f"[data-testid=account-row]:has-text('{VENUE}/{ACCOUNT} agrees')").wait_for()
    assert "active" in room.get_by_test_id("mesh-mode").inner_text()
    room.locator("[data-testid=connection-state][data-state=live]").wait_for()


def test_position_shows_its_stop(simulated, caller, room):
    store_decision(simulated, caller, OPEN)
    row = room.get_by_test_id("protection-row").filter(has_text=STRATEGY)
    row.get_by_text("stop works").wait_for()
    assert SYMBOL in row.inner_text()
    store_decision(simulated, caller, CLOSE)
    row.wait_for(state="detached")


def test_mode_is_set_with_a_reason_and_released(caller, room):
    room.get_by_test_id("set-mode").click()
    room.get_by_test_id("mode-scope").select_option(SCOPE)
    room.get_by_test_id("mode-mode").select_option(label="standing down")
    assert room.get_by_test_id("mode-send").is_disabled()
    room.get_by_test_id("mode-reason").fill("a look at the room")
    room.get_by_test_id("mode-send").click()
    room.get_by_test_id("mode-done").wait_for()
    room.get_by_test_id("mode-back").click()
    row = room.locator(f"[data-testid=mode-row][data-scope='{SCOPE}']")
    row.get_by_text("standing down").wait_for()
    assert "a look at the room" in row.inner_text()
    row.get_by_test_id("release-mode").click()
    room.get_by_test_id("mode-question").get_by_text("from standing down to active").wait_for()
    room.get_by_test_id("mode-reason").fill("enough")
    room.get_by_test_id("mode-send").click()
    room.get_by_test_id("mode-done").wait_for()
    room.get_by_test_id("mode-back").click()
    row.get_by_text("active").wait_for()
    assert row.get_by_test_id("release-mode").count() == 0


@pytest.mark.parametrize("button", ["confirm-proposal", "decline-proposal"])
def test_proposal_of_a_model_is_decided_in_its_dialog(simulated, caller, room, button):
    terms = {"caller": "robot", "roles": ["ROLE_TRADER"], "for_model": True}
    _, issued = simulated.post("/v1/tokens", terms)
    name, price = f"web-{button}", str(caller.best_bid() - 1_000)
    content = {
        "venue": VENUE,
        "account": ACCOUNT,
        "symbol": SYMBOL,
        "side": "SIDE_BUY",
        "type": "ORDER_TYPE_LIMIT",
        "size": "0.01",
        "price": price,
    }
    request = {
        "request_id": name,
        "operation": "OPERATION_PLACE",
        "reason": "the spread is wide <b>and more</b>",
        "content": content,
    }
    status, answer = simulated.post("/v1/inspector/orders", request, token=issued["token"])
    assert (status, answer["proposal"]["state"]) == (200, "PROPOSAL_STATE_PENDING"), answer
    row = room.locator(f"[data-testid=proposal-row][data-request='{name}']")
    row.get_by_test_id("decide-proposal").click()
    question = room.get_by_test_id("proposal-question").inner_text()
    assert question == f"place: Buy 0.01 {SYMBOL} limit {price}, {VENUE}/{ACCOUNT}"
    assert room.get_by_test_id("proposal-reason").inner_text() == request["reason"]
    room.get_by_test_id("decline-reason").fill("a look at the dialog")
    room.get_by_test_id(button).click()
    outcome = room.get_by_test_id("proposal-done")
    outcome.wait_for()
    is_confirmed = button == "confirm-proposal"
    assert ("taken" if is_confirmed else "declined") in outcome.inner_text()
    room.get_by_test_id("proposal-back").click()
    row.wait_for(state="detached")
    _, answer = simulated.post("/v1/inspector/orders", request, token=issued["token"])
    assert ("submitted" in answer) == is_confirmed, answer
