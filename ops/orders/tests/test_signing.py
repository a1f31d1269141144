"""The key that signs an order of the command line."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.execution.approval.signing import MeshScope, statement
from kit.execution.settings import OrdersSettings
from ops.cli import parsed
from ops.errors import OperationsError
from ops.orders import signing

SCOPE = MeshScope("local", "live")
KEY = Ed25519PrivateKey.generate()
APPROVERS = """[[approvers]]
key_id = "exit"
public_key = "{}"
role = "reduce"
accounts = ["*"]
first_epoch = 7
last_epoch = 9
not_after = 2100-01-01T00:00:00Z
"""


@pytest.fixture
def data(tmp_path):
    (tmp_path / "keys").mkdir()
    public = b64encode(KEY.public_key().public_bytes_raw()).decode()
    (tmp_path / "keys" / "approvers.toml").write_text(APPROVERS.format(public))
    write(tmp_path / "exit.pem", KEY)
    return tmp_path


def write(file, key, mode=0o600):
    private = serialization.PrivateFormat.PKCS8
    encoding, none = serialization.Encoding.PEM, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(encoding, private, none))
    file.chmod(mode)


def signer(data, *words, environment=None):
    chosen = parsed("order", ["cancel", "binance", "ID", *map(str, words)])
    return signing.own_signer(chosen, SCOPE, data, OrdersSettings(), environment or {})


def check(found, epoch):
    content = orders_pb2.OrderContent(venue="binance", account="main")
    approved = found.approve(content, "r", 1, signed_pb2.OPERATION_CANCEL, "ID")
    assert (approved.key_id, approved.fencing_epoch) == ("exit", epoch)
    KEY.public_key().verify(approved.signature, statement(approved))


def test_named_key_signs_with_its_first_epoch(data):
    check(signer(data, "--key", data / "exit.pem", "--key-id", "exit"), 7)


def test_key_and_epoch_may_be_named_apart(data):
    named = {"VENUEMESH_ORDER_KEY": str(data / "exit.pem"), "VENUEMESH_ORDER_KEY_ID": "exit"}
    check(signer(data, "--epoch", "9", environment=named), 9)


def test_without_a_key_there_is_no_own_signer(data):
    assert signer(data) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_key_that_others_can_read_is_refused(data, mode):
    (data / "exit.pem").chmod(mode)
    with pytest.raises(OperationsError, match="chmod 600"):
        signer(data, "--key", data / "exit.pem", "--key-id", "exit")


def test_wrong_key_is_refused_with_its_reason(data):
    write(data / "other.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(OperationsError, match="no Ed25519 key"):
        signer(data, "--key", data / "other.pem", "--key-id", "exit")
    with pytest.raises(OperationsError, match="cannot be read"):
        signer(data, "--key", data / "none.pem", "--key-id", "exit")
    with pytest.raises(OperationsError, match="--key-id or VENUEMESH_ORDER_KEY_ID"):
        signer(data, "--key", data / "exit.pem")
    with pytest.raises(OperationsError, match="has no key 'entry'"):
        signer(data, "--key", data / "exit.pem", "--key-id", "entry")


@pytest.mark.parametrize("words", [("--key-id", "exit"), ("--epoch", 7)])
def test_part_of_a_key_does_not_sign_with_another_one(data, words):
    with pytest.raises(OperationsError, match="need the key: --key or VENUEMESH_ORDER_KEY"):
        signer(data, *words)
