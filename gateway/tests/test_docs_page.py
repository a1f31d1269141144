"""The page /docs in a real browser: it calls the API, and says that its calls are meant."""

import asyncio
import shutil
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway import service_contracts
from gateway.web import WebPages
from tests.support.waiting import WAIT_SECONDS_MAX

STUDIO = Path(__file__).resolve().parents[2] / "studio" / "dist"
TOKEN = "a.b.c"
LINE = b'{"services":[]}\n'


class Api:
    """The calls that the page makes, in place of those that Envoy would route."""

    def __init__(self):
        self.headers = {}

    @web.middleware
    async def answer(self, request, handler):
        if not request.path.startswith("/v1/"):
            return await handler(request)
        self.headers[request.path] = request.headers
        if request.path == "/v1/services":
            return web.json_response({"services": [], "mesh_id": "here"})
        stream = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await stream.prepare(request)
        await stream.write(LINE * 30)
        # It does not end by itself.
        await asyncio.Event().wait()
        return stream


@pytest.fixture
async def page():
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on the PATH")
    async_api = pytest.importorskip("playwright.async_api")
    async with async_api.async_playwright() as playwright:
        # No sandbox: tests may run as root.
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        opened = await browser.new_page()
        opened.set_default_timeout(WAIT_SECONDS_MAX * 1000)
        yield opened
        await browser.close()


@pytest.mark.skipif(not (STUDIO / "docs.html").is_file(), reason="Studio is not built")
async def test_calls_carry_the_token_and_say_that_they_are_meant(page):
    api = Api()
    application = WebPages(STUDIO, service_contracts.load(), "session").application()
    application.middlewares.append(api.answer)
    async with TestServer(application) as server:
        await page.goto(str(server.make_url("/docs")))
        await page.locator(".btn.authorize").first.click()
        await page.locator("#auth-bearer-value").fill(TOKEN)
        await page.locator(".auth-btn-wrapper .authorize").first.click()
        await page.locator(".btn-done").first.click()
        await page.locator("#operations-tag-Registry").click()
        for method, shown in (("ListServices", '"mesh_id"'), ("Watch", '{"services":[]}')):
            operation = page.locator(f'.opblock[id$="{method}"]')
            await operation.locator(".opblock-summary").click()
            await operation.locator(".execute").click()
            answer = operation.locator(".live-responses-table .response-col_description")
            await answer.get_by_text(shown).first.wait_for()
    assert set(api.headers) == {"/v1/services", "/v1/services:watch"}
    for headers in api.headers.values():
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        assert headers["x-venuemesh-request"] == "1"
