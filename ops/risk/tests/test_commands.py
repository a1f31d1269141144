"""The command ``risk``, with a real audit."""

import asyncio
import json
from pathlib import Path

import pytest
from venuemesh.events.v1 import (
    checks_pb2,
    decisions_pb2,
    event_pb2,
    events_pb2,
    events_pb2_grpc,
    risk_pb2,
    signals_pb2,
)

from core.audit.tests.process import audit_process
from kit.base import rpc
from kit.base.database import Database
from kit.events import event_log
from kit.risk.facts import RiskFacts
from ops import cli

EXAMPLE = Path(__file__).parents[3] / "docs" / "policy.example.toml"
DECISIONS, RISK = event_pb2.EVENT_STREAM_DECISIONS, event_pb2.EVENT_STREAM_RISK
DAY_NS = 86_400 * 1_000_000_000
CHAINS = [bytes([number]) * 16 for number in (1, 2, 3)]


def decision(number):
    intent = decisions_pb2.ExecutionIntent(
        strategy="ema", venue="binance", account="main", symbol="BTCUSDT", size=str(number),
        side=1, reference_price="100", action=signals_pb2.POSITION_ACTION_OPEN,
    )  # fmt: skip
    return event_pb2.Event(
        event_id=bytes([number]) * 15 + b"d", time_ns=number * DAY_NS - 1, source="advisor",
        lifecycle_id=CHAINS[number - 1],
        decision_made=decisions_pb2.DecisionMade(intent=intent),
    )  # fmt: skip


def verdict(number, facts):
    check = checks_pb2.Check(
        name="order_value_max", projected=f"{number}00", limit="1000", unit="USDT",
        result=checks_pb2.CHECK_RESULT_PASSED, detail="of mesh",
    )  # fmt: skip
    given = risk_pb2.VerdictGiven(verdict=risk_pb2.VERDICT_ALLOW, checks=[check], facts=facts)
    return event_pb2.Event(
        event_id=bytes([number]) * 15 + b"v", time_ns=number * DAY_NS, source="inspector",
        instance="ema", lifecycle_id=CHAINS[number - 1], cause_ids=[decision(number).event_id],
        verdict_given=given,
    )  # fmt: skip


def facts(number):
    return RiskFacts(
        notional=number * 100, notional_asset="USDT", exposures=(), recent=(), results=()
    ).text


@pytest.fixture
async def where(postgres_url, valkey_url, tmp_path):
    """The options that name an audit with three verdicts; the third has no facts."""
    database = Database(postgres_url)
    async with database.transaction() as connection:
        signals = [event_pb2.Event(event_id=chain, lifecycle_id=chain) for chain in CHAINS]
        for event in signals:
            event.signal_raised.strategy = "ema"
        await event_log.append(connection, event_pb2.EVENT_STREAM_SIGNALS, signals, 1)
        await event_log.append(connection, DECISIONS, [decision(n) for n in (1, 2, 3)], 1)
        given = [verdict(1, facts(1)), verdict(2, facts(2)), verdict(3, "")]
        await event_log.append(connection, RISK, given, 2)
    await database.close()
    process = audit_process(postgres_url, valkey_url, tmp_path)
    process.start()
    async with rpc.channel(process.address) as channel:
        request = events_pb2.ListEventsRequest(stream=RISK)
        stub = events_pb2_grpc.EventsStub(channel)
        await stub.ListEvents(request, wait_for_ready=True, timeout=60)
    yield ("--gateway", f"http://{process.address}", "--token", "t")
    process.kill()


async def command(*words):
    """Beside this event loop: the command brings its own."""
    return await asyncio.to_thread(cli.main, ["risk", *map(str, words)])


def rows(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_right_policy_is_checked(capsys):
    assert cli.main(["risk", "check", str(EXAMPLE)]) == 0
    assert capsys.readouterr().out.startswith(f"{EXAMPLE}: right, version ")


def test_every_problem_of_a_policy_is_named(tmp_path, capsys):
    file = tmp_path / "policy.toml"
    file.write_text(EXAMPLE.read_text().replace("positions_max = ", "positions = "))
    assert cli.main(["risk", "check", str(file), "--json"]) == 1
    (found,) = rows(capsys)
    assert [(one["field"], one["value"]) for one in found["problems"]] == [
        ("positions", "{'mesh': 10, 'strategy:*': 3}"), ("positions_max", "")
    ]  # fmt: skip
    assert "did you mean 'positions_max'" in found["problems"][0]["allowed"]
    assert cli.main(["risk", "check", str(file), "--world", "simulate"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(f"{file}: positions: ") for line in lines] == [True]
    assert cli.main(["risk", "check", str(tmp_path / "none.toml")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_venue_that_nobody_has_is_named(tmp_path, capsys):
    file = tmp_path / "policy.toml"
    text = EXAMPLE.read_text().replace("{ mesh = 150000 }", '{ "venue:binanse" = 150000 }')
    file.write_text(text.replace('"okx/*"', '"okex/*", "ccxt_gate/*"').replace("/ETH", "x/ETH"))
    assert cli.main(["risk", "check", str(file), "--json"]) == 1
    (found,) = rows(capsys)
    assert [(one["field"], one["value"]) for one in found["problems"]] == [
        ("instruments", "binancex"), ("instruments", "okex"), ("groups.majors", "binancex"),
        ("net_exposure_max.venue:binanse", "binanse"),
    ]  # fmt: skip
    assert "did you mean 'binance'" in found["problems"][-1]["allowed"]


async def test_past_is_compared_with_a_policy(where, tmp_path, capsys):
    file = tmp_path / "policy.toml"
    file.write_text(
        'accounts = ["*"]\ninstruments = ["*"]\norder_notional_max = { USDT = 1000 }\n'
        'entries_per_minute_max = 9\ncurrency = "USDT"\norder_value_max = 100\n'
    )
    assert await command("simulate", file, "--json", "--all", *where) == 0
    *found, counts = rows(capsys)
    assert [(one["would_be_allowed"], one["blocked_by"]) for one in found] == [
        (True, []), (False, ["order_value_max"]), (True, [])
    ]  # fmt: skip
    names = ["entries_per_minute_max", "order_notional_max", "order_value_max"]
    assert [one["not_recorded"] for one in found] == [[], [], names]
    assert counts == {
        "entries": 3, "were_allowed": 3, "would_be_blocked": 1, "would_be_allowed": 0,
        "not_recorded": 1,
    }  # fmt: skip
    assert await command("simulate", file, "--to", "1970-01-03", *where) == 0
    assert "1 entries, 1 were allowed; 0 of these would be blocked" in capsys.readouterr().out
    assert await command("simulate", file, "--from", "1970-01-03", *where) == 0
    assert "2 entries, 2 were allowed; 1 of these would be blocked" in capsys.readouterr().out


async def test_verdict_is_explained(where, capsys):
    event_id = verdict(1, "").event_id.hex()
    assert await command("explain", event_id, *where) == 0
    text = capsys.readouterr().out
    assert "entry: allow" in text
    assert "order_value_max" in text
    # Of the order of a chain.
    order = f"lc-{CHAINS[1].hex()}-1"
    assert await command("explain", order, "--json", *where) == 0
    (found,) = rows(capsys)
    assert found["verdict_given"]["checks"][0]["projected"] == "200"
    assert await command("explain", "x", *where) == 2
    assert "allowed is EVENT" in capsys.readouterr().err
