"""Studio shows missing data on the chart and the data page, in a real headless browser."""

import os
from unittest import mock

import pytest
from venuemesh.repair.v1 import repair_pb2, repair_pb2_grpc

from tests.integration import recorded
from tests.integration.mesh import NO_TRADING, SYMBOL, VENUE, new_folder, running
from tests.integration.simulation import SIMULATE, TRADES_MIN
from tests.integration.web import studio_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SETTINGS = {
    # Nothing is repaired before the page requests it.
    "VENUEMESH_VENUES_BINANCE_REFILL_S": "0",
    "VENUEMESH_REPAIR_AUTOMATIC": "false",
    "VENUEMESH_REPAIR_SETTLE_S": "1",
    "VENUEMESH_REPAIR_FIND_INTERVAL_S": "1",
    "VENUEMESH_REPAIR_QUALITY_INTERVAL_S": "1",
    "VENUEMESH_BARS_KINDS": "tick:20",
}
DROPPED = 12
OPEN_COLOR, FILLED_COLOR = [227, 176, 75], [127, 159, 208]
"""Colors of the hole markers at the upper edge of the chart."""
NEWEST_MARK = """color => {
  const canvas = document.querySelector("[data-testid=chart] canvas");
  const row = canvas.getContext("2d").getImageData(0, 1, canvas.width, 1).data;
  const last = Array.from({length: row.length / 4}, (_, i) => i).findLast(
    i => color.every((part, at) => row[i * 4 + at] === part));
  const {left, width} = canvas.getBoundingClientRect();
  return last === undefined ? null : left + last * width / canvas.width;
}"""
"""Pixels from the left of the page; null while there is none."""


@pytest.fixture(scope="module")
def mesh():
    """A mesh whose holes stay."""
    with (
        mock.patch.dict(os.environ, SETTINGS),
        new_folder() as data,
        running(data, *SIMULATE, *NO_TRADING, path=os.environ["PATH"]) as mesh,
    ):
        mesh.wait_until_running()
        mesh.wait_until(lambda: recorded.trades_after(mesh, 0) >= TRADES_MIN, "trades are recorded")
        yield mesh


@pytest.fixture(scope="module")
def studio(mesh):
    """The address of Studio."""
    return studio_of(mesh)


def order(mesh, fault, **fields):
    """Let something go wrong at the exchange."""
    status, _ = mesh.post("/faults", {"venue": VENUE, "fault": fault, **fields}, port="simulator")
    assert status == 200


def open_holes(mesh):
    """The jobs of Repair, read through the gateway."""
    wanted = repair_pb2.HOLE_STATE_OPEN
    request = repair_pb2.ListHolesRequest(venue=VENUE, symbol=SYMBOL, state=wanted)
    return repair_pb2_grpc.RepairStub(mesh.channel).ListHoles(request).holes


def cut(mesh):
    """Cut a hole of DROPPED trades, and wait until it is found."""
    before = len(open_holes(mesh))
    order(mesh, "drop", channel="trades", symbol=SYMBOL, count=DROPPED)
    mesh.wait_until(lambda: len(open_holes(mesh)) > before, "the hole is found")


def point_at_hole(page, mesh, color):
    """Move the pointer to the newest hole marker until the chart shows its text. Returns the text.
    Each new bar moves the marker."""
    box = page.get_by_test_id("chart").bounding_box()
    texts = []

    def reported():
        x = page.evaluate(NEWEST_MARK, color)
        if x is not None:
            page.mouse.move(x, box["y"] + box["height"] / 2)
            texts[:] = page.get_by_test_id("hole-tip").all_inner_texts()
        return texts

    mesh.wait_until(reported, "the hole is marked on the chart")
    return texts[0]


def test_a_hole_is_drawn_on_the_chart(page, studio, mesh):
    cut(mesh)
    page.goto(f"{studio}#/market/{VENUE}/{SYMBOL}/15s")
    page.get_by_test_id("holes-open").wait_for()
    text = point_at_hole(page, mesh, OPEN_COLOR)
    assert f"{DROPPED} trades missing" in text
    assert "trade ids jump" in text or "sequence" in text


def test_bars_of_other_kinds_can_be_chosen(page, studio):
    page.goto(f"{studio}#/market/{VENUE}/{SYMBOL}/1m")
    page.get_by_test_id("other-intervals").select_option("tick:20")
    page.get_by_text(f"{SYMBOL} · 20 trades").wait_for()
    page.get_by_test_id("interval-1s").click()
    page.get_by_text(f"{SYMBOL} · 1s").wait_for()
    assert page.get_by_text(f"{SYMBOL} · 20 trades").count() == 0


def test_the_calendar_is_reached_by_the_keyboard(page, studio, mesh):
    page.goto(f"{studio}#/data/{VENUE}/{SYMBOL}")
    days = page.get_by_test_id("coverage-day")
    today = page.locator("[data-testid=coverage-day]:not([data-level=nothing])").last
    today.wait_for()
    assert "coverage" in today.get_attribute("aria-label")
    assert days.count() > 52 * 7
    for _ in range(50):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.testid") == "coverage-day":
            break
    assert "Trades" in page.get_by_test_id("day-tip").inner_text()
    day = page.evaluate("document.activeElement.dataset.day")
    page.keyboard.press("Enter")
    assert day in page.get_by_test_id("clear-day").inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.day") < day
    assert page.get_by_test_id("quality-score").inner_text() != ""


def test_a_repair_is_started_and_watched_until_it_is_done(page, studio, mesh):
    cut(mesh)
    page.goto(f"{studio}#/data/{VENUE}/{SYMBOL}")
    page.locator("[data-testid=hole-row][data-state=open]").first.wait_for()
    order(mesh, "rest_delay", path="/api/v3/trades", seconds=2, count=1)
    page.get_by_test_id("repair-start").click()
    page.locator("[data-testid=repair-job][data-state=running]").wait_for()
    page.locator("[data-testid=repair-job][data-state=done]").wait_for()
    page.locator("[data-testid=hole-row][data-state=filled]").first.wait_for()
    page.locator("[data-testid=repair-progress][aria-valuenow='100']").first.wait_for()
    assert page.get_by_test_id("repair-job").first.get_attribute("data-state") == "done"
    page.locator("[data-testid=hole-row][data-state=open]").wait_for(state="detached")
    page.locator("[data-testid=repair-row]", has_text="done").first.wait_for()
    page.goto(f"{studio}#/market/{VENUE}/{SYMBOL}/15s")
    page.get_by_test_id("holes-filled").wait_for()
    assert f"{DROPPED} trades were missing" in point_at_hole(page, mesh, FILLED_COLOR)


def test_a_repair_is_cancelled_from_the_page(page, studio, mesh):
    cut(mesh)
    order(mesh, "rest_delay", path="/api/v3/trades", seconds=60, count=1)
    page.goto(f"{studio}#/data/{VENUE}/{SYMBOL}")
    page.locator("[data-testid=hole-row][data-state=open]").get_by_text("Repair").first.click()
    page.get_by_test_id("repair-cancel").click()
    page.locator("[data-testid=repair-job][data-state=cancelled]").wait_for()
    page.locator("[data-testid=repair-row]", has_text="cancelled").wait_for()
    assert page.locator("[data-testid=repair-job][data-state=done]").count() == 0
