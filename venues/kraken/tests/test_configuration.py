"""What Kraken's answers about a key mean."""

import pytest

from kit.execution.tests.configuration_suite import configuration_of
from venues.kraken.configuration import KrakenConfigurationApi


@pytest.mark.parametrize(
    ("permissions", "may_trade", "excess"),
    [
        (["query-funds", "modify-trades"], True, []),
        (["query-funds", "close-trades"], False, []),
        (["modify-trades", "withdraw-funds"], True, ["withdraw"]),
    ],
)
async def test_key_trades_if_it_may_modify_orders(permissions, may_trade, excess):
    answers = {"privatePostGetApiKeyInfo": {"error": [], "result": {"permissions": permissions}}}
    found = await configuration_of(KrakenConfigurationApi(), answers)
    assert (found.may_trade, found.excess_permissions) == (may_trade, excess)
    assert (found.position_mode, found.margin_mode, found.symbols) == (None, None, None)
