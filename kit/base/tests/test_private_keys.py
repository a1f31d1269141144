"""Keys are read from files that only their owner can read."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.base.private_keys import PrivateKeyError, pem_of, read_ed25519_key
from kit.base.secret_files import write_secret

KEY = Ed25519PrivateKey.generate()


def encrypted() -> bytes:
    return KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


def test_a_key_is_read_as_it_was_written(tmp_path):
    write_secret(tmp_path / "key.pem", pem_of(KEY))
    found = read_ed25519_key(tmp_path / "key.pem")
    assert found.public_key() == KEY.public_key()


@pytest.mark.parametrize(
    "content", [b"", b"no key", pem_of(ec.generate_private_key(ec.SECP256R1())), encrypted()]
)
def test_what_is_no_ed25519_key_is_refused(content, tmp_path):
    write_secret(tmp_path / "key.pem", content)
    with pytest.raises(PrivateKeyError, match="not an Ed25519 key"):
        read_ed25519_key(tmp_path / "key.pem")


def test_a_key_that_others_can_read_is_refused(tmp_path):
    write_secret(tmp_path / "key.pem", pem_of(KEY))
    (tmp_path / "key.pem").chmod(0o640)
    with pytest.raises(PrivateKeyError, match="chmod 600"):
        read_ed25519_key(tmp_path / "key.pem")
