"""A subscription that never brings its book is a gap, and Admin shows it."""

from collections.abc import AsyncIterator

import pytest
from venuemesh.admin.v1 import admin_pb2
from venuemesh.common.v1 import types_pb2

from kit.connector.process.first_updates import FIRST_UPDATE_NS_MAX, FirstUpdateMonitor
from kit.connector.tests.fakes import BOOK, FakeSocket, Stage, book, trade

LIMIT_S = FIRST_UPDATE_NS_MAX // 10**9
UNPROVEN = types_pb2.GAP_REASON_UNPROVEN


class Watched:
    """Two instruments: of A only trades come, of B also the book."""

    def __init__(self, stage: Stage, socket: FakeSocket) -> None:
        self.stage = stage
        self.socket = socket
        self.monitor = FirstUpdateMonitor(stage.feed_handler.book_manager, stage.clock)
        self._number = 10

    async def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self._number += 1
            for symbol in "AB":
                self.socket.say(trade(self._number, symbol))
            self.stage.feed_handler.pipeline.flush()
            self.monitor.look()
            await self.stage.clock.advance(1)

    def gaps(self) -> list[tuple[str, int]]:
        return [(gap.symbol, gap.reason) for gap in self.stage.gaps()]

    def subscription(self, symbol: str) -> admin_pb2.Subscription:
        doubted = self.stage.feed_handler.book_manager.in_doubt()
        rows = self.stage.subscriptions.rows(doubted, connected=True)
        return next(row for row in rows if (row.symbol, row.channel) == (symbol, BOOK))


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    stage = Stage()
    socket = await stage.start("A", "B")
    socket.say(book(10, "B", whole=True))
    yield Watched(stage, socket)
    await stage.stop()


async def test_book_without_a_first_update_is_a_gap_after_the_limit(watched: Watched) -> None:
    await watched.pass_seconds(LIMIT_S)
    assert watched.gaps() == []
    assert watched.subscription("A").state == admin_pb2.SUBSCRIPTION_STATE_PENDING
    await watched.pass_seconds(3 * LIMIT_S)
    assert watched.gaps() == [("A", UNPROVEN)]
    silent, alive = watched.subscription("A"), watched.subscription("B")
    assert silent.state == admin_pb2.SUBSCRIPTION_STATE_IN_DOUBT
    assert silent.detail == "no update has come since the subscription"
    assert (alive.state, alive.detail) == (admin_pb2.SUBSCRIPTION_STATE_LIVE, "")
    assert watched.stage.feed_handler.book_manager.in_doubt_count() == 1


async def test_late_first_update_reports_no_second_gap(watched: Watched) -> None:
    await watched.pass_seconds(LIMIT_S + 2)
    watched.socket.say(book(20, "A"))
    await watched.pass_seconds(1)
    assert watched.gaps() == [("A", UNPROVEN)]
    assert watched.subscription("A").detail == ""
    watched.socket.say(book(21, "A", whole=True))
    await watched.pass_seconds(2 * LIMIT_S)
    assert watched.gaps() == [("A", UNPROVEN)]
    assert watched.subscription("A").state == admin_pb2.SUBSCRIPTION_STATE_LIVE


async def test_removed_and_added_subscription_has_the_whole_time_again(watched: Watched) -> None:
    await watched.pass_seconds(LIMIT_S - 1)
    watched.stage.feed_handler.unsubscribe(["A"])
    watched.monitor.look()
    watched.stage.feed_handler.subscribe(["A"])
    await watched.pass_seconds(LIMIT_S - 1)
    assert watched.gaps() == []
