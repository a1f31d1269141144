"""The command line of an operator elsewhere: it has the gateway's address, and no data folder."""

import csv
import json
import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.execution.approval.keys import DEVELOPMENT_FILE
from kit.execution.approval.signing import DEVELOPMENT_KEY_ID
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
    simulated.wait_until(OrderCaller(simulated).is_ready, "the account accepts orders")
    words = (VENUE, SYMBOL, "buy", "0.01", "--price", "20000", "--id", "elsewhere")
    (placed,) = venuemesh("order", "place", *words)
    name = placed["order"]["client_order_id"]
    assert placed["order"]["state"] == "ORDER_STATE_OPEN"
    assert venuemesh("order", "show", VENUE, name)[0]["order"]["content"]["price"] == "20000"
    (cancelled,) = venuemesh("order", "cancel", VENUE, name)
    assert cancelled["order"]["state"] == "ORDER_STATE_CANCELLED"


def test_an_order_is_signed_with_a_key_of_the_operator(venuemesh, simulated, tmp_path):
    key = Ed25519PrivateKey.from_private_bytes((simulated.data / DEVELOPMENT_FILE).read_bytes())
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(encoding, kind, serialization.NoEncryption()))
    signed = ("--key", str(file), "--key-id", DEVELOPMENT_KEY_ID, "--epoch", "1")
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
