"""What the simulated Examplex says to a client: compare it with the real one."""

import json

import aiohttp
import pytest

from kit.conformance.simulated_exchange import exchange
from ops.templates.examplex.catalog import VENUE_ID
from ops.templates.examplex.simulator import examplex

SUBSCRIBE = {"op": "subscribe", "id": 1, "channels": ["trades", "book"], "symbols": ["BTC-USD"]}


@pytest.fixture
async def websocket():
    async with (
        exchange(VENUE_ID, examplex) as simulated,
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{simulated.url}/{VENUE_ID}/feed") as websocket,
    ):
        yield websocket


async def test_a_book_begins_whole_and_its_updates_join(websocket) -> None:
    await websocket.send_json(SUBSCRIBE)
    assert await websocket.receive_json(timeout=5) == {"answer": "subscribed", "id": 1}
    book = await websocket.receive_json(timeout=5)
    assert (book["channel"], book["type"], book["symbol"]) == ("book", "snapshot", "BTC-USD")
    last, updates = book["sequence"], 0
    while updates < 5:
        frame = await websocket.receive_json(timeout=5)
        if frame["channel"] == "book":
            assert frame["previous"] == last
            last, updates = frame["sequence"], updates + 1


async def test_trades_count_by_one(websocket) -> None:
    await websocket.send_json({**SUBSCRIBE, "channels": ["trades"]})
    await websocket.receive_json(timeout=5)
    ids = [(await websocket.receive_json(timeout=5))["id"] for _ in range(10)]
    assert ids == list(range(ids[0], ids[0] + 10))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"op": "ping", "id": 3}, "pong"),
        ({"op": "unsubscribe", "id": 3}, "unsubscribed"),
        ({"op": "dance", "id": 3}, "refused"),
    ],
)
async def test_every_question_is_answered(websocket, said, answer: str) -> None:
    await websocket.send_json(said)
    found = await websocket.receive_json(timeout=5)
    assert (found["answer"], found["id"]) == (answer, 3)


async def test_an_unknown_symbol_is_refused_by_name(websocket) -> None:
    await websocket.send_json({**SUBSCRIBE, "symbols": ["NOPE-USD"]})
    await websocket.receive_json(timeout=5)
    refusal = await websocket.receive_json(timeout=5)
    assert (refusal["answer"], refusal["symbols"]) == ("refused", ["NOPE-USD"])


async def test_what_is_no_json_is_refused(websocket) -> None:
    await websocket.send_str("hello")
    assert json.loads(await websocket.receive_str(timeout=5))["answer"] == "refused"
