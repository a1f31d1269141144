"""Orders on paper meet what is played, also when the playback is made again."""

import pytest
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from core.playback.tests.stage import BOOK, EPOCH, TRADES, Stage, changes, doubt, window
from kit.base.cursor import Cursor
from kit.execution.contract import RequestAccepted, RequestRejected

OPEN = pb.ORDER_STATE_OPEN
WHOLE = window(10, book=changes(10, [(100, 5), (99, 7)], [(103, 4)], whole=True))
"""A book."""


def state(stage, receipt):
    return stage.order(receipt).state


async def test_an_order_takes_what_is_displayed_where_the_play_stands():
    stage = Stage()
    await stage.play([WHOLE, window(20, book=changes(20, [], [(102, 1)]))])
    assert isinstance(stage.place(None, 3), RequestAccepted)
    assert stage.fills() == [(102, 1), (103, 2)]


async def test_who_waits_is_filled_by_what_is_traded_behind_what_stood_there():
    stage = Stage()
    await stage.play([WHOLE])
    order = stage.place(100, 4)
    await stage.play([window(20, trades=[(100, 3)]), window(30, trades=[(100, 3), (100, 2)])])
    assert stage.fills() == [(100, 1), (100, 2)]
    assert stage.order(order).filled_size == 3


async def test_an_order_that_comes_before_the_book_waits_for_it():
    stage = Stage()
    order = stage.place(99, 1)
    assert state(stage, order) == pb.ORDER_STATE_ACKNOWLEDGED
    await stage.play([WHOLE])
    assert state(stage, order) == OPEN


async def test_what_the_record_has_no_book_of_is_refused():
    stage = Stage(books=())
    await stage.play([WHOLE])
    receipt = stage.place(99, 1)
    assert isinstance(receipt, RequestRejected)
    assert receipt.reason == pb.REJECT_REASON_INSTRUMENT


@pytest.mark.parametrize("symbol", ["BTCUSDT", ""])
async def test_nothing_fills_behind_a_gap_until_the_book_is_whole(symbol):
    stage = Stage()
    await stage.play([WHOLE])
    order = stage.place(101, 4)
    await stage.play([window(20, gaps=[doubt(15, symbol)], trades=[(99, 9)])])
    await stage.play([window(30, trades=[(99, 9)])])
    late = stage.place(None, 1)
    assert stage.fills() == []
    assert state(stage, late) == pb.ORDER_STATE_ACKNOWLEDGED
    await stage.play([window(40, book=changes(40, [(100, 5)], [(103, 4)], whole=True))])
    assert stage.fills() == [(103, 1)]
    await stage.play([window(50, trades=[(100, 9)])])
    assert stage.order(order).state == pb.ORDER_STATE_FILLED


PLAY = [
    WHOLE,
    window(20, trades=[(101, 1)]),
    window(30, trades=[(101, 1), (101, 1)]),
    window(40, trades=[(101, 2)]),
    window(50, trades=[(100, 3)]),
]


@pytest.mark.parametrize("died_after", range(2, len(PLAY) + 1))
async def test_a_play_that_is_made_again_fills_nothing_twice_and_nothing_before_its_time(
    died_after,
):
    """The order is placed behind the second window; the process dies behind a later one."""
    whole = Stage()
    await whole.play(PLAY[:2])
    whole.place(101, 10)
    await whole.play(PLAY[2:])
    assert whole.fills() == [(101, 1), (101, 1), (101, 2), (101, 3)]

    first = Stage()
    await first.play(PLAY[:2])
    order = first.place(101, 10)
    await first.play(PLAY[2:died_after])
    second = Stage(first.steps)
    wanted = first.fills()
    for count, one in enumerate(PLAY, 1):
        await second.play([one])
        assert second.fills()[: len(wanted)] == wanted
        assert count > died_after or second.fills() == wanted
    assert second.fills() == whole.fills()
    assert second.order(order).filled_size == 7


async def test_an_order_finds_its_place_where_it_was_however_fast_the_play_is_made_again():
    first = Stage()
    await first.play(PLAY[:2])
    first.place(101, 10)
    second = Stage(first.steps)
    below = window(60, book=changes(60, [], [(101, 2)]))
    await second.play([*PLAY, below])
    assert second.fills() == [(101, 1), (101, 1), (101, 2), (101, 3), (101, 2)]


async def test_an_order_that_arrives_while_the_play_is_behind_waits_until_it_is_there():
    first = Stage()
    await first.play(PLAY[:3])
    first.place(98, 1)
    second = Stage(first.steps)
    await second.play(PLAY[:2])
    order = second.place(None, 1)
    assert state(second, order) == pb.ORDER_STATE_ACKNOWLEDGED
    await second.play(PLAY[2:4])
    assert second.fills() == [(103, 1)]


async def test_what_waited_in_another_past_is_cancelled():
    first = Stage()
    await first.play([WHOLE])
    order = first.place(100, 1)
    second = Stage(first.steps, epoch=EPOCH + 1)
    new = window(5, book=changes(5, [(10, 1)], [(11, 1)], whole=True))
    await second.play([new])
    assert second.fills() == []
    assert state(second, order) == pb.ORDER_STATE_CANCELLED
    assert "another past" in second.order(order).detail
    waits = second.place(10, 1)
    await second.play([window(6, trades=[(9, 1)])])
    assert state(second, waits) == pb.ORDER_STATE_FILLED


async def test_an_account_without_orders_goes_into_another_past_as_it_is():
    first = Stage()
    await first.play([WHOLE])
    first.place(None, 3)
    second = Stage(first.steps, epoch=EPOCH + 1)
    await second.play([WHOLE])
    assert second.floor.totals() == first.floor.totals()
    assert state(second, second.place(99, 1)) == OPEN


async def test_an_epoch_that_is_raised_when_the_play_begins_is_another_past():
    first = Stage()
    await first.play([WHOLE, window(20, book=changes(20, [(99, 6)], []))])
    order = first.place(100, 1)
    second = Stage(first.steps)
    second.hub.start_epoch(EPOCH + 1)
    await second.play([WHOLE])
    assert state(second, order) == pb.ORDER_STATE_CANCELLED
    assert state(second, second.place(99, 1)) == OPEN
    await second.play([window(20, trades=[(99, 1)])])
    assert second.fills() == []


async def test_what_waited_does_not_meet_another_past_that_is_played_already():
    first = Stage()
    await first.play([WHOLE])
    order = first.place(102, 1)
    second = Stage(epoch=EPOCH + 1)
    await second.play([window(5, book=changes(5, [(10, 1)], [(11, 1)], whole=True))])
    second.steps = first.steps
    second.open()
    await second.play([window(6, trades=[(11, 1)])])
    assert second.fills() == []
    assert state(second, order) == pb.ORDER_STATE_CANCELLED


async def test_how_far_it_was_heard_is_known_when_nothing_is_watched_any_more():
    stage = Stage()
    await stage.play([WHOLE])
    stage.place(None, 1)
    assert stage.feed.position()[BOOK] == Cursor(EPOCH, 1)
    await stage.play([window(20, trades=[(100, 1)])])
    assert stage.feed.position()[TRADES].epoch == EPOCH
    assert not stage.feed.is_behind()


async def test_books_whose_numbers_do_not_fit_are_let_go_and_the_play_goes_on():
    stage = Stage()
    await stage.play([window(10, book=changes(10, [(10**17, 1)], [], whole=True))])
    assert stage.market.levels("BTCUSDT", True, 1) == [(10**17, 1)]
    await stage.play([window(20, book=changes(20, [(1, 1)], [], places=5))])
    assert stage.market.levels("BTCUSDT", True, 1) is None
    assert isinstance(stage.place(99, 1), RequestRejected)
    await stage.play([window(30, book=changes(30, [(1, 1)], []))])
    assert stage.hub.cursor(BOOK).sequence == 3
