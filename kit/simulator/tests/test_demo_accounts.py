"""Accounts of the simulated exchange."""

from kit.simulator import demo_accounts


def test_every_venue_has_the_demo_accounts():
    found = demo_accounts.credentials("binance", "demo")
    assert found is not None
    assert set(found) >= {"apiKey", "secret"}


def test_an_unknown_venue_or_account_has_no_credentials():
    assert demo_accounts.credentials("binance", "nobody") is None
    assert demo_accounts.credentials("no_such_venue", "demo") is None
