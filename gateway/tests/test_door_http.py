"""Paths that a process serves over HTTP itself, through the real Envoy."""

import asyncio
from contextlib import asynccontextmanager
from io import BytesIO

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.http_paths import HTTP_PATHS
from gateway.tests.fakes import process
from gateway.tests.test_door_rest import FOREIGN_ORIGIN, KNOWN_ORIGIN
from kit.base.access.roles import Role
from tests.support.waiting import WAIT_SECONDS_MAX

OK, UNAUTHORIZED, FORBIDDEN, TOO_LARGE, UNAVAILABLE = 200, 401, 403, 413, 503
INVALID_REQUEST = -32600


@asynccontextmanager
async def served(directory, path):
    """A process of this kind, whose HTTP server repeats what it is sent."""

    async def answer(request):
        shown = request.headers["authorization"]
        return web.json_response({"size": len(await request.read()), "shown": shown})

    application = web.Application(client_max_size=2 * path.body_bytes_max)
    application.router.add_post(path.path, answer)
    async with TestServer(application) as server:
        address = f"127.0.0.1:{server.port}"
        async with process(directory, path.kind, path.kind, http_address=address):
            yield


async def post(client, path, body=b"", **options):
    async with client.post(path.path, data=BytesIO(body), **options) as response:
        return response.status, await response.json()


async def until_served(client, path):
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while (await post(client, path))[0] != OK:
            await asyncio.sleep(0.01)


@pytest.fixture(
    params=[path for path in HTTP_PATHS if not path.is_websocket], ids=lambda path: path.kind
)
def path(request):
    return request.param


async def test_a_request_reaches_the_process_with_the_callers_token(door, directory, path):
    headers = {"authorization": f"Bearer {door.token(Role.VIEWER)}"}
    async with (
        served(directory, path),
        aiohttp.ClientSession(door.url, headers=headers) as viewer,
    ):
        await until_served(viewer, path)
        largest = b"x" * path.body_bytes_max
        answer = {"size": path.body_bytes_max, "shown": headers["authorization"]}
        assert await post(viewer, path, largest) == (OK, answer)


async def test_a_request_that_is_too_large_gets_the_reason(directory, browser, path):
    async with served(directory, path):
        await until_served(browser, path)
        status, answer = await post(browser, path, b"x" * (path.body_bytes_max + 1))
    assert (status, answer["error"]["code"]) == (TOO_LARGE, INVALID_REQUEST)
    assert str(path.body_bytes_max) in answer["error"]["message"]


async def test_a_request_needs_a_token(door, directory, browser, path):
    async with served(directory, path), aiohttp.ClientSession(door.url) as nobody:
        await until_served(browser, path)
        status, answer = await post(nobody, path)
    assert (status, answer["details"][0]["reason"]) == (UNAUTHORIZED, "TOKEN_MISSING")


async def test_only_known_pages_may_call(directory, browser, path):
    async with served(directory, path):
        await until_served(browser, path)
        assert (await post(browser, path, headers=KNOWN_ORIGIN))[0] == OK
        assert (await post(browser, path, headers=FOREIGN_ORIGIN))[0] == FORBIDDEN
        hidden = {"Sec-Fetch-Site": "cross-site"}
        assert (await post(browser, path, headers=hidden))[0] == FORBIDDEN


async def test_a_page_says_that_it_means_a_call_by_its_session(door, directory, browser, path):
    cookies = {door.session_cookie: door.token(Role.VIEWER)}
    async with (
        served(directory, path),
        aiohttp.ClientSession(door.url, cookies=cookies) as page,
    ):
        await until_served(browser, path)
        status, answer = await post(page, path)
    assert (status, answer["details"][0]["reason"]) == (FORBIDDEN, "FOREIGN_PAGE")


async def test_a_path_without_a_process_is_unavailable(browser, path):
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while (found := await post(browser, path))[0] == OK:
            await asyncio.sleep(0.01)
    status, answer = found
    assert (status, answer["details"][0]["reason"]) == (UNAVAILABLE, "SERVICE_UNAVAILABLE")
