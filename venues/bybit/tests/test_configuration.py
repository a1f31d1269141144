"""What Bybit's answers about an account and its key mean."""

import pytest

from kit.execution.tests.configuration_suite import configuration_of
from venues.bybit.configuration import BybitConfigurationApi


def answers(key=None, account=None):
    permissions = {"Spot": ["SpotTrade"], "Wallet": ["AccountTransfer"]}
    stated = {"marginMode": "REGULAR_MARGIN", "unifiedMarginStatus": 6}
    return {
        "privateGetV5UserQueryApi": {
            "result": {"readOnly": 0, "permissions": permissions, **(key or {})}
        },
        "privateGetV5AccountInfo": {"result": {**stated, **(account or {})}},
    }


@pytest.mark.parametrize(
    ("key", "may_trade"),
    [
        ({}, True),
        ({"readOnly": 1}, False),
        ({"permissions": {"Spot": [], "Wallet": []}}, False),
    ],
)
async def test_key_trades_if_it_may_write_and_trade_spot(key, may_trade):
    found = await configuration_of(BybitConfigurationApi(), answers(key))
    assert found.may_trade is may_trade
    assert found.excess_permissions == []


async def test_right_to_withdraw_is_reported():
    permissions = {"Spot": ["SpotTrade"], "Wallet": ["AccountTransfer", "Withdraw"]}
    found = await configuration_of(BybitConfigurationApi(), answers({"permissions": permissions}))
    assert found.excess_permissions == ["withdraw"]


@pytest.mark.parametrize(
    ("stated", "mode"),
    [("ISOLATED_MARGIN", "isolated"), ("PORTFOLIO_MARGIN", "portfolio"), ("NEW_MARGIN", None)],
)
async def test_margin_mode_is_that_of_the_account(stated, mode):
    found = await configuration_of(BybitConfigurationApi(), answers(account={"marginMode": stated}))
    assert found.margin_mode == mode


@pytest.mark.parametrize(("status", "is_usable"), [(1, False), (3, True), (6, True)])
async def test_classic_account_is_an_obstacle(status, is_usable):
    account = {"unifiedMarginStatus": status}
    found = await configuration_of(BybitConfigurationApi(), answers(account=account))
    assert (not found.obstacles) is is_usable
