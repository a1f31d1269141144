"""One subscription dies while everything around it lives."""

from collections.abc import AsyncIterator

import pytest
from venuemesh.admin.v1 import admin_pb2
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.connector.books.synchronized_book import BookState
from kit.connector.feed.staleness import LOOKS_MIN, SILENCES, StalenessMonitor
from kit.connector.tests.fakes import (
    BOOK,
    QUOTES,
    TRADES,
    FakeSocket,
    Stage,
    book,
    quote,
    trade,
)

MINIMUM_S = 30.0
STALE = admin_pb2.SUBSCRIPTION_STATE_STALE
LIVE = admin_pb2.SUBSCRIPTION_STATE_LIVE


class Watched:
    """Two instruments, each channel of which brings something every second."""

    def __init__(self, stage: Stage, socket: FakeSocket) -> None:
        self.stage = stage
        self.socket = socket
        self.dead: set[tuple[str, Channel]] = set()
        self.every_s: dict[tuple[str, Channel], int] = {}
        self._number = 0

    async def live(self, seconds: int) -> None:
        make = {TRADES: trade, QUOTES: quote, BOOK: book}
        for _ in range(seconds):
            self._number += 1
            for symbol in "AB":
                for channel, frame in make.items():
                    key = symbol, channel
                    due = self._number % self.every_s.get(key, 1) == 0
                    if due and key not in self.dead and self.socket.connected:
                        self.socket.say(frame(10 + self._number, symbol))
            self.stage.feed_handler.pipeline.flush()
            await self.stage.clock.advance(1)

    def whole(self, symbol: str) -> None:
        """The book comes again."""
        self.socket.say(book(10 + self._number, symbol, whole=True))
        self.stage.feed_handler.pipeline.flush()

    def state(self, symbol: str, channel: Channel) -> "admin_pb2.SubscriptionState.ValueType":
        doubted = self.stage.feed_handler.book_manager.in_doubt()
        rows = self.stage.subscriptions.rows(doubted, connected=True)
        return next(row.state for row in rows if (row.symbol, row.channel) == (symbol, channel))


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    stage = Stage(messages_per_second=100, stale_after_s=MINIMUM_S)
    socket = await stage.start("A", "B")
    for symbol in "AB":
        socket.say(book(10, symbol, whole=True))
    staleness = StalenessMonitor(stage.feed_handler, stage.feed)
    stage.run(staleness.run)
    yield Watched(stage, socket)
    await stage.stop()


async def test_a_channel_that_falls_silent_is_renewed_alone(watched: Watched) -> None:
    await watched.live(LOOKS_MIN + 20)
    watched.dead = {("A", BOOK)}
    await watched.live(int(MINIMUM_S) - 3)
    assert watched.state("A", BOOK) == LIVE
    await watched.live(6)
    assert watched.state("A", BOOK) == STALE
    assert watched.socket.words == ["+A,B", "renew A"]
    (gap,) = watched.stage.gaps()
    assert (gap.symbol, gap.reason) == ("A", types_pb2.GAP_REASON_STALE)
    assert "silent for 31 s" in gap.detail
    watched.dead.clear()
    watched.whole("A")
    assert watched.state("A", BOOK) == LIVE
    assert watched.stage.feed_handler.book_manager.books["A"].state is BookState.SYNCHRONIZED
    await watched.live(60)
    assert len(watched.stage.gaps()) == 1
    assert watched.state("B", BOOK) == LIVE


async def test_what_cannot_be_renewed_alone_is_renewed_with_its_instrument(
    watched: Watched,
) -> None:
    await watched.live(LOOKS_MIN + 20)
    watched.dead = {("A", TRADES)}
    await watched.live(int(MINIMUM_S) + 3)
    assert watched.socket.words == ["+A,B", "-A", "+A"]
    reported = [
        (batch.channel, gap.symbol, gap.reason)
        for batch in watched.stage.heard()
        for gap in batch.gaps
    ]
    assert sorted(reported) == [
        (TRADES, "A", types_pb2.GAP_REASON_STALE),
        (QUOTES, "A", types_pb2.GAP_REASON_RECONNECT),
        (BOOK, "A", types_pb2.GAP_REASON_STALE),
    ]
    assert watched.stage.feed_handler.book_manager.wanting_snapshot() == ["A"]
    assert watched.stage.feed_handler.book_manager.snapshot_wanted.is_set()


async def test_each_has_its_own_pace(watched: Watched) -> None:
    watched.every_s["A", TRADES] = 10
    await watched.live(300)
    watched.dead = {("A", TRADES)}
    await watched.live(10 * SILENCES - 2)
    assert watched.state("A", TRADES) == LIVE
    await watched.live(15)
    assert watched.state("A", TRADES) == STALE


async def test_what_was_never_regular_is_left_alone(watched: Watched) -> None:
    watched.every_s["A", TRADES] = 25
    await watched.live(200)
    watched.dead = {("A", TRADES)}
    await watched.live(400)
    assert watched.socket.words == ["+A,B"]


async def test_when_everything_rests_nothing_is_to_blame(watched: Watched) -> None:
    await watched.live(LOOKS_MIN + 20)
    watched.dead = {(symbol, channel) for symbol in "AB" for channel in (TRADES, QUOTES, BOOK)}
    await watched.live(500)
    assert watched.socket.words == ["+A,B"]
    assert watched.stage.gaps() == []
    assert watched.state("A", TRADES) == LIVE


async def test_a_pause_is_no_silence(watched: Watched) -> None:
    await watched.live(LOOKS_MIN + 20)
    watched.stage.feed.set_paused(True)
    watched.socket.connected = False
    await watched.live(400)
    assert "stale_subscriptions_total" not in watched.stage.meter.counters


async def test_tries_grow_rarer(watched: Watched) -> None:
    await watched.live(LOOKS_MIN + 20)
    watched.dead = {("A", BOOK)}
    await watched.live(int(MINIMUM_S * (1 + 2 + 4)) + 10)
    assert watched.socket.words == ["+A,B", *["renew A"] * 3]
    assert watched.stage.meter.counters["stale_subscriptions_total"] == 3
    await watched.live(int(MINIMUM_S * 4))
    assert watched.socket.words == ["+A,B", *["renew A"] * 3]


async def test_a_channel_that_is_dead_after_a_reconnect_is_found(watched: Watched) -> None:
    await watched.live(LOOKS_MIN + 20)
    watched.dead = {("A", QUOTES)}
    watched.socket.close()
    watched.socket.open()
    for symbol in "AB":
        watched.whole(symbol)
    await watched.live(int(MINIMUM_S) + 4)
    assert watched.state("A", QUOTES) == STALE
    assert watched.state("B", QUOTES) == LIVE


async def test_what_the_venue_refuses_is_not_silent(watched: Watched) -> None:
    await watched.live(LOOKS_MIN + 20)
    watched.dead = {("A", TRADES)}
    watched.stage.subscriptions.reject(["A"], [TRADES])
    await watched.live(300)
    assert watched.socket.words == ["+A,B"]
