import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.base.cursor import Cursor, StreamKey
from kit.base.errors import ProcessDraining, SubscriberTooSlow, TooManySubscribers
from kit.marketdata.delivery.subscription import (
    RESPONSE_BYTES_MAX,
    LosslessBuffer,
    PublishedBatch,
    Subscribers,
    frame,
    responses_of,
)

TRADES = StreamKey("binance", types_pb2.CHANNEL_TRADES)
QUOTES = StreamKey("binance", types_pb2.CHANNEL_QUOTES)


def trades(sequence: int, *symbols: str) -> PublishedBatch:
    """One trade of each symbol; the sequence is its price and its trade id."""
    cursor = Cursor(1, sequence)
    batch = batch_pb2.MarketDataBatch(
        venue="binance",
        channel=types_pb2.CHANNEL_TRADES,
        cursor=cursor.message(),
        instruments=[batch_pb2.InstrumentEntry(symbol=symbol) for symbol in symbols],
        trades=batch_pb2.TradeColumns(
            instrument=range(len(symbols)),
            price=[sequence] * len(symbols),
            trade_id=[sequence] * len(symbols),
        ),
    )
    return PublishedBatch(TRADES, cursor, batch.SerializeToString())


def sequences(response: bytes) -> list[int]:
    message = market_data_pb2.SubscribeResponse.FromString(response)
    return [batch.cursor.sequence for batch in message.batches]


@given(st.integers(0, 70_000))
def test_a_frame_is_one_element_of_a_response(size):
    batch = batch_pb2.MarketDataBatch(venue="x" * size)
    response = frame(batch.SerializeToString())
    message = market_data_pb2.SubscribeResponse.FromString(response)
    assert list(message.batches) == [batch]


def test_what_gathered_comes_in_one_response_and_in_order():
    mailbox = LosslessBuffer(1000)
    for sequence in (1, 2, 3):
        mailbox.offer(trades(sequence, "A"))
    assert sequences(mailbox.take()) == [1, 2, 3]
    assert mailbox.take() == b""
    assert mailbox.waiting_bytes == 0


def test_only_the_batches_with_a_wanted_symbol_are_taken():
    mailbox = LosslessBuffer(1000)
    for publication in (trades(1, "A", "B"), trades(2, "B"), trades(3, "A")):
        mailbox.offer(publication, frozenset({"A"}))
    message = market_data_pb2.SubscribeResponse.FromString(mailbox.take())
    assert [list(batch.trades.trade_id) for batch in message.batches] == [[1], [3]]


def test_a_selection_is_made_once_for_all_readers_with_the_same_symbols():
    publication = trades(1, "A", "B")
    assert publication.framed_for(frozenset({"A"})) is publication.framed_for(frozenset({"A"}))
    assert publication.framed_for(frozenset({"A", "B"})) is publication.framed


def test_what_has_aged_says_the_same_and_keeps_nothing():
    publication, wanted = trades(1, "A", "B"), frozenset({"A"})
    fresh = publication.framed_for(wanted)
    publication.age()
    assert publication.framed_for(wanted) == fresh
    assert publication.framed_for(wanted) is not publication.framed_for(wanted)
    assert publication.message is not publication.message


def test_a_full_mailbox_ends_with_the_cursor_of_the_last_batch_handed_out():
    size = len(trades(1, "A").framed)
    mailbox = LosslessBuffer(2 * size)
    mailbox.offer(trades(1, "A"))
    mailbox.offer(trades(2, "A"))
    assert sequences(mailbox.take()) == [1, 2]
    for sequence in (3, 4, 5):
        mailbox.offer(trades(sequence, "A"))
    assert mailbox.waiting_bytes == 0
    with pytest.raises(SubscriberTooSlow) as caught:
        mailbox.take()
    assert caught.value.metadata == {"venue": "binance", "channel": "trades", "cursor": "1-2"}


def test_a_mailbox_that_never_handed_out_anything_names_no_cursor():
    mailbox = LosslessBuffer(1)
    mailbox.offer(trades(1, "A"))
    mailbox.offer(trades(2, "A"))
    with pytest.raises(SubscriberTooSlow) as caught:
        mailbox.take()
    assert caught.value.metadata["cursor"] == ""


def test_an_empty_mailbox_takes_a_batch_that_is_larger_than_it():
    mailbox = LosslessBuffer(1)
    mailbox.offer(trades(1, "A"))
    assert sequences(mailbox.take()) == [1]


def test_one_response_is_bounded():
    mailbox = LosslessBuffer(10 * RESPONSE_BYTES_MAX)
    large = b"x" * (RESPONSE_BYTES_MAX // 2)
    for sequence in (1, 2, 3):
        mailbox.put(TRADES, Cursor(1, sequence), large)
    assert [len(mailbox.take()) for _ in range(3)] == [2 * len(large), len(large), 0]


@given(
    st.lists(st.one_of(st.integers(1, 60), st.none()), max_size=60),
    st.integers(1, 200),
)
def test_what_was_handed_out_is_a_prefix_and_the_error_names_its_end(steps, buffer_bytes_max):
    """Numbers are batch sizes that are put, None takes."""
    mailbox = LosslessBuffer(buffer_bytes_max)
    put: list[int] = []
    taken: list[int] = []
    error = None
    for step in steps:
        if step is None:
            try:
                taken += mailbox.take()
            except SubscriberTooSlow as caught:
                error = caught
                break
        else:
            put.append(len(put) + 1)
            mailbox.put(TRADES, Cursor(1, len(put)), bytes([len(put)]) * step)
            assert mailbox.waiting_bytes <= max(buffer_bytes_max, step)
    seen = list(dict.fromkeys(taken))
    assert seen == put[: len(seen)]
    if error is not None:
        assert error.metadata["cursor"] == (f"1-{seen[-1]}" if seen else "")


async def test_a_waiting_reader_gets_what_comes():
    mailbox = LosslessBuffer(1000)
    responses = mailbox.responses()
    first = asyncio.ensure_future(anext(responses))
    await asyncio.wait([first], timeout=0)
    assert not first.done()
    mailbox.offer(trades(1, "A"))
    assert sequences(await first) == [1]
    mailbox.end(SubscriberTooSlow("for the test"))
    with pytest.raises(SubscriberTooSlow):
        await anext(responses)


def test_a_slow_reader_does_not_delay_another():
    subscribers = Subscribers(2)
    slow, quick = LosslessBuffer(100), LosslessBuffer(100)
    with subscribers.admit() as first, subscribers.admit() as second:
        first.join(TRADES, slow)
        second.join(TRADES, quick)
        for sequence in range(1, 50):
            subscribers.publish(trades(sequence, "A"))
            assert sequences(quick.take()) == [sequence]
    assert slow.ended
    assert not quick.ended


def test_readers_get_only_their_channel_and_only_what_is_after_their_cursor():
    subscribers = Subscribers(2)
    resumed, other = LosslessBuffer(1000), LosslessBuffer(1000)
    with subscribers.admit() as first, subscribers.admit() as second:
        first.join(TRADES, resumed, after=Cursor(1, 2))
        second.join(QUOTES, other)
        for sequence in (1, 2, 3, 4):
            subscribers.publish(trades(sequence, "A"))
    assert sequences(resumed.take()) == [3, 4]
    assert other.take() == b""


def test_readers_are_bounded_in_number_and_leave_nothing_behind():
    subscribers = Subscribers(1)
    mailbox = LosslessBuffer(1000)
    with subscribers.admit() as subscription:
        subscription.join(TRADES, mailbox)
        with pytest.raises(TooManySubscribers) as caught, subscribers.admit():
            pass
        assert caught.value.metadata == {"limit": "1"}
    subscribers.publish(trades(1, "A"))
    assert mailbox.take() == b""
    assert len(subscribers) == 0
    with subscribers.admit():
        assert len(subscribers) == 1


def test_all_readers_can_be_ended_at_once():
    subscribers = Subscribers(1)
    mailbox = LosslessBuffer(1000)
    with subscribers.admit() as subscription:
        subscription.join(TRADES, mailbox)
        subscribers.end(ProcessDraining("for the test"))
        with pytest.raises(ProcessDraining):
            mailbox.take()


def test_who_joins_when_all_are_ended_is_ended_too():
    subscribers = Subscribers(1)
    mailbox = LosslessBuffer(1000)
    with subscribers.admit() as subscription:
        subscribers.end(ProcessDraining("for the test"))
        subscription.join(TRADES, mailbox)
        with pytest.raises(ProcessDraining):
            mailbox.take()


@given(st.lists(st.integers(1, RESPONSE_BYTES_MAX + 10), max_size=8))
def test_frames_become_few_bounded_responses(sizes):
    responses = list(responses_of(b"x" * size for size in sizes))
    assert sum(map(len, responses)) == sum(sizes)
    assert all(len(each) <= max(RESPONSE_BYTES_MAX, *sizes) for each in responses)
    neighbours = pairwise(responses)
    assert all(len(left) + len(right) > RESPONSE_BYTES_MAX for left, right in neighbours)
