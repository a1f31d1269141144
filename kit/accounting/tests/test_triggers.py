"""Trigger prices of stops, take-profits and trailing stops."""

import pytest

from kit.accounting.stop_triggers import best_price, is_triggered, trailing_price, triggers_on_rise


@pytest.mark.parametrize(
    ("buys", "is_take_profit", "on_rise"),
    [(True, False, True), (False, False, False), (True, True, False), (False, True, True)],
)
def test_stops_and_take_profits_wait_for_opposite_directions(buys, is_take_profit, on_rise):
    assert triggers_on_rise(buys, is_take_profit) is on_rise
    found = [is_triggered(price, 100, on_rise) for price in (99, 100, 101)]
    assert found == ([False, True, True] if on_rise else [True, True, False])


def test_a_trailing_stop_follows_the_price_and_never_moves_away():
    high = low = None
    for price, sell_stop, buy_stop in (
        (100, 95, 105),
        (103, 98, 105),
        (97, 98, 102),
        (99, 98, 102),
    ):
        high = best_price(price, high, buys=False)
        low = best_price(price, low, buys=True)
        sells = trailing_price(high, 5, buys=False)
        buys = trailing_price(low, 5, buys=True)
        assert (sells, buys) == (sell_stop, buy_stop)
