"""When stop, take-profit and trailing-stop orders trigger.

A stop that buys and a take-profit that sells trigger when the price rises to the trigger price; a
stop that sells and a take-profit that buys when it falls to it. The trigger price of a trailing
stop keeps a distance to the best price so far.
"""

from decimal import Decimal
from typing import TypeVar

Price = TypeVar("Price", int, Decimal)


def triggers_on_rise(buys: bool, is_take_profit: bool) -> bool:
    """Whether an order triggers when the price rises to its trigger price."""
    return buys is not is_take_profit


def is_triggered(price: Price, trigger_price: Price, on_rise: bool) -> bool:
    """Whether a price has reached a trigger price."""
    return price >= trigger_price if on_rise else price <= trigger_price


def best_price(price: Price, best: Price | None, buys: bool) -> Price:
    """Return the best price that a trailing stop has seen after one more price: the lowest if it
    buys, the highest if it sells. ``best``: the one before; None if there was none."""
    if best is None:
        return price
    return min(price, best) if buys else max(price, best)


def trailing_price(best: Price, distance: Price, buys: bool) -> Price:
    """Return the trigger price of a trailing stop. Decimals are added in the current context."""
    return best + distance if buys else best - distance
