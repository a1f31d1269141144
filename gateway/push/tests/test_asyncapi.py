"""The AsyncAPI document: valid, and true of the messages that a client gets and sends.

``asyncapi-3.0.0.json.gz`` is the JSON Schema of AsyncAPI 3.0.0 from the package @asyncapi/specs
(Apache-2.0).
"""

import gzip
import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, ValidationError

from gateway.push import asyncapi
from gateway.push.channels import CHANNELS
from gateway.push.tests.conftest import next_of, quote, subscribe
from gateway.push.tests.test_server import NEWEST, QUOTES

SPECIFICATION = Path(__file__).parent / "asyncapi-3.0.0.json.gz"
DOCUMENT = asyncapi.document()


def check(message):
    """Compare a message with its payload in the document."""
    payload = DOCUMENT["components"]["messages"][message["type"]]["payload"]
    schema = payload | {"components": DOCUMENT["components"]}
    Draft7Validator(schema).validate(message)


def test_the_document_is_one_of_asyncapi_3():
    schema = json.loads(gzip.decompress(SPECIFICATION.read_bytes()))
    Draft7Validator(schema).validate(DOCUMENT)
    with pytest.raises(ValidationError):
        Draft7Validator(schema).validate(DOCUMENT | {"channels": {"ws": {"address": 1}}})


def test_each_reference_leads_somewhere():
    def references(part):
        if isinstance(part, dict):
            yield from [part["$ref"]] if "$ref" in part else []
            part = list(part.values())
        for value in part if isinstance(part, list) else ():
            yield from references(value)

    found = set(references(DOCUMENT))
    for reference in found:
        place = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
    assert f"{asyncapi.SCHEMAS}Subscription" in found


async def test_messages_are_as_the_document_says(websockets, connect):
    socket = await connect()
    check(await next_of(socket, "welcome"))
    request = {"type": "subscribe", "subscriptions": [QUOTES, NEWEST]}
    check(request)
    topics = await subscribe(socket, QUOTES, NEWEST)
    check(await next_of(socket, "snapshot"))
    websockets.feeds.opened[0].put(quote(1))
    check(await next_of(socket, "data"))
    check({"type": "unsubscribe", "topics": topics})
    await socket.send_json({"type": "unsubscribe", "topics": topics})
    check(await next_of(socket, "unsubscribed"))
    await socket.send_json({"type": "subscribe", "subscriptions": [{"channel": "none"}]})
    check(await next_of(socket, "error"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "subscribe"},
        {"type": "subscribe", "subscriptions": [{"channel": "none"}]},
        {"type": "subscribe", "subscriptions": [QUOTES | {"deep": 1}]},
        {"type": "data", "topic": "t", "rows": [], "cursor": 1},
    ],
)
def test_other_messages_are_not_of_the_document(wrong):
    with pytest.raises(ValidationError):
        check(wrong)


def test_each_channel_is_described():
    schema = DOCUMENT["components"]["schemas"]["Subscription"]["properties"]["channel"]
    assert schema["enum"] == list(CHANNELS)
    assert "- bars: needs venue, symbol, may have interval; conflated" in schema["description"]
