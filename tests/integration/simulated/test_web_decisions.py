"""Studio's page Decisions in a real headless browser: what the advisor of a mesh decides."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.advisor import calibration_store
from core.advisor.calibration_handler import learn
from core.advisor.tests.test_calibration_handler import outcomes
from kit.base.database import Database
from tests.integration.web import studio_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

STRATEGY, LEARNED = "ema_cross", "learned"
DECISION_SECONDS_MAX = 150.0
DECISIONS = f"/v1/advisor/decisions?strategy={STRATEGY}"


@pytest.fixture(scope="module")
def studio(simulated):
    """The address of Studio."""
    return studio_of(simulated)


@pytest.fixture(scope="module")
def decision(simulated):
    """The advisor has decided on a signal of the example: event id in hexadecimal digits."""
    simulated.wait_until(
        lambda: simulated.get(DECISIONS)[1].get("decisions"), "a decision", DECISION_SECONDS_MAX
    )
    oldest = simulated.get(DECISIONS)[1]["decisions"][-1]
    return base64.b64decode(oldest["event_id"]).hex()


@pytest.fixture(scope="module")
def learned(simulated):
    """Maps are stored, as if a strategy had 240 outcomes."""

    async def store() -> None:
        database = Database(simulated.database_url())
        async with database.transaction() as connection:
            rows = learn({}, list(enumerate(outcomes(240, strategy=LEARNED), 1))).rows
            await calibration_store.save(connection, rows)
        await database.close()

    # The browser of a test has a loop in its thread.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, store()).result()


def test_a_decision_is_explained_and_made_again(page, studio, decision, tmp_path):
    page.goto(f"{studio}#/decisions")
    page.get_by_test_id("decision-row").filter(has_text=STRATEGY).first.wait_for()
    page.goto(f"{studio}#/decisions/{STRATEGY}/{decision}")
    explanation = page.get_by_test_id("explanation")
    explanation.get_by_text(f"Signal of {STRATEGY}").wait_for()
    assert "1. context" in explanation.inner_text()
    assert {"signal_expiry", "quote_age"} <= {
        row.locator("td").first.inner_text()
        for row in explanation.get_by_test_id("check-row").all()
    }
    page.get_by_role("button", name="Decide again").click()
    page.get_by_test_id("repeated").get_by_text("every byte is equal").wait_for()
    page.screenshot(path=tmp_path / "studio.png")


def test_the_list_shows_the_decisions_of_a_strategy(page, studio, decision, learned):
    page.goto(f"{studio}#/decisions")
    page.get_by_test_id("decision-row").first.get_by_role("link", name=":").click()
    page.get_by_test_id("explanation").wait_for()
    page.get_by_test_id("decisions-strategy").select_option(LEARNED)
    page.get_by_text("Nothing was decided yet.").wait_for()
    assert page.url.endswith(f"#/decisions/{LEARNED}")
    page.get_by_test_id("decisions-strategy").select_option(STRATEGY)
    rows = page.get_by_test_id("decision-row")
    rows.first.wait_for()
    assert {row.locator("th").inner_text() for row in rows.all()} == {STRATEGY}
    rows.first.get_by_test_id("why-link").click()
    page.get_by_test_id("box-decision").first.wait_for()


def test_reliability_is_shown_with_its_noise(page, studio, learned):
    page.goto(f"{studio}#/decisions/{LEARNED}")
    rows = page.get_by_test_id("calibration-row")
    rows.nth(3).wait_for()
    assert [row.locator("td").first.inner_text() for row in rows.all()] == [
        "all regimes",
        "no regime",
        "calm",
        "wild",
    ]
    bins = page.get_by_test_id("reliability-bin")
    bins.first.wait_for()
    assert bins.first.locator("circle").is_visible()
    rows.filter(has_text="calm").get_by_role("button").click()
    page.get_by_role("img", name="Reliability, calm").wait_for()
    assert "is noise" in page.locator("figcaption").inner_text()
