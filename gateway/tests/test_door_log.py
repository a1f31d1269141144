"""What the gateway logs of each call, by the real Envoy."""

import json

import aiohttp
import jwt

from kit.base.access.roles import Role
from tests.support.waiting import until

LIST = "/venuemesh.registry.v1.Registry/ListServices"


async def test_each_call_is_logged_with_its_caller(door):
    token = door.token(Role.TRADER, caller="desk-3")
    async with _browser(door, token) as browser, browser.get("/v1/services") as response:
        request_id = response.headers["x-request-id"]
    async with _browser(door) as browser, browser.get("/v1/services") as response:
        refused_id = response.headers["x-request-id"]
    lines = {}
    await until(lambda: {request_id, refused_id} <= lines.keys() or lines.update(logged(door)))
    known, refused = lines[request_id], lines[refused_id]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (known["caller"], known["roles"], known["token_id"]) == (
        "desk-3",
        ["trader"],
        claims["jti"],
    )
    assert (known["path"], known["rpc"]) == ("/v1/services", LIST)
    assert (known["level"], known["event"], known["status"]) == ("info", "call", 200)
    assert known["sent_bytes"] > 0
    assert (refused["caller"], refused["status"]) == (None, 401)


async def test_a_caller_of_the_platform_is_logged(door):
    token = door.platform.token(groups="viewer", sub="ann")
    async with _browser(door, token) as browser, browser.get("/v1/services") as response:
        request_id = response.headers["x-request-id"]
    lines = {}
    await until(lambda: request_id in lines or lines.update(logged(door)))
    assert (lines[request_id]["caller"], lines[request_id]["status"]) == ("ann", 200)


async def test_the_log_has_no_code_of_a_link(door):
    path = "/sign-in?code=secret-1&next=/"
    async with _browser(door) as browser, browser.get(path) as response:
        request_id = response.headers["x-request-id"]
    lines = {}
    await until(lambda: request_id in lines or lines.update(logged(door)))
    assert lines[request_id]["path"] == "/sign-in"
    assert "secret-1" not in door.log("envoy")


async def test_nobody_forges_the_path_in_the_log(door):
    forged = {"x-envoy-original-path": "/forged"}
    path, token = "/v1/services?kind=venue", door.token(Role.VIEWER)
    async with _browser(door, token) as browser, browser.get(path, headers=forged) as response:
        rest_id = response.headers["x-request-id"]
    async with _browser(door) as browser, browser.get("/docs?a=1", headers=forged) as response:
        page_id = response.headers["x-request-id"]
    lines = {}
    await until(lambda: {rest_id, page_id} <= lines.keys() or lines.update(logged(door)))
    assert lines[rest_id]["path"] == "/v1/services?kind=venue"
    assert lines[page_id]["path"] == "/docs?a=1"


def _browser(door, token: str = "") -> aiohttp.ClientSession:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return aiohttp.ClientSession(door.url, headers=headers)


def logged(door) -> dict[str, dict]:
    """The lines of the gateway about calls, by request id."""
    lines = [json.loads(line) for line in door.log("envoy").splitlines() if line.startswith("{")]
    return {line["request_id"]: line for line in lines}
