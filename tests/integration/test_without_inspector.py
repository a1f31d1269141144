"""A mesh whose inspector is stopped: nothing is opened, and what is open can be ended."""

import json
import os
import subprocess
import sys
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.approval.keys import APPROVERS_FILE
from kit.execution.client_order_ids import client_order_id
from tests.integration.mesh import NO_TRADING, ROOT, SYMBOL, VENUE, new_folder, running
from tests.integration.orders import ACCOUNT, OrderCaller
from tests.integration.simulation import SIMULATE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

CANCELLED = orders_pb2.ORDER_STATE_CANCELLED
APPROVERS = """[[approvers]]
key_id = "exit"
public_key = "{}"
role = "reduce"
accounts = ["*"]
first_epoch = 1
last_epoch = 1
not_after = 2100-01-01T00:00:00Z
"""


@pytest.fixture(scope="module")
def key():
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def mesh(key):
    """A mesh that knows a key for emergencies."""
    with new_folder() as data:
        file = data / APPROVERS_FILE
        file.parent.mkdir(parents=True)
        public = b64encode(key.public_key().public_bytes_raw()).decode()
        file.write_text(APPROVERS.format(public))
        with running(data, *SIMULATE, *NO_TRADING) as mesh:
            mesh.wait_until_running()
            mesh.wait_until(OrderCaller(mesh).is_ready, "the account is ready")
            mesh.wait_until(lambda: OrderCaller(mesh).best_bid() > 0, "there is a book")
            yield mesh


@pytest.fixture
def emergency(key, tmp_path):
    """The options of a command that signs with the key."""
    file = tmp_path / "exit.pem"
    file.touch(mode=0o600)
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(encoding, kind, serialization.NoEncryption()))
    return ("--key", str(file), "--key-id", "exit")


def order(mesh, *words):
    """Run ``./venuemesh order``. Returns its exit code, its answer and its errors."""
    command = [sys.executable, "-m", "ops.cli", "order", *words, "--data", str(mesh.data), "--json"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    answer = json.loads(done.stdout.splitlines()[0]) if done.stdout else {}
    return done.returncode, answer, done.stderr


def test_nothing_is_placed_and_the_error_says_what_to_do(mesh):
    exit_code, answer, errors = order(
        mesh, "place", VENUE, SYMBOL, "buy", "0.01", "--price", "20000", "--id", "absent"
    )
    text = json.dumps(answer) + errors
    assert exit_code == 1, text
    assert "venuemesh.inspector.v1.Inspector" in text
    assert "cancel-all work without it, and --key signs" in text
    found = [one.request_id for one in OrderCaller(mesh).open().values()]
    assert found == []


def test_operator_cancels_what_the_emergency_key_has_placed_to_reduce(mesh, emergency):
    caller = OrderCaller(mesh)
    words = (VENUE, SYMBOL, "sell", "0.01", "--price", "900000")
    for number, options in enumerate(((), emergency)):
        exit_code, answer, errors = order(mesh, "place", *words, "--id", f"e{number}", *emergency)
        assert exit_code == 0, errors
        name = answer["order"]["client_order_id"]
        assert name == client_order_id(VENUE, ACCOUNT, f"e{number}")
        exit_code, _, errors = order(mesh, "cancel", VENUE, name, *options)
        assert exit_code == 0, errors
        assert caller.order(name).state == CANCELLED


def test_emergency_key_opens_nothing(mesh, emergency):
    words = (VENUE, SYMBOL, "buy", "0.01", "--price", "20000")
    exit_code, _, _ = order(mesh, "place", *words, *emergency)
    assert exit_code == 1
    assert OrderCaller(mesh).open() == {}
