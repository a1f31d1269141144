"""The engine against an independent exchange; and against itself."""

import pytest

from kit.accounting.fees import FeeAsset
from kit.simulator.matching.contract import SelfTradeMode
from kit.simulator.matching.tests.comparison import Comparison

ACTIONS = 1_200


@pytest.mark.parametrize("fee_asset", FeeAsset)
@pytest.mark.parametrize("self_trade", SelfTradeMode)
def test_random_orders_fill_as_in_the_textbook(fee_asset: FeeAsset, self_trade: SelfTradeMode):
    agreement = Comparison(7, fee_asset, self_trade)
    agreement.run(ACTIONS)
    assert min(agreement.orders, agreement.fills) > ACTIONS / 3
    assert agreement.refused


def test_the_same_seed_and_calls_give_the_same_fills():
    runs = []
    for _ in range(2):
        agreement = Comparison(11, FeeAsset.RECEIVED, SelfTradeMode.CANCEL_OLDEST)
        agreement.run(ACTIONS)
        exchange = agreement.market.exchange
        runs.append((exchange.fills("ann"), exchange.orders("bob"), agreement.market.events))
    assert runs[0] == runs[1]
    assert runs[0][0]
