"""The examples in TypeScript run in a real browser too, as a page of another origin."""

import re
from urllib.parse import urlencode

import pytest

from tests.integration.clients.printed import (
    ENDLESS,
    GAP_AFTER_RESTART,
    LAST_LINE,
    PRINTED,
    TRADE,
    check_printed,
)
from tests.integration.clients.programs import Shown
from tests.integration.mesh import SYMBOL, VENUE

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("typescript"),
]

PAGE_WAIT_MS = 60_000


@pytest.fixture
def page(browser):
    opened = browser.new_page()
    opened.set_default_timeout(PAGE_WAIT_MS)
    yield opened
    opened.close()


def show(page, web_page: str, example: str, shown: Shown) -> None:
    """Open the page of an example."""
    query = {"gateway": shown.gateway, "example": example, "venue": VENUE, "symbol": SYMBOL}
    page.goto(f"{web_page}/?{urlencode(query)}#{shown.token}")


def wait_for_line(page, pattern: str) -> list[str]:
    """All lines, once one of them is as wanted."""
    found = re.compile(f"^(?:{pattern}|failed: .*)$")
    page.locator("div", has_text=found).first.wait_for()
    return page.locator("div").all_inner_texts()


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_prints_the_same_in_a_browser(name, page, web_page, shown):
    show(page, web_page, name, shown)
    if name in ENDLESS:
        page.locator("div").nth(len(PRINTED[name]) - 1).wait_for()
        lines = page.locator("div").all_inner_texts()
    else:
        lines = wait_for_line(page, LAST_LINE.get(name, PRINTED[name][-1]))
    check_printed(name, lines)


def test_a_page_says_that_its_token_is_invalid(page, web_page, shown):
    show(page, web_page, "book", Shown(shown.gateway, "not-a-token"))
    (line,) = wait_for_line(page, "failed: .*")
    assert "unauthenticated" in line


def test_a_page_sends_no_token_in_plaintext_to_another_machine(page, web_page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    show(page, web_page, "book", Shown("mesh.example:8081", "secret"))
    (line,) = wait_for_line(page, "failed: .*")
    assert "readable on its way" in line
    assert not [url for url in asked if "mesh.example:8081/" in url]


def test_a_restarted_venue_is_a_gap_in_a_browser(page, web_page, shown, mesh):
    show(page, web_page, "trades", shown)
    wait_for_line(page, TRADE)
    mesh.kill(VENUE)
    wait_for_line(page, GAP_AFTER_RESTART)
    lines = page.locator("div").all_inner_texts()
    before = sum(line.startswith("trade") for line in lines)
    page.locator("div", has_text=re.compile(f"^{TRADE}$")).nth(before).wait_for()
    assert not [line for line in lines if line.startswith("failed")]
