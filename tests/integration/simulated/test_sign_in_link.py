"""The link that ``up`` prints, opened as a browser without scripts opens it."""

import json
import re
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

import pytest

from tests.integration.mesh import CALL_SECONDS_MAX

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

OFFERED = re.compile(r"^sign in once, until .*: (http://\S+)$", re.MULTILINE)
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)" />')
MEANT = {"x-venuemesh-request": "1"}
NAVIGATES = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}


class Browser:
    """Keeps cookies and follows redirects."""

    def __init__(self, url: str) -> None:
        self._url = url
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def open(self, path: str, form: dict[str, str] | None = None, **headers: str):
        """Status, path in the end and text of a page."""
        own = {"Origin": self._url, "Sec-Fetch-Site": "same-origin"} if form else {}
        body = urlencode(form).encode() if form else None
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"{self._url}{path}", body, own | shown)
        try:
            with self._opener.open(request, timeout=CALL_SECONDS_MAX) as answer:
                return answer.status, self._path(answer), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, self._path(error), error.read().decode()

    def _path(self, answer) -> str:
        return answer.url.removeprefix(self._url)


def test_the_link_that_up_prints_signs_a_browser_in_once(simulated):
    simulated.wait_until(lambda: OFFERED.search(simulated.output.read_text()), "a link")
    # The file has the output of earlier runs too.
    link = OFFERED.findall(simulated.output.read_text())[-1]
    url = f"http://{simulated.gateway}"
    path = link.removeprefix(url)
    assert path.startswith("/sign-in?code=")
    browser, second = Browser(url), Browser(url)
    # Without a session, Studio leads to the page for signing in.
    _, place, _ = browser.open("/", **NAVIGATES)
    assert place == "/sign-in?next=/"
    status, _, page = browser.open(path, **NAVIGATES)
    assert status == 200
    form = dict(HIDDEN.findall(page.partition("</form>")[0]))
    assert form["code"]
    status, place, page = browser.open("/sign-in", form)
    # Of Studio it says whether it is built; it is Studio in either case.
    assert place == "/"
    assert "Studio" in page or '<div id="root">' in page
    status, _, text = browser.open("/v1/caller", **MEANT)
    assert status == 200, text
    assert "ROLE_ADMIN" in json.loads(text)["token"]["roles"]
    status, _, page = second.open("/sign-in", form)
    assert status == 401
    assert "was used before" in page
    assert second.open("/v1/caller", **MEANT)[0] == 401
