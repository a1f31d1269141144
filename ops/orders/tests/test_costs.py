"""The command ``order costs``, with a real History."""

import asyncio
import json

import pytest
from venuemesh.history.v1 import history_pb2_grpc, order_costs_pb2

from core.history.tests.process import history_process
from core.history.tests.recorded import VENUE
from core.history.tests.traded import ACCOUNT, FILLED, STRATEGY, Traded
from kit.base import rpc
from kit.base.database import Database
from ops import cli

ORDERS = 3


@pytest.fixture
async def where(postgres_url):
    """The options that name the process, which knows of three orders."""
    database = Database(postgres_url)
    traded = Traded(database)
    await traded.terms()
    await traded.quotes((0, "100"))
    await traded.decide("1", 0.5)
    for number in range(ORDERS):
        order = traded.order(str(number), number)
        await traded.fill(order, number + 0.5, "101", "10")
        await traded.state(order, number + 0.6, state=FILLED, filled_size="10")
    await database.close()
    process = history_process(postgres_url)
    process.start()
    async with rpc.channel(process.address) as channel:
        stub = history_pb2_grpc.HistoryStub(channel)
        request = order_costs_pb2.ListOrderCostsRequest()
        await stub.ListOrderCosts(request, wait_for_ready=True, timeout=30)
    yield ("--gateway", f"http://{process.address}", "--token", "t")
    process.kill()


async def command(*words: str) -> int:
    """Beside this event loop: the command brings its own."""
    return await asyncio.to_thread(cli.main, ["order", "costs", *words])


async def test_costs_are_listed_and_added_up(where, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")

    async def answer(*words):
        assert await command(*words, "--json", *where) == 0
        return json.loads(capsys.readouterr().out)

    listed = (await answer())["orders"]
    assert [one["slippage_bps"]["value"] for one in listed] == ["100"] * ORDERS
    assert {one["expected_fee"]["unknown_reason"] for one in listed} == {
        "UNKNOWN_REASON_NO_FEE_SCHEDULE"
    }
    assert len((await answer("--count", "2"))["orders"]) == 2
    assert len((await answer("--venue", VENUE, "--account", ACCOUNT))["orders"]) == ORDERS
    assert len((await answer("--strategy", STRATEGY))["orders"]) == 1
    assert (await answer("--to", "2020-01-01"))["orders"] == []
    (group,) = (await answer("--by"))["groups"]
    assert (group["orders"], group["slippage_bps"]["value"]) == (ORDERS, "100")
    groups = (await answer("--by", "strategy", "hour"))["groups"]
    assert [(one["strategy"], one["hour"], one["orders"]) for one in groups] == [
        ("", 6, 2),
        (STRATEGY, 6, 1),
    ]

    assert await command(*where) == 0
    shown = capsys.readouterr().out
    assert "100.00" in shown
    assert "not known: no decision, no fee schedule" in shown
    assert "not yet" not in shown
    assert await command("--by", "order-type", *where) == 0
    assert "100.00 (3)" in capsys.readouterr().out
