"""What is displayed can be taken once."""

from decimal import Decimal

import pytest

from kit.execution.paper import consumed_liquidity
from kit.execution.paper.consumed_liquidity import ConsumedLiquidity, LevelKey

D = Decimal
ASK = LevelKey("BTCUSDT", False, D(101))


@pytest.fixture
def taken():
    """Of 5 that are displayed, 3 are taken."""
    found = ConsumedLiquidity()
    found.take(ASK, D(5), D(3))
    return found


def test_what_is_left_can_be_taken(taken):
    assert taken.left(ASK, D(5)) == 2
    assert taken.left(ASK._replace(price=D(102)), D(5)) == 5
    assert taken.left(ASK._replace(is_bid=True), D(5)) == 5


def test_what_comes_can_be_taken_and_what_goes_was_ours_last(taken):
    assert taken.left(ASK, D(6)) == 3
    assert taken.left(ASK, D(4)) == 3
    assert taken.left(ASK, D(1)) == 1
    assert taken.symbols() == set()


def test_a_level_that_was_gone_is_new(taken):
    taken.show(ASK, D(0))
    assert taken.left(ASK, D(5)) == 5


def test_a_whole_book_tells_of_every_level(taken):
    other = ASK._replace(symbol="other")
    taken.take(other, D(1), D(1))
    taken.show_all("BTCUSDT", {(False, D(101)): D(6)})
    assert taken.left(ASK, D(6)) == 3
    taken.show_all("BTCUSDT", {})
    assert taken.symbols() == {"other"}


def test_only_so_many_levels_are_remembered(monkeypatch, taken):
    monkeypatch.setattr(consumed_liquidity, "LEVELS_MAX", 2)
    for price in (102, 103):
        taken.take(ASK._replace(price=D(price)), D(1), D(1))
    assert taken.left(ASK, D(5)) == 5
    assert taken.left(ASK._replace(price=D(103)), D(1)) == 0
