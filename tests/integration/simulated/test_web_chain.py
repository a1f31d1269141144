"""Studio's pages Capital and Why in a real headless browser: what a real order leads to, and a
whole chain from a signal to its fills."""

import re
import time

import pytest
from venuemesh.common.v1.types_pb2 import SIDE_BUY
from venuemesh.tradeflow.v1 import orders_pb2

from tests.integration.chain_events import ACCOUNT, STRATEGY, chain_events, store_events
from tests.integration.mesh import SYMBOL, VENUE
from tests.integration.orders import HERE, OrderCaller
from tests.integration.web import studio_of

LINES = """cell => {
  const text = document.createRange();
  text.selectNodeContents(cell);
  return new Set([...text.getClientRects()].map(({ top }) => Math.round(top))).size;
}"""
"""How many lines the text of a cell takes."""

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def studio(simulated):
    """The address of Studio."""
    return studio_of(simulated)


@pytest.fixture(scope="module")
def chain(simulated):
    """A stored chain."""
    events = chain_events(time.time_ns() - 3_600_000_000_000)
    store_events(simulated.database_url(), events)
    return events


@pytest.fixture(scope="module")
def order(simulated):
    """An order that a caller has placed at the venue process itself, and that is filled."""
    caller = OrderCaller(simulated)
    simulated.wait_until(caller.is_ready, "the account accepts orders")
    market = orders_pb2.ORDER_TYPE_MARKET
    content = orders_pb2.OrderContent(
        **HERE, symbol=SYMBOL, side=SIDE_BUY, type=market, size="0.01"
    )
    return caller.place(content)


def test_a_fill_on_the_page_leads_to_its_order_and_postings(page, studio, order):
    page.goto(f"{studio}#/orders/{VENUE}/demo")
    fill = page.get_by_test_id("fill-row").filter(has_text=order.client_order_id).first
    fill.get_by_test_id("why-link").click()
    for stage in ("order", "fill", "posting"):
        page.get_by_test_id(f"box-{stage}").first.wait_for()
    assert "filled" in page.get_by_test_id("box-order").first.inner_text()
    assert page.locator("[data-testid=box-fill][data-subject=true]").count() == 1
    page.get_by_test_id("posting-row").first.wait_for()
    words = page.get_by_test_id("posting-row").all_inner_texts()
    assert any("Cash" in text for text in words), words
    page.goto(f"{studio}#/why")
    page.get_by_test_id("chain-row").first.wait_for()


def test_capital_is_what_the_ledger_has_booked(page, studio, order):
    page.goto(f"{studio}#/capital/{VENUE}/demo")
    page.get_by_test_id("trial-proof").get_by_text("zero in all").wait_for()
    rows = page.get_by_test_id("trial-row")
    assert {row.get_attribute("data-difference") for row in rows.all()} == {"0"}
    page.locator("[data-testid=profit-row][data-owner='no strategy']").first.wait_for()
    # A line without height is not visible for the browser.
    page.get_by_test_id("equity-path").wait_for(state="attached")
    entry = page.get_by_test_id("entry-row").first
    entry.wait_for()
    entry.get_by_test_id("why-link").click()
    page.get_by_test_id("box-posting").first.wait_for()


def test_a_chain_is_a_picture_with_its_facts(page, studio, chain):
    page.goto(f"{studio}#/why")
    page.get_by_test_id("choice-order").click()
    page.get_by_test_id("why-venue").fill(VENUE)
    page.get_by_test_id("why-account").fill(ACCOUNT)
    page.get_by_test_id("why-id").fill(chain[4].order_changed.order.client_order_id)
    page.get_by_test_id("why-ask").click()
    for stage, count in (("signal", 1), ("decision", 1), ("verdict", 2), ("order", 3), ("fill", 2)):
        boxes = page.get_by_test_id(f"box-{stage}")
        boxes.nth(count - 1).wait_for()
        assert boxes.count() == count, stage
    assert STRATEGY in page.get_by_test_id("box-signal").inner_text()
    assert "filled" in page.locator("[data-testid=box-order][data-subject=true]").inner_text()
    rules = page.get_by_test_id("rule-row").all_inner_texts()
    assert any("trend" in text and "ema(close, 12) = 61231.4" in text for text in rules), rules
    assert any("abstains" in text for text in rules), rules
    checks = page.get_by_test_id("check-row")
    limits = checks.filter(has_text="order_notional_max").inner_text()
    assert "765.50625" in limits
    assert "1000" in limits
    assert "not known" in checks.filter(has_text="daily_loss_max").inner_text()
    expiry = checks.filter(has_text="expiry").inner_text()
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s+UTC", expiry), expiry
    side, liquidity = (
        page.get_by_test_id("chain-fill-row").first.locator("td").nth(n) for n in (1, 5)
    )
    for cell in (side, liquidity):
        assert cell.evaluate(LINES) == 1
    assert page.get_by_text("inspector-1, epoch 7").count() > 0
    # A kind without a card of its own.
    page.get_by_text("mode_changed").first.wait_for()
    assert "order_rate_max" in page.get_by_test_id("payload-json").inner_text()


def test_a_position_has_its_chains(page, studio, chain):
    page.goto(f"{studio}#/why/position/{VENUE}/{ACCOUNT}/{SYMBOL}")
    page.get_by_test_id("box-fill").nth(1).wait_for()
    subjects = page.locator("[data-testid=box-fill][data-subject=true]")
    assert subjects.count() == 2
    page.goto(f"{studio}#/why/fill/{VENUE}/{ACCOUNT}/{SYMBOL}/never")
    page.get_by_test_id("why-nothing").get_by_text("UNKNOWN_EVENT").wait_for()
    assert page.get_by_test_id("why-ask").count() == 1
