"""The door for models through the real Envoy, with the official client and without one."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import httpx2
import pytest
from jsonschema import Draft202012Validator
from mcp import MCPError
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from gateway.tests.conftest import free_ports
from gateway.tests.fakes import process
from gateway.tests.starting import start_process
from kit.base.access.roles import Role
from tests.support.waiting import WAIT_SECONDS_MAX

OK, UNAUTHORIZED, FORBIDDEN, NOT_ALLOWED, TOO_LARGE = 200, 401, 403, 405, 413
INVALID_PARAMS, PARSE_ERROR, METHOD_NOT_FOUND = -32602, -32700, -32601
ERAS = ("auto", "legacy")
"""Without a handshake, as since 2026, and with one."""
VENUE = "mcp-venue"
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def served(door):
    """The door for models, as it is in use. Returns the port of its own HTTP server."""
    port, http_port = free_ports(2)
    variables = {
        "VENUEMESH_MCP_PORT": str(port),
        "VENUEMESH_MCP_HTTP_PORT": str(http_port),
        "VENUEMESH_MCP_GATEWAY": door.url,
        "VENUEMESH_ACCESS_REQUIRED": "true",
    }
    with start_process(door, "mcp", "mcp", port, variables, ("ops.cli", "run", "mcp")):
        yield http_port


@pytest.fixture
def url(door, served):
    return f"{door.url}/mcp"


@asynccontextmanager
async def model(url, token, era="auto", query=""):
    """A client of the SDK."""
    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=WAIT_SECONDS_MAX) as http:
        transport = streamable_http_client(url + query, http_client=http)
        async with Client(transport, mode=era) as client:
            yield client


@pytest.fixture
async def venue(directory, door, url):
    """A venue that can be called, and the door for models that answers."""
    shown = {"authorization": f"Bearer {door.token(Role.VIEWER)}"}
    async with (
        process(directory, VENUE) as opened,
        aiohttp.ClientSession(headers=shown) as one,
    ):
        path = f"{door.url}/v1/venues/{VENUE}/instruments/A/book"
        await until_ok(lambda: one.get(path))
        await until_ok(lambda: one.post(url, json=message("ping"), headers=HEADERS))
        yield opened


async def until_ok(call):
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            async with call() as response:
                if response.status == OK:
                    return
            await asyncio.sleep(0.02)


def message(method, **params):
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def post(url, body, token="", **headers):
    """Without the SDK. Returns the status and the answer."""
    shown = {"authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(headers=HEADERS | shown | headers) as client,
        client.post(url, data=body) as response,
    ):
        return response.status, json.loads(await response.text() or "null")


@pytest.mark.parametrize("era", ERAS)
async def test_a_model_lists_and_calls_tools_with_its_own_token(venue, door, url, era):
    async with model(url, door.token(Role.VIEWER), era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        arguments = {"venue": VENUE, "symbol": "BTC/USDT"}
        result = await client.call_tool("market_get_order_book", arguments)
    assert 20 <= len(tools) <= 25
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    answer = result.structured_content["answer"]
    assert (answer["symbol"], answer["last_sequence"]) == ("BTC/USDT", str(2**53 + 1))
    assert json.loads(result.content[0].text) == result.structured_content
    schema = tools["market_get_order_book"].output_schema
    Draft202012Validator(schema).validate(result.structured_content)


async def test_the_call_of_the_mesh_has_the_id_of_the_models_call(venue, door, url):
    arguments = {"venue": VENUE, "symbol": "A"}
    call = message("tools/call", name="market_get_order_book", arguments=arguments)
    token = door.token(Role.VIEWER)
    status, _ = await post(url, json.dumps(call), token, **{"x-request-id": "mcp-77"})
    assert (status, venue.venue.metadata["x-request-id"]) == (OK, "mcp-77")
    assert venue.venue.metadata["authorization"] == f"Bearer {token}"
    # Every process then treats the caller as a model, whatever the token is.
    assert venue.venue.metadata["x-venuemesh-model"] == "1"


async def test_more_tools_are_found_and_called(venue, door, url):
    async with model(url, door.token(Role.VIEWER)) as client:
        await client.list_tools()
        found = await client.call_tool("find_tools", {"query": "verify book"})
        names = [tool["name"] for tool in found.structured_content["tools"]]
        assert names == ["market_verify_book"]
        call = {"name": names[0], "arguments": {"venue": VENUE, "symbol": "A"}}
        result = await client.call_tool("call_tool", call)
    assert result.structured_content["answer"]["verdict"] == "BOOK_VERDICT_AGREES"


async def test_a_client_may_list_other_toolsets(venue, door, url):
    async def names(token, toolsets):
        async with model(url, token, query=f"?toolsets={toolsets}") as client:
            return {tool.name for tool in (await client.list_tools()).tools}

    viewer, admin = door.token(Role.VIEWER), door.token(Role.ADMIN)
    ledger = await names(viewer, "ledger,risk")
    assert {name.partition("_")[0] for name in ledger} == {"ledger", "risk", "find", "call"}
    # Only with the role that it needs.
    assert await names(admin, "all") - await names(viewer, "all") == {"mesh_list_tokens"}


async def test_a_failed_call_has_the_reason_and_the_next_step(venue, door, url):
    async with model(url, door.token(Role.VIEWER)) as client:
        result = await client.call_tool("market_get_order_book", {"venue": "none", "symbol": "A"})
    assert result.is_error
    assert result.content[0].text.startswith("UNKNOWN_SERVICE: ")
    assert "mesh_list_services" in result.content[0].text


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("nothing", {}, "there is no tool 'nothing'"),
        ("market_get_order_book", {"venue": VENUE, "symbol": "A", "deep": 1}, "no argument 'deep'"),
        ("market_get_order_book", {"venue": 1, "symbol": "A"}, "1 is not of type 'string'"),
        ("find_tools", {"toolset": "none"}, "'none' is not one of"),
        ("call_tool", {"name": "call_tool"}, "there is no tool 'call_tool'"),
        ("mesh_list_tokens", {}, "needs the role admin"),
    ],
)
async def test_a_wrong_call_gets_the_error_of_the_protocol(
    venue, door, url, era, name, arguments, reason
):
    async with model(url, door.token(Role.VIEWER), era) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool(name, arguments)
    assert caught.value.error.code == INVALID_PARAMS
    assert reason in caught.value.error.message


@pytest.mark.parametrize("era", ERAS)
async def test_ten_megabytes_of_arguments_get_the_error_of_the_protocol(venue, door, url, era):
    async with model(url, door.token(Role.VIEWER), era) as client:
        with pytest.raises(MCPError, match="more than 1048576 bytes"):
            await client.call_tool("find_tools", {"query": "x" * 10_000_000})
        assert (await client.call_tool("find_tools", {"query": "why"})).structured_content["tools"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", PARSE_ERROR),
        (b"[" * 100_000, PARSE_ERROR),
        (json.dumps(message("nothing/here")).encode(), METHOD_NOT_FOUND),
        (json.dumps(message("tools/call")).encode(), INVALID_PARAMS),
        (json.dumps(message("tools/call", name="x", arguments=[1])).encode(), INVALID_PARAMS),
    ],
)
async def test_what_is_no_request_gets_the_error_of_the_protocol(venue, door, url, body, code):
    _, answer = await post(url, body, door.token(Role.VIEWER))
    assert answer["error"]["code"] == code


@pytest.mark.parametrize("era", ERAS)
async def test_documents_and_tasks_are_there(venue, door, url, era):
    async with model(url, door.token(Role.VIEWER), era) as client:
        uri = "venuemesh://runbooks/gaps-frequent"
        assert uri in {one.uri for one in (await client.list_resources()).resources}
        (content,) = (await client.read_resource(uri)).contents
        assert content.text.startswith("# ")
        assert len((await client.list_prompts()).prompts) == 3
        prompt = await client.get_prompt("investigate_gap", {"venue": "kraken"})
        assert "kraken" in prompt.messages[0].content.text
        with pytest.raises(MCPError, match="there is no resource"):
            await client.read_resource("venuemesh://runbooks/../../etc/passwd")
        with pytest.raises(MCPError, match="there is no prompt"):
            await client.get_prompt("nothing")


async def test_there_is_no_stream_to_open_and_no_session_to_end(venue, door, url):
    headers = HEADERS | {"authorization": f"Bearer {door.token(Role.VIEWER)}"}
    async with aiohttp.ClientSession(headers=headers) as client:
        for method in ("GET", "DELETE"):
            async with client.request(method, url) as response:
                assert response.status == NOT_ALLOWED
        async with client.post(url, json=message("ping")) as response:
            assert "mcp-session-id" not in response.headers


async def test_who_goes_round_the_gateway_is_asked_for_a_token_too(venue, served):
    direct = f"http://127.0.0.1:{served}/mcp"
    body = json.dumps(message("tools/list"))
    status, answer = await post(direct, body)
    assert (status, answer["reason"]) == (UNAUTHORIZED, "TOKEN_MISSING")
    status, answer = await post(direct, body, "no.real.token")
    assert (status, answer["reason"]) == (UNAUTHORIZED, "TOKEN_INVALID")
