"""What Binance's answers about an account and its key mean."""

from decimal import Decimal

import pytest

from kit.execution.account_configuration import SymbolConfiguration
from kit.execution.tests.configuration_suite import configuration_of
from venues.binance.configuration import (
    BinanceFuturesConfigurationApi,
    BinanceSpotConfigurationApi,
    position_mode_of,
)

KEY = {
    "enableReading": True,
    "enableFutures": True,
    "enableSpotAndMarginTrading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
}


def futures(account=None, key=None, rows=()):
    return {
        "fapiPrivateGetAccountConfig": {
            "canTrade": True,
            "dualSidePosition": False,
            **(account or {}),
        },
        "fapiPrivateGetSymbolConfig": list(rows),
        "sapiGetAccountApiRestrictions": {**KEY, **(key or {})},
    }


async def test_futures_state_modes_leverage_and_permissions():
    rows = [
        {"symbol": "BTCUSDT", "marginType": "CROSSED", "leverage": 21},
        {"symbol": "ETHUSDT", "marginType": "ISOLATED", "leverage": 5},
        {"symbol": "XRPUSDT", "marginType": "NEW", "leverage": 1},
    ]
    api = BinanceFuturesConfigurationApi()
    found = await configuration_of(api, futures({"dualSidePosition": True}, rows=rows))
    assert found.position_mode == "hedge"
    assert found.symbols == {
        "BTCUSDT": SymbolConfiguration("cross", Decimal(21)),
        "ETHUSDT": SymbolConfiguration("isolated", Decimal(5)),
        "XRPUSDT": SymbolConfiguration(None, Decimal(1)),
    }
    assert found.may_trade is True
    assert found.excess_permissions == []


@pytest.mark.parametrize(
    ("account", "key", "may_trade"),
    [
        ({"canTrade": False}, {}, False),
        ({}, {"enableFutures": False}, False),
        ({"canTrade": None}, {}, None),
    ],
)
async def test_futures_are_traded_if_account_and_key_may(account, key, may_trade):
    found = await configuration_of(BinanceFuturesConfigurationApi(), futures(account, key))
    assert found.may_trade is may_trade


async def test_spot_is_traded_if_the_key_may_and_transfers_are_not_needed():
    key = {**KEY, "enableSpotAndMarginTrading": False, "permitsUniversalTransfer": True}
    answers = {
        "privateGetAccount": {"canTrade": True},
        "sapiGetAccountApiRestrictions": {**key, "enableWithdrawals": True},
    }
    found = await configuration_of(BinanceSpotConfigurationApi(), answers)
    assert found.may_trade is False
    assert found.excess_permissions == ["transfer", "withdraw"]
    assert (found.position_mode, found.margin_mode, found.symbols) == (None, None, None)


@pytest.mark.parametrize("answer", ["true", "false", None, 0])
def test_unclear_position_mode_is_not_taken_for_one(answer):
    with pytest.raises(ValueError, match="dualSidePosition"):
        position_mode_of(answer)
