"""Signatures that are right, and all that is not one."""

import base64
import hashlib
import hmac

import pytest

from kit.simulator.exchange.signing import is_base64_signature, is_hex_signature, is_same

SECRET, SAID = b"secret", b"1700000000000GET/orders"
HEX = hmac.new(SECRET, SAID, hashlib.sha256).hexdigest()
LONG = base64.b64encode(hmac.new(SECRET, SAID, hashlib.sha512).digest()).decode()
SHORT = base64.b64encode(bytes.fromhex(HEX)).decode()


@pytest.mark.parametrize("signature", [HEX, HEX.upper()])
def test_hexadecimal_digits_are_of_either_case(signature):
    assert is_hex_signature(signature, SECRET, SAID)
    assert not is_hex_signature(signature, b"other", SAID)
    assert not is_hex_signature(signature, SECRET, SAID + b"/1")


def test_base64_is_of_either_digest_and_its_case_counts():
    assert is_base64_signature(SHORT, SECRET, SAID)
    assert is_base64_signature(LONG, SECRET, SAID, "sha512")
    assert not is_base64_signature(LONG, SECRET, SAID)
    assert not is_base64_signature(SHORT.swapcase(), SECRET, SAID)


@pytest.mark.parametrize("given", ["", "ä", "\ud800", HEX[:-1], HEX + "0"])
def test_any_text_that_is_no_signature_is_wrong(given):
    assert not is_hex_signature(given, SECRET, SAID)
    assert not is_base64_signature(given, SECRET, SAID)
    assert not is_same(given, HEX)
