"""When stop, take-profit and trailing-stop orders trigger.

A stop that buys and a take-profit that sells trigger when the price rises to the trigger price; a
stop that sells and a take-profit that buys when it falls to it. The trigger price of a trailing
stop follows the price at a distance and never moves away from it again.
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


def trailing_price(price: int, trigger_price: int, distance: int, buys: bool) -> int:
    """Return the trigger price of a trailing stop after a trade. ``trigger_price``: the one before
    it, or 0 if there was none."""
    if buys:
        near = price + distance
        return min(trigger_price, near) if trigger_price else near
    return max(trigger_price, price - distance)
