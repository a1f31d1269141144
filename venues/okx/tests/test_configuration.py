"""What OKX's answers about an account and its key mean."""

from decimal import Decimal
from typing import Any

import pytest

from kit.execution.account_configuration import SymbolConfiguration
from kit.execution.tests.configuration_suite import PreparedQueries, configuration_of
from venues.okx.configuration import OkxConfigurationApi

SYMBOL = "BTC-USDT-SWAP"


def answers(leverages=(), **changes):
    row = {"acctLv": "2", "posMode": "net_mode", "perm": "read_only,trade", **changes}
    return {
        "privateGetAccountConfig": {"data": [row]},
        "privateGetAccountLeverageInfo": {"data": list(leverages)},
    }


async def test_swaps_have_a_position_mode_a_margin_mode_and_leverages():
    rows = [{"instId": SYMBOL, "mgnMode": "cross", "posSide": "net", "lever": "12.5"}]
    api = OkxConfigurationApi("SWAP")
    found = await configuration_of(api, answers(rows, posMode="long_short_mode"), [SYMBOL])
    assert (found.position_mode, found.margin_mode) == ("hedge", "cross")
    assert found.symbols == {SYMBOL: SymbolConfiguration(leverage=Decimal("12.5"))}
    assert not found.obstacles


@pytest.mark.parametrize(
    ("permissions", "may_trade", "excess"),
    [
        ("read_only", False, []),
        ("read_only,trade", True, []),
        ("read_only,withdraw,trade", True, ["withdraw"]),
    ],
)
async def test_spot_needs_the_permission_to_trade_only(permissions, may_trade, excess):
    given = answers(perm=permissions, posMode="long_short_mode", acctLv="1")
    found = await configuration_of(OkxConfigurationApi("SPOT"), given)
    assert (found.may_trade, found.excess_permissions) == (may_trade, excess)
    assert (found.position_mode, found.margin_mode, found.symbols) == (None, None, None)
    assert not found.obstacles


async def test_spot_mode_is_an_obstacle_for_swaps():
    found = await configuration_of(OkxConfigurationApi("SWAP"), answers(acctLv="1"))
    assert found.obstacles == [
        "the account is in Spot mode (acctLv 1), which has no swaps: choose Futures mode"
    ]


async def test_portfolio_margin_has_no_leverage_by_symbol():
    queries: Any = PreparedQueries(answers(acctLv="4"))
    found = await OkxConfigurationApi("SWAP").read(queries, [SYMBOL])
    assert (found.margin_mode, found.symbols) == ("portfolio", None)
    assert [method for method, _ in queries.asked] == ["privateGetAccountConfig"]


async def test_leverages_of_many_symbols_are_asked_for_in_several_calls():
    queries: Any = PreparedQueries(answers())
    symbols = [f"{number:02d}-USDT-SWAP" for number in range(45)]
    await OkxConfigurationApi("SWAP").read(queries, symbols)
    pages = [params["instId"].split(",") for _, params in queries.asked[1:]]
    assert [len(page) for page in pages] == [20, 20, 5]
    assert [one for page in pages for one in page] == symbols


async def test_unclear_position_mode_is_not_taken_for_one():
    with pytest.raises(LookupError):
        await configuration_of(OkxConfigurationApi("SWAP"), answers(posMode="new_mode"))
