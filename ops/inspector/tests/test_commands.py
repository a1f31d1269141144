"""The command ``inspector``, with a real inspector."""

import asyncio
import json
import time

import pytest
from venuemesh.events.v1 import reconciliations_pb2
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc

from core.inspector.tests.process import inspector_process
from core.inspector.tests.rig import DECISIONS
from core.inspector.tests.test_capital_reports import SIGNALS, blocked_by_advisor, signal
from kit.base import rpc
from kit.base.database import Database
from kit.events import event_log
from ops import cli
from tests.support.waiting import eventually


@pytest.fixture
async def where(postgres_url, valkey_url, tmp_path):
    """The options that name the inspector, which acts."""
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


async def test_differences_of_accounts_are_shown(where, capsys, postgres_url):
    difference = reconciliations_pb2.ReconciliationDifference(
        item=reconciliations_pb2.RECONCILED_ITEM_POSITION,
        subject="BTCUSDT",
        venue_value="3.5",
        ledger_value="2",
        cause=reconciliations_pb2.RECONCILIATION_CAUSE_UNKNOWN,
    )
    found = reconciliations_pb2.ReconciliationChanged(differences=[difference])
    database = Database(postgres_url)
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO inspector_reconciliations VALUES ('okx', 'main', 0, 0, '', %s, 1)",
            [found.SerializeToString()],
        )
    await database.close()
    assert await command("reconciliation", "--json", *where) == 0
    (one,) = json.loads(capsys.readouterr().out)["reconciliations"]
    assert one["state"] == "RECONCILIATION_STATE_DIFFERS"
    assert await command("reconciliation", *where) == 0
    shown = capsys.readouterr().out
    assert "okx/main" in shown
    assert "3.5" in shown


async def test_legacy_positions_are_shown_and_a_wrong_adoption_is_refused(
    where, capsys, postgres_url
):
    database = Database(postgres_url)
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO inspector_legacy_positions VALUES ('deribit', 'main', 'BTC-PERPETUAL',"
            " '-100', 1700000000000000000)"
        )
    await database.close()
    assert await asyncio.to_thread(cli.main, ["risk", "legacy", "--json", *where]) == 0
    (found,) = json.loads(capsys.readouterr().out)["positions"]
    assert (found["symbol"], found["size"]) == ("BTC-PERPETUAL", "-100")
    assert await asyncio.to_thread(cli.main, ["risk", "legacy", *where]) == 0
    assert "deribit/main" in capsys.readouterr().out
    words = ["risk", "adopt", "deribit", "main", "BTC-PERPETUAL", "--reason", "it is ours", *where]
    assert await asyncio.to_thread(cli.main, [*words, "--stop", "-5"]) != 0
    assert "stop_price is '-5'; allowed is decimal text above 0" in capsys.readouterr().err
    # The venue is not there, so nothing is known of the instrument.
    assert await asyncio.to_thread(cli.main, [*words, "--stop", "70000"]) != 0
    assert "the terms of deribit/BTC-PERPETUAL are not known now" in capsys.readouterr().err


async def test_signals_that_led_to_no_order_are_shown_with_the_check(where, capsys, postgres_url):
    decided = blocked_by_advisor(1)
    database, now_ns = Database(postgres_url), time.time_ns()
    decided.time_ns = now_ns
    async with database.transaction() as connection:
        await event_log.append(connection, SIGNALS, [signal(decided)], now_ns)
        await event_log.append(connection, DECISIONS, [decided], now_ns)
    await database.close()
    assert await asyncio.to_thread(cli.main, ["risk", "capital", "--json", *where]) == 0
    (found,) = json.loads(capsys.readouterr().out)["suppressed"]
    assert (found["refused_by"], found["reason"], found["signals"]) == ("advisor", "spread", 1)
    assert await asyncio.to_thread(cli.main, ["risk", "capital", *where]) == 0
    shown = capsys.readouterr().out
    assert "the policy has no currency" in shown
    assert "spread" in shown
    later = ["--from", "2200-01-01"]
    assert await asyncio.to_thread(cli.main, ["risk", "capital", "--json", *later, *where]) == 0
    assert json.loads(capsys.readouterr().out)["suppressed"] == []
