"""Accounts of the simulated exchange."""

from kit.simulator import demo


def test_every_venue_has_the_demo_accounts():
    found = demo.credentials("binance", "demo")
    assert found is not None
    assert set(found) >= {"apiKey", "secret"}


def test_an_unknown_venue_or_account_has_no_credentials():
    assert demo.credentials("binance", "nobody") is None
    assert demo.credentials("no_such_venue", "demo") is None
