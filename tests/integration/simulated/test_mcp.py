"""The door for models at a real mesh: every tool, and the questions of an operator."""

import base64
import inspect
import json
import os
import socket
import struct
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from gateway.mcp import times
from kit.base.version import VERSION
from tests.integration import recorded
from tests.integration.chain_events import ACCOUNT, STRATEGY, chain_events, store_events
from tests.integration.mesh import OWN_SERVICES, ROOT, SYMBOL, VENUE
from tests.integration.raw_model import raw_model
from tests.integration.scripted_model import scripted_model

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

DEMO = {"venue": VENUE, "account": "demo"}
MARKET = {"venue": VENUE, "symbol": SYMBOL}
VALUES = {
    **MARKET,
    "account": "demo",
    "service_id": VENUE,
    "interval": "1m",
    "strategy": STRATEGY,
    "client_order_id": "none",
    "repair_id": "none",
    "size": "1",
    "request_id": "none",
    "operation": "OPERATION_PLACE",
    "content": DEMO,
}
"""What a model would choose for the arguments that a tool needs."""
MAY_FAIL = {
    "risk_submit_manual": "BAD_REQUEST: content.symbol is empty",
    "orders_get_order": "UNKNOWN_ORDER",
    "history_get_repair": "BAD_REQUEST: no such repair",
    "ledger_list_entries": "ACCOUNT_INVALID: account.code",
    "mesh_get_checkpoint": "",
    "mesh_list_events": "BAD_REQUEST: stream, lifecycle_id and subject are empty",
    "mesh_prove": "",
    "mesh_why": "",
    "strategy_decide": "",
    "strategy_explain_decision": "BAD_REQUEST",
    "strategy_repeat_decision": "BAD_REQUEST",
    "history_get_order_book_at": "",
}
"""Tools that have nothing to show for such arguments, with the reason."""


@pytest.fixture(scope="module")
def mesh(simulated):
    simulated.wait_until_registered()
    return simulated


@pytest.fixture(scope="module")
def chain(mesh):
    """A stored chain, from a signal to its fills."""
    events = chain_events(time.time_ns() - 3_600_000_000_000)
    store_events(mesh.database_url(), events)
    return events


def rest(mesh, path):
    status, answer = mesh.get(path)
    assert status == 200, answer
    return answer


async def test_every_tool_answers_as_its_schema_says(mesh):
    failed = {}
    async with scripted_model(mesh) as model:
        assert len(model.tools) > 50
        for name, tool in model.tools.items():
            needed = set(tool.input_schema.get("required", ())) - {"name"}
            # The client of the SDK raises an error for an answer that differs from the schema.
            arguments = {argument: VALUES[argument] for argument in needed}
            arguments |= {"name": "mesh_get_caller"} if name == "call_tool" else {}
            result = await model.call(name, **arguments)
            if result.is_error:
                failed[name] = result.content[0].text.splitlines()[0]
    unexpected = {
        name: text
        for name, text in failed.items()
        if name not in MAY_FAIL or not text.startswith(MAY_FAIL[name])
    }
    assert not unexpected, str(unexpected)


async def test_a_program_reaches_the_tools_by_its_standard_streams(mesh):
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "ops.cli", "mcp", "--data", str(mesh.data)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
        cwd=ROOT,
    )
    async with Client(stdio_client(command)) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        found = await client.call_tool("mesh_get_caller", {})
    assert "mesh_why" in tools
    # Whoever starts it may do everything on this machine. A model may not.
    assert found.structured_content["answer"]["token"]["roles"] == ["ROLE_VIEWER"]


class Questions:
    """Each method answers one question with the tools alone, and checks the answer."""

    async def which_processes_run(self, model, mesh):
        rows = await model.rows("mesh_list_services", "services", columns=["instance.service_id"])
        assert {row["instance.service_id"] for row in rows} == OWN_SERVICES

    async def is_a_process_lost(self, model, mesh):
        rows = await model.rows("mesh_list_services", "services", columns=["status.state"])
        assert "SERVICE_STATE_LOST" not in {row["status.state"] for row in rows}

    async def which_version_runs(self, model, mesh):
        rows = await model.rows("mesh_list_services", "services", columns=["instance.version"])
        assert {row["instance.version"] for row in rows} == {VERSION}

    async def is_this_real_money(self, model, mesh):
        assert (await model.answer("mesh_list_services", page_size=1))["world"] == "simulate"

    async def which_venues_run(self, model, mesh):
        rows = await model.rows("mesh_list_venues", "venues")
        running = {row["venue"] for row in rows if row.get("running.state")}
        assert running == {VENUE}
        assert len(rows) == len(rest(mesh, "/v1/catalog")["venues"])

    async def what_is_quoted_in_usdt(self, model, mesh):
        rows = await model.rows("market_list_instruments", "instruments", venue=VENUE)
        listed = rest(mesh, f"/v1/venues/{VENUE}/instruments")["instruments"]
        expected = {one["symbol"] for one in listed if one["quote"] == "USDT"}
        assert {row["symbol"] for row in rows if row["quote"] == "USDT"} == expected != set()

    async def what_is_the_tick_of_bitcoin(self, model, mesh):
        rows = await model.rows("market_list_instruments", "instruments", venue=VENUE)
        assert {row["price_tick"] for row in rows if row["symbol"] == SYMBOL} == {"0.01"}

    async def is_the_book_exact_and_what_is_the_spread(self, model, mesh):
        book = await model.answer("market_get_order_book", **MARKET, depth=1)
        assert book["state"] == "BOOK_STATE_PROVEN"
        prices = [Decimal(book[side]["rows"][0][0]) for side in ("bids", "asks")]
        assert prices[0] < prices[1]

    async def what_was_traded_until_a_moment(self, model, mesh):
        known = recorded.trades(mesh)[:120]
        end = times.to_iso(known[-1].time_ns + 1)
        rows = await model.rows("history_list_trades", "trades", **MARKET, end_time=end)
        expected = [one for one in recorded.trades(mesh) if one.time_ns <= known[-1].time_ns]
        assert [int(row["trade_id"]) for row in rows] == [one.trade_id for one in expected]
        assert sum(Decimal(row["size"]) for row in rows) == sum(one.size for one in expected)

    async def what_was_the_highest_price_of_final_bars(self, model, mesh):
        rows = await model.rows("history_list_bars", "bars", **MARKET, interval="1s", page_size=20)
        bars = rest(mesh, f"/v1/history/{VENUE}/{SYMBOL}/bars?interval=1s&page_size=1000")["bars"]
        first = bars[: len(rows)]
        assert [row["high"] for row in rows[:20]] == [bar["high"] for bar in first[:20]]

    async def which_data_was_lost_today(self, model, mesh):
        rows = await model.rows("history_list_gaps", "gaps", venue=VENUE, start_time="-1d")
        gaps = rest(mesh, f"/v1/history/{VENUE}/gaps?page_size=1000")["gaps"]
        reasons = {(gap["gap"]["reason"], gap["gap"]["symbol"]) for gap in gaps}
        assert {(row["gap.reason"], row.get("gap.symbol") or "") for row in rows} == reasons

    async def is_a_hole_still_open(self, model, mesh):
        rows = await model.rows("history_list_holes", "holes", venue=VENUE)
        after = await model.rows("history_list_holes", "holes", venue=VENUE)
        holes = rest(mesh, f"/v1/history/{VENUE}/holes")["holes"]
        # Repair finds further ones meanwhile.
        found = [{one["hole_id"] for one in some} for some in (rows, holes, after)]
        assert found[0] <= found[2] <= found[1]

    async def do_repairs_run(self, model, mesh):
        rows = await model.rows("history_list_repairs", "jobs", venue=VENUE)
        assert len(rows) == len(rest(mesh, f"/v1/repairs?venue={VENUE}")["jobs"])

    async def how_complete_is_the_day(self, model, mesh):
        rows = await model.rows("history_list_coverage", "days", **MARKET)
        assert rows
        assert all(int(row["covered_ns"]) <= int(row["expected_ns"]) for row in rows)

    async def which_accounts_may_trade(self, model, mesh):
        rows = await model.rows("orders_list_accounts", "accounts", venue=VENUE)
        accounts = rest(mesh, f"/v1/venues/{VENUE}/accounts")["accounts"]
        assert {row["account"] for row in rows} == {one["account"] for one in accounts} > {"demo"}

    async def what_does_the_account_hold(self, model, mesh):
        rows = await model.rows("orders_list_balances", "balances", **DEMO)
        found = rest(mesh, f"/v1/venues/{VENUE}/balances?account=demo")["balances"]
        assert {row["asset"]: row["total"] for row in rows} == {
            one["asset"]: one["total"] for one in found
        }

    async def which_orders_are_open(self, model, mesh):
        rows = await model.rows("orders_list_open_orders", "orders", **DEMO)
        found = rest(mesh, f"/v1/venues/{VENUE}/orders?account=demo")["orders"]
        assert {row["client_order_id"] for row in rows} == {one["client_order_id"] for one in found}

    async def may_strategies_open_positions(self, model, mesh):
        modes = (await model.answer("risk_get_state"))["modes"]
        (row,) = [dict(zip(modes["columns"], one, strict=True)) for one in modes["rows"]]
        assert (row["scope"], row["mode"]) == ("mesh", "TRADING_MODE_ACTIVE")

    async def how_large_may_an_order_be(self, model, mesh):
        policy = json.loads((await model.answer("risk_get_state"))["policy"])
        assert policy["order_notional_max"]["USDT"] == "100000"

    async def what_do_the_strategies_trade(self, model, mesh):
        rows = await model.rows("strategy_list_strategies", "strategies")
        assert [(row["strategy"], row["venue"], row["symbol"]) for row in rows] == [
            ("ema_cross", VENUE, SYMBOL)
        ]

    async def what_would_the_strategy_need_for_a_signal(self, model, mesh):
        answer = await model.answer("strategy_explain", strategy="ema_cross")
        assert answer["status"]["strategy"] == "ema_cross"
        assert answer["threshold"] > 0

    async def why_did_we_buy(self, model, mesh, chain):
        event_id = base64.b64encode(chain[-1].event_id).decode()
        events = (await model.answer("mesh_why", event_id=event_id))["events"]
        assert len(events) == len(chain)
        signal, decision = (events[place]["event"] for place in (0, 1))
        assert signal["signal_raised"]["strategy"] == STRATEGY
        assert decision["decision_made"]["intent"]["account"] == ACCOUNT
        assert signal["time"] == times.to_iso(chain[0].time_ns)

    async def what_was_that_decision_made_of(self, model, mesh, chain):
        event_id = base64.b64encode(chain[1].event_id).decode()
        answer = await model.answer("strategy_explain_decision", event_id=event_id)
        assert answer["signal"]["signal_raised"]["strategy"] == STRATEGY
        assert answer["decision"]["decision_made"]["intent"]["account"] == ACCOUNT

    async def would_it_be_made_again(self, model, mesh, chain):
        event_id = base64.b64encode(chain[1].event_id).decode()
        answer = await model.answer("strategy_repeat_decision", event_id=event_id)
        # The chain of this test is made up.
        assert "config_hash" in {row[0] for row in answer["differences"]["rows"]}

    async def are_the_books_balanced(self, model, mesh):
        totals = await model.answer("ledger_get_trial_balance")
        assert totals["balanced"] is True
        assert (await model.answer("ledger_verify_ledger"))["correct"] is True

    async def what_is_the_account_worth(self, model, mesh):
        rows = await model.rows("ledger_get_equity", "equities", **DEMO)
        found = rest(mesh, f"/v1/ledger/equity?venue={VENUE}&account=demo")["equities"]
        assert {row["asset"]: row["cash"] for row in rows} == {
            one["asset"]: one["cash"] for one in found
        }

    async def who_am_i(self, model, mesh):
        token = (await model.answer("mesh_get_caller"))["token"]
        assert "ROLE_ADMIN" in token["roles"]


async def check_answer(question, mesh, **more):
    async with scripted_model(mesh) as model:
        await getattr(Questions(), question)(model, mesh, **more)


QUESTIONS = [name for name in vars(Questions) if not name.startswith("_")]


def test_there_are_as_many_questions_as_promised():
    assert len(QUESTIONS) >= 25


@pytest.mark.parametrize("question", QUESTIONS)
async def test_a_scripted_model_answers(question, mesh, request):
    wanted = inspect.signature(getattr(Questions, question)).parameters
    more = {"chain": request.getfixturevalue("chain")} if "chain" in wanted else {}
    await check_answer(question, mesh, **more)


async def test_another_client_lists_and_calls_every_tool(mesh):
    failed = {}
    async with raw_model(mesh) as model:
        assert len(model.tools) > 50
        for name, tool in model.tools.items():
            needed = set(tool["inputSchema"].get("required", ())) - {"name"}
            arguments = {argument: VALUES[argument] for argument in needed}
            arguments |= {"name": "mesh_get_caller"} if name == "call_tool" else {}
            result = await model.call(name, **arguments)
            if result.get("isError"):
                failed[name] = result["content"][0]["text"].splitlines()[0]
    assert failed.keys() <= MAY_FAIL.keys()
    assert all(text.startswith(MAY_FAIL[name]) for name, text in failed.items())


RESET = struct.pack("ii", 1, 0)
BROKEN_OFF = 100
"""Calls of each kind."""
GROWTH_MIB_MAX = 32


def usage(mesh):
    """Open files, and MiB of the process with the tools."""
    pid = mesh.children()["mcp"]["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), int(resident.split()[1]) / 1024


async def test_calls_that_are_broken_off_or_malformed_leave_nothing(mesh):
    async with raw_model(mesh) as model:
        await model.call("mesh_list_services")
    files, memory = usage(mesh)
    request = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "mesh_list_services", "arguments": {}},
        }
    )
    head = (
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\nauthorization: Bearer {mesh.token}\r\n"
    )
    whole = f"{head}content-length: {len(request)}\r\n\r\n{request}"
    for sent in (whole, whole[:-20], f"{head}content-length: 9\r\n\r\n{{nothing}}", head[:40]):
        for port in (mesh.port("gateway"), mesh.port("mcp_http")):
            for _ in range(BROKEN_OFF):
                with socket.create_connection(("127.0.0.1", port)) as opened:
                    opened.sendall(sent.encode())
                    # Reset it: nobody reads the answer.
                    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    mesh.wait_until(lambda: usage(mesh)[0] <= files, "its sockets are closed")
    assert usage(mesh)[1] - memory < GROWTH_MIB_MAX
    async with raw_model(mesh) as model:
        assert not (await model.call("mesh_list_services")).get("isError")
