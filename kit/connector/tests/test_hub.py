"""The hub: numbered without holes, each reader at its own pace, nothing lost in silence."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import SystemClock
from kit.base.cursor import Cursor
from kit.base.errors import CursorExpired, ProcessDraining, SubscriberTooSlow
from kit.base.telemetry import Meter
from kit.connector.publishing.hub import Hub
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.columns import NumberColumn, SymbolColumn, TradeRows
from tests.support.waiting import WAIT_SECONDS_MAX

TRADES, BOOK = types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK


def make_hub(ring_bytes_max: int = 1 << 20) -> Hub:
    return Hub("binance", 1000, SystemClock(), Meter("binance"), ring_bytes_max)


def trade(number: int, symbol: str = "BTCUSDT") -> BatchDraft:
    one, ones = np.array([1]), NumberColumn(np.array([1]), 0)
    rows = TradeRows(SymbolColumn.of([symbol]), ones, ones, one, one, one, np.array([number]))
    return encode.rows(rows)


def ids(response: bytes) -> list[int]:
    decoded = market_data_pb2.SubscribeResponse.FromString(response)
    return [number for batch in decoded.batches for number in batch.trades.trade_id]


def read_from(hub: Hub, cursor: Cursor | None = None, symbols: frozenset[str] = frozenset()):
    resume = {TRADES: cursor} if cursor else {}
    return hub.reader(resume, earliest=() if cursor else [TRADES], latest=(), symbols=symbols)


def test_batches_are_numbered_from_one() -> None:
    hub = make_hub()
    cursors = [hub.publish(TRADES, trade(number)) for number in range(3)]
    assert cursors == [Cursor(1000, 1), Cursor(1000, 2), Cursor(1000, 3)]
    assert hub.publish(BOOK, BatchDraft()) == Cursor(1000, 1)


def test_a_reader_gets_what_is_held_and_what_comes() -> None:
    hub = make_hub()
    hub.publish(TRADES, trade(1))
    reader = read_from(hub)
    hub.publish(TRADES, trade(2))
    assert ids(reader.take()) == [1, 2]
    assert reader.take() == b""


def test_batches_of_several_channels_come_in_the_order_of_publication() -> None:
    hub = make_hub()
    reader = hub.reader({}, earliest=[BOOK, TRADES], latest=(), symbols=frozenset())
    published = [TRADES, BOOK, BOOK, TRADES, BOOK]
    for number, channel in enumerate(published):
        hub.publish(channel, trade(number))
    batches = market_data_pb2.SubscribeResponse.FromString(reader.take()).batches
    assert [batch.channel for batch in batches] == published


def test_a_follower_reads_on_in_a_new_epoch_if_it_has_missed_nothing() -> None:
    hub = make_hub()
    follower = hub.follow([TRADES], frozenset())
    hub.start_epoch(2000)
    hub.publish(TRADES, trade(1))
    assert ids(follower.take()) == [1]
    hub.start_epoch(3000)
    with pytest.raises(SubscriberTooSlow):
        follower.take()


def test_only_what_every_reader_has_is_dropped_where_unread_batches_are_kept() -> None:
    hub = Hub("binance", 1000, SystemClock(), Meter("binance"), 200, keeps_unread=True)
    slow, quick = read_from(hub), read_from(hub, Cursor(1000, 30))
    for number in range(1, 51):
        hub.publish(TRADES, trade(number))
    assert ids(quick.take()) == list(range(31, 51))
    assert ids(slow.take()) == list(range(1, 51))
    hub.publish(TRADES, trade(51))
    assert hub.ring(TRADES).bytes <= 200
    assert ids(slow.take()) == [51]


def test_a_reader_resumes_after_its_cursor() -> None:
    hub = make_hub()
    cursors = [hub.publish(TRADES, trade(number)) for number in range(5)]
    assert ids(read_from(hub, cursors[2]).take()) == [3, 4]


@pytest.mark.parametrize(
    ("cursor", "why"),
    [(Cursor(999, 1), "other_epoch"), (Cursor(1000, 99), "ahead"), (Cursor(1000, 1), "too_old")],
)
def test_a_cursor_that_is_not_held_says_why(cursor: Cursor, why: str) -> None:
    hub = make_hub(ring_bytes_max=200)
    for number in range(50):
        hub.publish(TRADES, trade(number))
    with pytest.raises(CursorExpired) as caught:
        read_from(hub, cursor)
    assert caught.value.metadata["why"] == why
    assert caught.value.metadata["earliest"] == f"1000-{hub.ring(TRADES).first}"


def test_a_slow_reader_ends_with_its_cursor_and_delays_nobody() -> None:
    hub = make_hub(ring_bytes_max=500)
    slow, quick = read_from(hub), read_from(hub)
    got = []
    for number in range(50):
        hub.publish(TRADES, trade(number))
        got += ids(quick.take())
    assert got == list(range(50))
    with pytest.raises(SubscriberTooSlow) as caught:
        slow.take()
    assert caught.value.metadata["cursor"] == "1000-0"


def test_symbols_are_filtered() -> None:
    hub = make_hub()
    reader = read_from(hub, symbols=frozenset(["ETHUSDT"]))
    hub.publish(TRADES, trade(1))
    hub.publish(TRADES, trade(2, "ETHUSDT"))
    assert ids(reader.take()) == [2]


async def test_a_waiting_reader_is_woken() -> None:
    hub = make_hub()
    responses = read_from(hub).responses()
    waiting = asyncio.create_task(next_of(responses))
    await asyncio.sleep(0)
    hub.publish(TRADES, trade(7))
    assert ids(await asyncio.wait_for(waiting, WAIT_SECONDS_MAX)) == [7]
    await responses.aclose()


async def test_unread_counts_from_the_slowest_reader_or_where_the_last_one_left() -> None:
    hub = make_hub(ring_bytes_max=10_000)
    for number in range(20):
        hub.publish(TRADES, trade(number))
    before = hub.unread_bytes_share()
    assert before == pytest.approx(hub.ring(TRADES).bytes / 10_000)
    responses = read_from(hub).responses()
    await anext(responses)
    assert hub.unread_bytes_share() == 0
    await responses.aclose()
    assert hub.unread_bytes_share() == 0
    hub.publish(TRADES, trade(99))
    assert 0 < hub.unread_bytes_share() < before


def test_a_new_epoch_ends_the_readers_of_the_old() -> None:
    hub = make_hub()
    hub.publish(TRADES, trade(1))
    reader = read_from(hub)
    hub.start_epoch(2000)
    with pytest.raises(SubscriberTooSlow):
        reader.take()
    assert hub.publish(TRADES, trade(2)) == Cursor(2000, 1)


async def test_at_the_end_a_reader_takes_what_is_held_and_no_more() -> None:
    hub = make_hub()
    reader = read_from(hub)
    hub.publish(TRADES, trade(1))
    hub.end(ProcessDraining("the venue is stopping"))
    assert hub.publish(TRADES, trade(2)) == Cursor(1000, 1)
    responses = reader.responses()
    assert ids(await anext(responses)) == [1]
    with pytest.raises(ProcessDraining):
        await anext(responses)


async def next_of(responses: AsyncIterator[bytes]) -> bytes:
    return await anext(responses)


async def test_the_end_wakes_a_reader_that_waits() -> None:
    hub = make_hub()
    responses = read_from(hub).responses()
    waiting = asyncio.create_task(next_of(responses))
    await asyncio.sleep(0)
    hub.end(ProcessDraining("the venue is stopping"))
    with pytest.raises(ProcessDraining):
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await waiting
