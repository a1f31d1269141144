"""``./venuemesh order proposals``, ``confirm`` and ``decline``, with a real inspector."""

import asyncio
import json
import time

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import risk_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector import proposals
from core.inspector.proposals import Proposal
from kit.base.database import Database
from ops import cli
from ops.inspector.tests.test_commands import where

__all__ = ["where"]
"""The options that name the inspector."""


async def command(*words: str) -> int:
    return await asyncio.to_thread(cli.main, ["order", *words])


def proposal(request_id: str, caller: str, amended: str = "") -> Proposal:
    content = orders_pb2.OrderContent(
        venue="binance",
        account="paper",
        symbol="BTCUSDT",
        side=types_pb2.SIDE_BUY,
        type=orders_pb2.ORDER_TYPE_LIMIT,
        size="0.01",
        price="60000",
    )
    asked = risk_pb2.OrderRequested(
        caller=caller,
        request_id=request_id,
        reason="[b]the trend[/b]",
        operation=signed_pb2.OPERATION_AMEND if amended else signed_pb2.OPERATION_PLACE,
        target_client_order_id=amended,
        content=content,
    )
    now_ns = time.time_ns()
    return Proposal(asked, b"digest", "t-1", now_ns, now_ns + 300_000_000_000)


@pytest.fixture
async def proposed(postgres_url, where):
    """Proposals of a model, and of the caller of the command, who shows no token."""
    database = Database(postgres_url)
    async with database.transaction() as connection:
        for one in (
            proposal("r1", "robot"),
            proposal("r2", "robot"),
            proposal("r3", "nobody", "c1"),
        ):
            await proposals.add(connection, one)
    await database.close()


async def test_proposals_are_listed_confirmed_and_declined(where, proposed, capsys):
    assert await command("proposals", *where) == 0
    shown = capsys.readouterr().out
    assert "robot" in shown
    assert "buy 0.01 limit 60000" in shown
    assert "c1 to buy 0.01 limit 60000" in shown
    assert "[b]the trend[/b]" in shown
    # No venue runs here: what is confirmed is checked, and blocked.
    assert await command("confirm", "r1", *where) == 1
    assert "the inspector has not approved it" in capsys.readouterr().out
    assert await command("decline", "r2", "--reason", "too large", "--json", *where) == 0
    declined = json.loads(capsys.readouterr().out)["proposal"]
    assert (declined["state"], declined["reason"]) == ("PROPOSAL_STATE_DECLINED", "too large")
    assert await command("confirm", "r2", *where) != 0
    assert "PROPOSAL_ENDED" in capsys.readouterr().err
    assert await command("proposals", "--json", *where) == 0
    left = json.loads(capsys.readouterr().out)["proposals"]
    assert [one["requested"]["request_id"] for one in left] == ["r3"]


async def test_who_proposed_it_does_not_confirm_it(where, proposed, capsys):
    assert await command("confirm", "r3", *where) != 0
    assert "OTHER_CALLER_NEEDED" in capsys.readouterr().err
