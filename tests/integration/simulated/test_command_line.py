"""The command line of an operator elsewhere: it has the gateway's address, and no data folder."""

import csv
import json
import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.approval.keys import INSPECTOR_KEY_ID, inspector_key
from ops.commands.repair import EXIT_NOT_FILLED
from tests.integration import recorded
from tests.integration.mesh import OWN_SERVICES, ROOT, SYMBOL, VENUE
from tests.integration.orders import OrderCaller

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

COMMAND_SECONDS_MAX = 120.0


@pytest.fixture
def venuemesh(simulated, tmp_path):
    """Runs a command in a folder without a mesh. Returns what it prints as JSON, by line."""
    environment = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
        "VENUEMESH_GATEWAY": f"http://{simulated.gateway}",
        "VENUEMESH_TOKEN": simulated.token,
    }

    def run(*arguments, codes=(0,)):
        done = subprocess.run(
            [sys.executable, "-m", "ops.cli", *arguments, "--json"],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            cwd=tmp_path,
            env=os.environ | environment,
            check=False,
        )
        assert done.returncode in codes, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def test_status_lists_the_processes(venuemesh, simulated):
    (status,) = venuemesh("status")
    assert (status["running"], status["gateway"]) == (True, f"http://{simulated.gateway}")
    names = {row["service"] for row in status["services"]}
    assert names == OWN_SERVICES


def test_an_order_is_placed_shown_and_cancelled(venuemesh, simulated):
    simulated.wait_until(OrderCaller(simulated).takes_requests, "the account accepts orders")
    words = (VENUE, SYMBOL, "buy", "0.01", "--price", "20000", "--id", "elsewhere")
    (placed,) = venuemesh("order", "place", *words)
    (order,) = placed["submitted"]["orders"]
    name = order["client_order_id"]
    assert order["state"] == "ORDER_STATE_OPEN"
    assert venuemesh("order", "place", *words) == [placed]
    assert venuemesh("order", "show", VENUE, name)[0]["order"]["content"]["price"] == "20000"
    (cancelled,) = venuemesh("order", "cancel", VENUE, name)
    assert cancelled["order"]["state"] == "ORDER_STATE_CANCELLED"


def test_blocked_order_names_each_failed_check_and_fails(venuemesh):
    (answer,) = venuemesh("order", "place", VENUE, SYMBOL, "buy", "1000", codes=(1,))
    blocked = [one for one in answer["verdict"]["checks"] if one["result"].endswith("BLOCKED")]
    assert [one["name"] for one in blocked] == ["order_notional_max"]
    assert int(blocked[0]["limit"]) < float(blocked[0]["projected"])


def test_bracket_at_the_market_is_amended_and_cancelled(venuemesh, simulated):
    caller = OrderCaller(simulated)
    simulated.wait_until(caller.takes_requests, "the account accepts orders")
    words = (VENUE, SYMBOL, "buy", "0.01", "--profit", "900000", "--stop", "30000")
    (placed,) = venuemesh("order", "bracket", *words)
    entry, profit, stop = (one["client_order_id"] for one in placed["submitted"]["orders"])
    filled = orders_pb2.ORDER_STATE_FILLED
    simulated.wait_until(lambda: caller.order(entry).state == filled, "the entry is filled")
    (moved,) = venuemesh("order", "amend", VENUE, stop, "--stop-price", "31000")
    assert moved["verdict"]["is_reduction"]
    venuemesh("order", "cancel-all", VENUE, "--include-protective")
    cancelled = orders_pb2.ORDER_STATE_CANCELLED
    assert {caller.order(one).state for one in (profit, stop)} == {cancelled}


def test_an_order_is_signed_with_a_key_of_the_operator(venuemesh, simulated, tmp_path):
    key = inspector_key(simulated.data)
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(encoding, kind, serialization.NoEncryption()))
    epoch = OrderCaller(simulated).epoch
    signed = ("--key", str(file), "--key-id", INSPECTOR_KEY_ID, "--epoch", str(epoch))
    words = (VENUE, SYMBOL, "buy", "0.01", "--price", "20000")
    (placed,) = venuemesh("order", "place", *words, *signed)
    name = placed["order"]["client_order_id"]
    (cancelled,) = venuemesh("order", "cancel", VENUE, name, *signed)
    assert cancelled["order"]["state"] == "ORDER_STATE_CANCELLED"


def test_recorded_trades_are_exported(venuemesh, simulated, tmp_path):
    file = tmp_path / "trades.csv"
    words = ("--venue", VENUE, "--symbol", SYMBOL, "--channel", "trades", "--format", "csv")
    (done,) = venuemesh("export", str(file), *words)
    with file.open() as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == done["rows"] > 0
    known = {trade.trade_id for trade in recorded.trades(simulated)}
    assert {int(row["trade_id"]) for row in rows} <= known


def test_a_repair_is_started_and_watched(venuemesh):
    venuemesh("repair", "holes", VENUE)
    words = ("start", VENUE, SYMBOL, "--id", "elsewhere", "--watch")
    *_, last = venuemesh("repair", *words, codes=(0, EXIT_NOT_FILLED))
    # The exchange knows no trades of the time between its two runs.
    assert last["state"] in ("REPAIR_STATE_DONE", "REPAIR_STATE_INCOMPLETE")
    (jobs,) = venuemesh("repair", "list", "--venue", VENUE)
    assert "elsewhere" in [job["repair_id"] for job in jobs["jobs"]]
