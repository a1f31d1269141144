"""Accounts of the pretended exchange."""

from kit.simulator import demo


def test_everybody_has_an_account_there():
    found = demo.credentials("binance", "demo")
    assert found is not None
    assert set(found) >= {"apiKey", "secret"}


def test_what_is_not_there_has_no_credentials():
    assert demo.credentials("binance", "nobody") is None
    assert demo.credentials("no_such_venue", "demo") is None
