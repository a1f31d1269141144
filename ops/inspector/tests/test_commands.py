"""The command ``inspector``, with a real inspector."""

import asyncio
import json

import pytest
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc

from core.inspector.tests.process import inspector_process
from kit.base import rpc
from kit.base.migration import migrate
from ops import cli
from tests.support.waiting import eventually


@pytest.fixture
async def where(postgres_url, valkey_url, tmp_path):
    """The options that name the inspector, which acts."""
    await migrate(postgres_url)
    process = inspector_process(postgres_url, valkey_url, tmp_path)
    process.start()
    async with rpc.channel(process.address) as channel:
        stub = inspector_pb2_grpc.InspectorStub(channel)

        async def acts():
            request = inspector_pb2.GetStateRequest()
            return (await stub.GetState(request, wait_for_ready=True, timeout=30)).is_acting

        await eventually(acts)
    yield ("--gateway", f"http://{process.address}", "--token", "t")
    process.kill()


async def command(*words: str) -> int:
    """Beside this event loop: the command brings its own."""
    return await asyncio.to_thread(cli.main, ["inspector", *words])


async def modes(where, capsys):
    assert await command("state", "--json", *where) == 0
    return {one["scope"]: one["mode"] for one in json.loads(capsys.readouterr().out)["modes"]}


async def test_modes_are_set_with_a_reason_and_shown(where, capsys):
    assert await modes(where, capsys) == {"mesh": "TRADING_MODE_ACTIVE"}
    assert await command("mode", "mesh", "halted", "--reason", "we wait", *where) == 0
    assert "we wait" in capsys.readouterr().out
    words = ("mode", "strategy:a", "standing-down", "--reason", "too many losses", "--json")
    assert await command(*words, *where) == 0
    assert json.loads(capsys.readouterr().out)["mode"]["caller"] == "nobody"
    assert await modes(where, capsys) == {
        "mesh": "TRADING_MODE_HALTED",
        "strategy:a": "TRADING_MODE_STANDING_DOWN",
    }
    assert await command("state", *where) == 0
    assert "too many losses" in capsys.readouterr().out
    assert await command("mode", "else", "halted", "--reason", "why", *where) != 0
