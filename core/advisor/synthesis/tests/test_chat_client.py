"""A model is asked, and each fault of its server is named."""

import asyncio
import json

import pytest
from aiohttp import web

from core.advisor.synthesis.chat_client import BODY_BYTES_MAX, ChatClient, ModelEndpoint
from core.advisor.synthesis.completion import ChatFailed, ModelFault
from core.advisor.synthesis.prompt import SCHEMA, ModelPrompt
from core.advisor.synthesis.tests.chat_server import chat_server, completion

PROMPT = ModelPrompt("the rules", "the facts")
KEY = "sk-very-secret"
PATIENT_S, SHORT_S = 60.0, 0.3
IN_FLIGHT = 50


@pytest.fixture
async def server():
    async with chat_server() as running:
        yield running


@pytest.fixture
async def ask(server, tmp_path):
    """Asks with a key; ``seconds``: the longest wait."""
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    clients = []

    async def asking(seconds=PATIENT_S, url="", prompt=PROMPT, key_file=str(key)):
        endpoint = ModelEndpoint(url or server.url, "model-1", key_file)
        clients.append(ChatClient(endpoint))
        return await clients[-1].ask(prompt, seconds)

    yield asking
    for client in clients:
        await client.close()


async def test_a_model_is_asked_for_an_answer_of_the_schema(server, ask):
    server.behave = server.says('{"bias": "neutral"}')
    found = await ask()
    assert found == (b'{"bias": "neutral"}', "stand-in", 900, 70)
    (request,) = server.requests
    assert request["model"] == "model-1"
    assert [one["content"] for one in request["messages"]] == list(PROMPT)
    assert request["response_format"]["json_schema"]["schema"] == SCHEMA
    assert request["temperature"] == 0
    assert "tools" not in request
    assert server.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    ("behaviour", "fault", "detail"),
    [
        (lambda server: server.never, ModelFault.TIMED_OUT, "no answer in 0.3 s"),
        (lambda server: server.drips, ModelFault.TIMED_OUT, "no answer in 0.3 s"),
        (lambda server: server.disconnects, ModelFault.FAILED, "Disconnected"),
        (lambda server: server.sends("broken", 500), ModelFault.FAILED, "status 500: broken"),
        (lambda server: server.sends("moved", 302), ModelFault.FAILED, "status 302"),
        (lambda server: server.sends("no such model", 404), ModelFault.FAILED, "no such model"),
        (lambda server: server.sends(f"bad key {KEY}", 401), ModelFault.FAILED, "bad key …"),
        (lambda server: server.says('{"bias": ', "length"), ModelFault.TRUNCATED, "most tokens"),
        (lambda server: server.says(None, refusal="I cannot"), ModelFault.REFUSED, "I cannot"),
        (lambda server: server.says("", "content_filter"), ModelFault.REFUSED, "filtered"),
        (lambda server: server.says(None, refusal=f"not {KEY}"), ModelFault.REFUSED, "not …"),
        (lambda server: server.says(f"the key is {KEY}"), ModelFault.INVALID, "repeats the key"),
        (
            lambda server: server.sends({**completion("{}"), "model": KEY}),
            ModelFault.INVALID,
            "repeats the key",
        ),
        (
            lambda server: server.sends({**completion("{}"), "usage": {"prompt_tokens": -1}}),
            ModelFault.INVALID,
            "prompt_tokens",
        ),
        (lambda server: server.says(None), ModelFault.INVALID, "empty"),
        (lambda server: server.says(None, tool_calls=[{"id": "1"}]), ModelFault.INVALID, "a tool"),
        (lambda server: server.sends("<html>"), ModelFault.INVALID, "not a chat completion"),
        (lambda server: server.sends('{"choices": [{"mess'), ModelFault.INVALID, "truncated"),
        (lambda server: server.sends({"choices": []}), ModelFault.INVALID, "0 choices"),
        (lambda server: server.sends("[" * 5_000), ModelFault.INVALID, "not a chat completion"),
        (
            lambda server: server.says("x" * 1_000_000),
            ModelFault.INVALID,
            f"{BODY_BYTES_MAX} bytes",
        ),
    ],
)
async def test_a_fault_of_the_server_is_named(server, ask, behaviour, fault, detail):
    server.behave = behaviour(server)
    with pytest.raises(ChatFailed) as raised:
        await ask(SHORT_S if fault is ModelFault.TIMED_OUT else PATIENT_S)
    assert raised.value.fault is fault
    assert detail in str(raised.value)
    assert KEY not in str(raised.value)
    assert len(str(raised.value)) <= 200


async def test_a_server_that_is_not_there_and_a_key_that_is_not_there(server, ask, tmp_path):
    for changes in ({"url": "http://127.0.0.1:1/v1"}, {"key_file": str(tmp_path / "missing")}):
        with pytest.raises(ChatFailed) as raised:
            await ask(**changes)
        assert raised.value.fault is ModelFault.FAILED
    assert server.requests == []


async def test_many_requests_are_in_flight_and_none_waits_for_another(server):
    arrived: list[web.Request] = []
    all_arrived = asyncio.Event()

    async def behave(request: web.Request) -> web.StreamResponse:
        arrived.append(request)
        if len(arrived) == IN_FLIGHT:
            all_arrived.set()
        await all_arrived.wait()
        facts = json.loads(await request.text())["messages"][1]["content"]
        if facts == "0":
            await server.released.wait()
        return web.json_response(completion(facts))

    server.behave = behave
    client = ChatClient(ModelEndpoint(server.url, "model-1"))
    prompts = [ModelPrompt("", str(n)) for n in range(IN_FLIGHT)]
    asked = [asyncio.create_task(client.ask(one, PATIENT_S)) for one in prompts]
    answers = await asyncio.wait_for(asyncio.gather(*asked[1:]), PATIENT_S)
    assert [one.text for one in answers] == [str(n).encode() for n in range(1, IN_FLIGHT)]
    assert not asked[0].done()
    server.released.set()
    assert (await asked[0]).text == b"0"
    await client.close()
