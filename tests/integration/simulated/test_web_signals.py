"""Studio's page Signals in a real headless browser: the strategy that the mesh runs."""

import pytest

from tests.integration.mesh import SYMBOL, VENUE
from tests.integration.web import studio_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STRATEGY = "ema_cross"
SIGNAL_SECONDS_MAX = 150.0
SIGNALS = "SELECT count(*) FROM events WHERE stream = 'signals' AND subject = 'strategy:ema_cross'"


@pytest.fixture(scope="module")
def studio(simulated):
    """The address of Studio."""
    return studio_of(simulated)


@pytest.fixture(scope="module")
def signal(simulated):
    """The strategy has raised one."""
    simulated.wait_until(
        lambda: simulated.sql(SIGNALS)[0][0] > 0, "a signal of the example", SIGNAL_SECONDS_MAX
    )


def test_the_page_shows_what_a_strategy_computes(page, studio, tmp_path):
    page.goto(f"{studio}#/signals")
    row = page.get_by_test_id("strategy-row").filter(has_text=STRATEGY)
    row.locator("[data-state=running]").wait_for()
    assert f"{VENUE} {SYMBOL}" in row.inner_text()
    strips = page.get_by_test_id("rule-strip")
    strips.nth(3).wait_for()
    kinds = [strip.get_attribute("data-kind") for strip in strips.all()]
    assert kinds == ["score", "rule", "rule", "exit"]
    assert "trade_flow" in strips.filter(has_text="flow").last.inner_text()
    # The columns of the score are a picture as soon as it is not 0.
    page.wait_for_function(
        "() => document.querySelector('[data-kind=score] path.up').getAttribute('d') !== ''"
    )
    lines = page.get_by_test_id("chart-line").filter(has_not_text="not known")
    lines.nth(1).wait_for()
    assert {line.get_attribute("title") for line in lines.all()} == {
        "ema(close, 5)",
        "ema(close, 13)",
    }
    assert page.get_by_test_id("signal-chart").locator("canvas").first.is_visible()
    page.get_by_test_id("signals-why-not").get_by_text("now").or_(
        page.get_by_test_id("signals-why-not").get_by_text("open a position")
    ).wait_for()
    page.screenshot(path=tmp_path / "studio.png")
    # The newest bar is at the right.
    picture = strips.first.locator("svg")
    picture.hover(position={"x": picture.bounding_box()["width"] - 2, "y": 5})
    page.get_by_test_id("rules-time").get_by_text("on the bar until").wait_for()


def test_the_page_follows_the_bars(page, studio):
    page.goto(f"{studio}#/signals/{STRATEGY}/{VENUE}/{SYMBOL}")
    newest = page.get_by_test_id("chart-line").first
    newest.filter(has_not_text="not known").wait_for()
    before = newest.inner_text()
    page.wait_for_function(
        "before => document.querySelector('[data-testid=chart-line]').innerText !== before",
        arg=before,
    )
    assert newest.inner_text() != before


def test_a_signal_has_its_rules_and_leads_to_its_chain(page, studio, signal):
    page.goto(f"{studio}#/signals/{STRATEGY}")
    opened = page.get_by_test_id("signal-row").filter(has_text="open").last
    opened.wait_for()
    pieces = opened.get_by_test_id("attribution").locator("[data-rule]")
    assert {piece.get_attribute("data-rule") for piece in pieces.all()} == {"cross", "flow"}
    opened.get_by_test_id("why-link").click()
    page.get_by_test_id("box-signal").first.wait_for()
    assert STRATEGY in page.get_by_test_id("box-signal").first.inner_text()


def test_a_strategy_that_is_not_there_is_named(page, studio):
    page.goto(f"{studio}#/signals/nobody/{VENUE}")
    page.get_by_test_id("signals-nothing").get_by_text("There is no strategy").wait_for()
    assert f"nobody on {VENUE}" in page.get_by_test_id("signals-nothing").inner_text()
    # It lists those that are there.
    page.get_by_test_id("strategy-row").get_by_role("link", name=STRATEGY).click()
    page.get_by_test_id("rule-strip").first.wait_for()


def test_newer_evaluations_are_read_over_rest(simulated):
    path = f"/v1/strategies/{STRATEGY}/evaluations"
    simulated.wait_until(
        lambda: simulated.get(path)[1].get("evaluations"), "the strategy has seen a bar"
    )
    status, all_of_them = simulated.get(path)
    assert status == 200
    assert [rule["rule"] for rule in all_of_them["rules"]] == ["cross", "flow"]
    newest = all_of_them["evaluations"][-1]["open_time_ns"]
    newer = simulated.get(f"{path}?after_time_ns={newest}")[1].get("evaluations", [])
    assert all(int(one["open_time_ns"]) > int(newest) for one in newer)
    assert len(newer) < len(all_of_them["evaluations"])
    status, error = simulated.get("/v1/strategies/nobody/evaluations")
    assert (status, error["code"]) == (404, 5)
