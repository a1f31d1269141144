"""How much stands before an order, by hand."""

from decimal import Decimal

from kit.execution.paper.queue_position import QueuePosition

D = Decimal


def test_trades_reach_an_order_when_nobody_stands_before_it():
    queue = QueuePosition(D(10))
    assert queue.trade(D(4), is_shown=False) == 0
    assert queue.ahead == 6
    assert queue.trade(D(9), is_shown=False) == 3
    assert queue.trade(D(2), is_shown=False) == 2


def test_those_who_cancel_stood_behind_it_while_that_is_possible():
    queue = QueuePosition(D(10))
    queue.show(D(30))
    queue.show(D(12))
    assert queue.ahead == 10
    queue.show(D(7))
    assert queue.ahead == 7


def test_a_trade_that_the_book_has_told_already_counts_once():
    queue = QueuePosition(D(10))
    queue.show(D(6))
    assert queue.trade(D(4), is_shown=True) == 0
    assert queue.ahead == 6
    # Behind it stood 4 that cancelled; of the trade of 6 the book has shown only 2 before it.
    other = QueuePosition(D(10))
    other.show(D(12))
    other.show(D(8))
    assert other.trade(D(4), is_shown=True) == 0
    assert other.ahead == 6


def test_a_trade_that_is_told_before_the_book_counts_once():
    queue = QueuePosition(D(10))
    assert queue.trade(D(4), is_shown=False) == 0
    queue.show(D(8))
    assert queue.ahead == 6


def test_what_is_not_in_view_is_not_known():
    queue = QueuePosition(None)
    assert queue.trade(D(100), is_shown=False) == 0
    queue.show(D(3))
    assert queue.trade(D(4), is_shown=False) == 1


def test_behind_a_trade_at_a_worse_price_nobody_stands_before_it():
    queue = QueuePosition(D(10))
    queue.pass_through()
    assert queue.trade(D(1), is_shown=True) == 1
