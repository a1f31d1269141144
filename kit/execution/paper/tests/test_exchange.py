"""Orders on paper against a market that is told by hand."""

from decimal import Decimal

import pytest
from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.contract import RequestAccepted, RequestRejected
from kit.execution.paper.tests.markets import SELL, SYMBOL, PaperVenue

D = Decimal
FOK = {"time_in_force": pb.TIME_IN_FORCE_FILL_OR_KILL}
IOC = {"time_in_force": pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL}
OPEN, PARTLY, FILLED = (
    pb.ORDER_STATE_OPEN,
    pb.ORDER_STATE_PARTLY_FILLED,
    pb.ORDER_STATE_FILLED,
)
CANCELLED, EXPIRED, TAKEN, REJECTED = (
    pb.ORDER_STATE_CANCELLED,
    pb.ORDER_STATE_EXPIRED,
    pb.ORDER_STATE_ACKNOWLEDGED,
    pb.ORDER_STATE_REJECTED,
)


@pytest.fixture
def floor():
    """Bids 99 and 98, asks 101 and 102."""
    found = PaperVenue()
    found.market.whole([(99, 5), (98, 7)], [(101, 2), (102, 4)])
    return found


def refused(receipt):
    assert isinstance(receipt, RequestRejected), receipt
    return receipt.reason


def test_who_takes_pays_what_is_displayed_level_by_level(floor):
    receipt = floor.place(size=3)
    assert (receipt.order.state, receipt.order.filled_size) == (FILLED, 3)
    assert floor.fills() == [(D(101), D(2)), (D(102), D(1))]
    assert receipt.order.average_price == (D(304) / 3).quantize(D("1e-16"))
    assert floor.totals() == {"USDT": D(10_000 - 304), "BTC": D("12.994")}


def test_what_was_taken_cannot_be_taken_again(floor):
    floor.place(size=3)
    assert floor.place(size=3).order.state == FILLED
    assert floor.fills()[2:] == [(D(102), D(3))]
    left = floor.place(size=1)
    assert (left.order.state, left.order.filled_size) == (EXPIRED, 0)
    # The venue says that there is more: only what has come can be taken.
    floor.market.change(False, 101, "2.5")
    assert floor.place(size=1).order.filled_size == D("0.5")
    # A level that was gone is a new one.
    floor.market.change(False, 102, 0)
    floor.market.change(False, 102, 4)
    assert floor.place(size=9).order.filled_size == 4


def test_a_limit_order_takes_as_far_as_its_price_and_waits_with_the_rest(floor):
    receipt = floor.place("101.5", 3)
    assert (receipt.order.state, receipt.order.filled_size) == (PARTLY, 2)
    assert floor.fills() == [(D(101), D(2))]
    assert floor.market.watched == {SYMBOL}
    assert floor.free()["USDT"] == D(10_000) - 202 - D("101.5")


def test_one_that_waits_is_filled_behind_those_who_were_there(floor):
    receipt = floor.place(99, 2)
    assert receipt.order.state == OPEN
    floor.market.trade(99, 4)
    assert floor.filled(receipt) == 0
    floor.market.trade(99, 2)
    assert floor.filled(receipt) == 1
    floor.market.trade(99, 1, buys=True)
    assert floor.filled(receipt) == 1
    floor.market.trade(99, 5)
    assert floor.now(receipt).state == FILLED
    fees = [fill.fees[0] for fill in floor.exchange.fills("", 0)]
    assert [(fee.asset, fee.amount) for fee in fees] == [("BTC", D("0.001"))] * 2
    assert floor.totals() == {"USDT": D(9_802), "BTC": D("11.998")}
    assert floor.totals() == floor.free()


def test_a_trade_behind_its_price_fills_it_at_its_own(floor):
    receipt = floor.place(99, 2)
    floor.market.trade("98.5", "0.5")
    assert floor.filled(receipt) == D("0.5")
    assert floor.fills() == [(D(99), D("0.5"))]


def test_no_more_is_filled_than_was_traded_among_all_orders(floor):
    first, second = floor.place(99, 1), floor.place(99, 1)
    floor.market.trade(99, "6.5")
    assert (floor.filled(first), floor.filled(second)) == (1, D("0.5"))


def test_the_better_price_is_filled_first(floor):
    worse, better = floor.place("99.5", 1), floor.place(100, 1)
    floor.market.trade("99.5", "1.5")
    assert (floor.filled(better), floor.filled(worse)) == (1, D("0.5"))


def test_what_comes_to_its_price_on_the_other_side_fills_it(floor):
    receipt = floor.place(100, 3)
    floor.market.change(False, "99.5", 2)
    assert floor.filled(receipt) == 2
    floor.market.change(False, "99.5", 1)
    assert floor.filled(receipt) == 2
    floor.market.change(False, "99.5", "1.5")
    assert floor.filled(receipt) == D("2.5")
    assert {price for price, _ in floor.fills()} == {D(100)}


def test_what_happened_before_it_came_is_not_for_it():
    floor = PaperVenue()
    floor.market.whole([(99, 5)], [(101, 2)], time_ns=1000)
    receipt = floor.place(99, 1)
    floor.market.trade(99, 50, time_ns=1000)
    assert floor.filled(receipt) == 0
    floor.market.trade(99, 6, time_ns=1001)
    assert floor.filled(receipt) == 1


def test_a_trade_and_the_book_that_shows_it_count_once():
    floor = PaperVenue()
    floor.market.whole([(99, 5)], [(101, 2)], time_ns=1000)
    receipt = floor.place(99, 1)
    floor.market.change(True, 99, 2, time_ns=2000)
    floor.market.trade(99, 3, time_ns=1500)
    floor.market.trade(99, 2, time_ns=2500)
    assert floor.filled(receipt) == 0
    floor.market.trade(99, 1, time_ns=2600)
    assert floor.filled(receipt) == 1


def test_a_level_that_falls_out_of_view_is_not_empty():
    floor = PaperVenue()
    floor.market.whole([(99, 5), (98, 7)], [(101, 2)])
    receipt = floor.place(98, 1)
    floor.market.change(True, 98, 0)
    floor.market.trade(98, 3)
    assert floor.filled(receipt) == 0
    floor.market.trade(98, 5)
    assert floor.filled(receipt) == 1


def test_behind_what_is_in_view_nobody_knows_what_stands(floor):
    receipt = floor.place(50, 1)
    floor.market.trade(50, 100)
    assert floor.filled(receipt) == 0
    floor.market.change(True, 50, 3)
    floor.market.trade(50, 4)
    assert floor.filled(receipt) == 1


def test_post_only_immediate_and_all_or_nothing(floor):
    assert refused(floor.place(101, post_only=True)) == pb.REJECT_REASON_WOULD_TAKE
    assert floor.place(100, post_only=True).order.state == OPEN
    assert refused(floor.place(101, 3, **FOK)) == pb.REJECT_REASON_WOULD_NOT_FILL
    assert floor.place(102, 3, **FOK).order.state == FILLED
    some = floor.place(102, 5, **IOC)
    assert (some.order.state, some.order.filled_size) == (EXPIRED, 3)


def test_an_order_ends_at_its_time(floor):
    ends_ns = floor.clock.now_ns + 5
    more = {"time_in_force": pb.TIME_IN_FORCE_GOOD_TILL_TIME, "expire_time_ns": ends_ns}
    receipt = floor.place(99, **more)
    floor.exchange.expire()
    assert floor.now(receipt).state == OPEN
    assert floor.exchange.next_expiry_ns() == ends_ns
    floor.clock.now_ns = ends_ns
    floor.exchange.expire()
    assert floor.now(receipt).state == EXPIRED
    assert floor.free() == floor.totals()


def test_more_than_there_is_cannot_be_given(floor):
    funds = pb.REJECT_REASON_INSUFFICIENT_FUNDS
    assert refused(floor.place(99, 102)) == funds
    assert refused(floor.place(101, 11, side=SELL)) == funds
    floor.place(99, 100)
    assert refused(floor.place(99, 2)) == funds
    assert refused(floor.place(size=2)) == funds
    assert floor.exchange.open_orders("")[0].size == 100


def test_orders_of_one_account_do_not_meet(floor):
    own = floor.place(100, side=SELL)
    assert refused(floor.place(100)) == pb.REJECT_REASON_SELF_TRADE
    assert refused(floor.place(size=1)) == pb.REJECT_REASON_SELF_TRADE
    floor.place("101.5", side=SELL)
    floor.exchange.cancel(floor.key(own))
    assert floor.place(size=2).order.state == FILLED


def test_while_the_book_is_in_doubt_orders_wait(floor):
    waiting = floor.place(99, 2)
    floor.market.doubt()
    floor.market.trade(99, 50)
    floor.market.trade(98, 50)
    assert floor.filled(waiting) == 0
    new = floor.place(size=1)
    assert (new.order.state, new.order.filled_size) == (TAKEN, 0)
    assert "doubt" in new.order.detail
    post_only = floor.place(102, post_only=True)
    floor.market.whole([(99, 3)], [(101, 2)], time_ns=10)
    assert floor.now(new).state == FILLED
    assert floor.now(post_only).reject_reason == pb.REJECT_REASON_WOULD_TAKE
    # It has kept its place, and is not behind more than is there now.
    floor.market.trade(99, 4, time_ns=11)
    assert floor.filled(waiting) == 1


def test_what_is_not_subscribed_to_cannot_be_traded(floor):
    floor.market.kept.clear()
    assert refused(floor.place(99)) == pb.REJECT_REASON_INSTRUMENT
    assert refused(floor.place(99, symbol="NEVER")) == pb.REJECT_REASON_INSTRUMENT


def test_an_amended_order_keeps_its_place_when_it_only_gets_smaller(floor):
    receipt = floor.place(99, 2)
    request = structs.replace(floor.request(99, 1), client_order_id="")
    assert isinstance(floor.exchange.amend(floor.key(receipt), request), RequestAccepted)
    floor.market.change(True, 99, 20)
    floor.market.trade(99, 6)
    assert floor.now(receipt).state == FILLED
    other = floor.place(99, 1)
    floor.exchange.amend(floor.key(other), structs.replace(request, size=D(2)))
    floor.market.trade(99, 19)
    assert floor.filled(other) == 0
    floor.market.trade(99, 3)
    assert floor.filled(other) == 2
    assert refused(floor.exchange.amend(floor.key(other), request)) == pb.REJECT_REASON_OTHER


def test_what_is_cancelled_holds_nothing_and_is_cancelled_once(floor):
    receipt = floor.place(99, 2)
    assert floor.free()["USDT"] == 10_000 - 198
    assert isinstance(floor.exchange.cancel(floor.key(receipt)), RequestAccepted)
    assert floor.now(receipt).state == CANCELLED
    assert floor.free() == floor.totals()
    assert isinstance(floor.exchange.cancel(floor.key(receipt)), RequestRejected)
    assert not floor.market.watched
