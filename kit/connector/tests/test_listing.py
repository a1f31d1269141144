"""The listing of a venue: stored, compared, reported, and instruments that leave it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from venuemesh.admin.v1 import admin_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from kit.base.errors import UnknownInstrument, VenueUnavailable
from kit.connector.books.synchronized_book import BookState
from kit.connector.publishing.instrument_cache import InstrumentCache, differences
from kit.connector.publishing.listing_publisher import ROWS_MAX, ListingPublisher
from kit.connector.tests.fakes import (
    QUOTES,
    TRADES,
    FakeSocket,
    Stage,
    book,
    quote,
    ticker,
    trade,
)

STATUS = types_pb2.CHANNEL_STATUS
TRADING = types_pb2.INSTRUMENT_STATUS_TRADING
HALTED = types_pb2.INSTRUMENT_STATUS_HALTED
DELISTED = types_pb2.INSTRUMENT_STATUS_DELISTED
UNKNOWN = types_pb2.INSTRUMENT_STATUS_UNSPECIFIED
INTERVAL_S = 60.0


def one(symbol: str, status: Any = TRADING, tick: str = "0.1") -> types_pb2.Instrument:
    return types_pb2.Instrument(symbol=symbol, status=status, price_tick=tick)


class FakeHistory:
    """Lists what a test says, or raises it."""

    def __init__(self, *listed: types_pb2.Instrument) -> None:
        self.answer: list[types_pb2.Instrument] | Exception = list(listed)
        self.calls = 0

    async def instruments(self) -> list[types_pb2.Instrument]:
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Rig:
    """A stage with a listing."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.history = FakeHistory(one("A"), one("B"))
        self.instruments = InstrumentCache("somewhere", self.history)  # type: ignore[arg-type]
        stage = self.stage
        feed_handler = replace(stage.feed_handler, instruments=self.instruments)
        self.listing = ListingPublisher(feed_handler, stage.feed)

    async def start(self) -> FakeSocket:
        """Both instruments subscribed and flowing, all that is listed reported."""
        socket = await self.stage.start("A", "B")
        for symbol in "AB":
            self.flow(socket, symbol, 10, whole=True)
        await self.listing.start()
        self.stage.heard()
        return socket

    async def look(self, *listed: types_pb2.Instrument) -> list[tuple[str, str, int]]:
        """With this listed. Returns what was reported."""
        self.history.answer = list(listed)
        seen = len(self.stage.heard())
        await self.stage.clock.advance(1)
        await self.listing.refresh()
        await self.stage.clock.advance(1)
        return reported(self.stage.heard()[seen:])

    def flow(self, socket: FakeSocket, symbol: str, number: int, whole: bool = False) -> None:
        rows = (trade, quote, ticker)
        frames = [make(number, symbol) for make in rows]
        socket.say(*frames, book(number, symbol, whole=whole))
        self.stage.feed_handler.pipeline.flush()

    def state(self, symbol: str) -> BookState:
        return self.stage.feed_handler.book_manager.books[symbol].state

    def details(self, symbol: str) -> set[str]:
        rows = self.stage.subscriptions.rows([], True)
        return {row.detail for row in rows if row.symbol == symbol}


def reported(batches: list[batch_pb2.MarketDataBatch]) -> list[tuple[str, str, int]]:
    """Symbol, change and status of each row of STATUS."""
    return [
        (definition.symbol, batch_pb2.StatusChange.Name(change)[14:], definition.status)
        for batch in batches
        if batch.channel == STATUS
        for change, definition in zip(batch.status.change, batch.status.definition, strict=True)
    ]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.stage.stop()


def changes(old: types_pb2.Instrument | None, new: types_pb2.Instrument | None) -> list[str]:
    before, now = ({} if item is None else {"A": item} for item in (old, new))
    return [batch_pb2.StatusChange.Name(found.change)[14:] for found in differences(before, now)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, one("A"), ["LISTED"]),
        (None, one("A", HALTED), ["LISTED"]),
        (None, one("A", DELISTED), []),
        (one("A"), None, ["DELISTED"]),
        (one("A"), one("A", DELISTED), ["DELISTED"]),
        (one("A", DELISTED), None, []),
        (one("A", DELISTED), one("A"), ["LISTED"]),
        (one("A"), one("A"), []),
        (one("A"), one("A", HALTED), ["HALTED"]),
        (one("A", HALTED), one("A"), ["RESUMED"]),
        (one("A"), one("A", tick="0.5"), ["TERMS"]),
        (one("A"), one("A", HALTED, "0.5"), ["HALTED", "TERMS"]),
        (one("A"), one("A", UNKNOWN), ["TERMS"]),
    ],
)
def test_every_difference_has_its_word(
    old: types_pb2.Instrument | None, new: types_pb2.Instrument | None, expected: list[str]
) -> None:
    assert changes(old, new) == expected


async def test_what_was_had_is_kept_when_the_venue_lists_nothing() -> None:
    history = FakeHistory(one("B"), one("A"), one("A"))
    instruments = InstrumentCache("somewhere", history)  # type: ignore[arg-type]
    assert list(await instruments.all()) == ["A", "B"]
    history.answer = []
    with pytest.raises(VenueUnavailable):
        await instruments.refresh()
    assert list(await instruments.all()) == ["A", "B"]
    assert (await instruments.require("A")).symbol == "A"
    with pytest.raises(UnknownInstrument):
        await instruments.require("C")


async def test_an_empty_list_is_none_at_the_start_either() -> None:
    history = FakeHistory()
    instruments = InstrumentCache("somewhere", history)  # type: ignore[arg-type]
    with pytest.raises(VenueUnavailable):
        await instruments.all()
    history.answer = [one("A")]
    assert list(await instruments.all()) == ["A"]
    await instruments.all()
    assert history.calls == 2


async def test_all_that_is_listed_is_reported_at_the_start_then_what_changes(rig: Rig) -> None:
    await rig.stage.start("A")
    await rig.listing.start()
    assert reported(rig.stage.heard()) == [("A", "LISTED", TRADING), ("B", "LISTED", TRADING)]
    assert await rig.look(one("A"), one("B")) == []
    assert await rig.look(one("A", HALTED), one("B"), one("C")) == [
        ("A", "HALTED", HALTED),
        ("C", "LISTED", TRADING),
    ]
    assert await rig.look(one("A"), one("C")) == [
        ("A", "RESUMED", TRADING),
        ("B", "DELISTED", DELISTED),
    ]


async def test_it_looks_at_its_interval(rig: Rig) -> None:
    rig.stage.run(lambda: rig.listing.run(INTERVAL_S))
    await rig.stage.clock.advance(INTERVAL_S - 1)
    assert rig.history.calls == 0
    await rig.stage.clock.advance(2)
    assert rig.history.calls == 1
    await rig.stage.clock.advance(2 * INTERVAL_S)
    assert rig.history.calls == 3


@pytest.mark.parametrize("error", [VenueUnavailable("away"), KeyError("filters")])
async def test_an_error_keeps_the_list_and_is_a_problem(rig: Rig, error: Exception) -> None:
    await rig.start()
    rig.history.answer = error
    await rig.listing.refresh()
    assert str(error).strip("'") in rig.listing.problem
    assert list(await rig.instruments.all()) == ["A", "B"]
    assert await rig.look() == []
    assert "lists no instruments" in rig.listing.problem
    assert await rig.look(one("A"), one("B")) == []
    assert rig.listing.problem == ""


async def test_a_long_list_is_reported_in_several_batches(rig: Rig) -> None:
    rig.history.answer = [one(f"S{number:05}") for number in range(2 * ROWS_MAX + 1)]
    await rig.listing.start()
    sizes = [len(batch.status.change) for batch in rig.stage.heard()]
    assert sizes == [ROWS_MAX, ROWS_MAX, 1]


async def test_admin_says_of_a_subscription_that_its_instrument_does_not_trade(rig: Rig) -> None:
    await rig.start()
    assert rig.details("A") == {""}
    await rig.look(one("A", HALTED))
    assert (rig.details("A"), rig.details("B")) == ({"halted"}, {"delisted"})
    await rig.look(one("A"), one("B"))
    assert (rig.details("A"), rig.details("B")) == ({""}, {""})


async def test_status_is_a_channel_of_every_subscription(rig: Rig) -> None:
    await rig.start()
    rows = rig.stage.subscriptions.rows([], False)
    found = {row.symbol: (row.state, row.events_total) for row in rows if row.channel == STATUS}
    assert found == dict.fromkeys("AB", (admin_pb2.SUBSCRIPTION_STATE_LIVE, 1))


async def test_what_flows_is_kept_though_it_is_not_listed(rig: Rig) -> None:
    socket = await rig.start()
    words = list(socket.words)
    await rig.look(one("B"))
    for number in (11, 12, 13):
        await rig.stage.clock.advance(1)
        rig.flow(socket, "A", number)
        await rig.look(one("B"))
    assert await rig.look(one("A"), one("B")) == [("A", "LISTED", TRADING)]
    assert socket.words == words
    assert rig.stage.gaps() == []


async def test_what_is_silent_too_is_let_go_until_it_is_listed_again(rig: Rig) -> None:
    socket = await rig.start()
    words = list(socket.words)
    assert await rig.look(one("B")) == [("A", "DELISTED", DELISTED)]
    assert socket.words == words
    await rig.look(one("B"))
    assert socket.words == [*words, "-A"]
    books = rig.stage.feed_handler.book_manager
    assert rig.state("A") is BookState.IN_DOUBT
    assert books.wanting_snapshot() == []
    rig.flow(socket, "A", 11)  # What was on its way harms nobody.
    assert await rig.look(one("B")) == []

    assert await rig.look(one("A"), one("B")) == [("A", "LISTED", TRADING)]
    assert socket.words == [*words, "-A", "+A"]
    assert books.wanting_snapshot() == ["A"]
    rig.flow(socket, "A", 20, whole=True)
    assert rig.state("A") is BookState.SYNCHRONIZED
    assert {gap.symbol for gap in rig.stage.gaps()} == {"A"}
    assert rig.stage.numbers(TRADES)[-1] == rig.stage.numbers(QUOTES)[-1] == 20


async def test_what_is_removed_while_it_is_not_listed_is_forgotten(rig: Rig) -> None:
    socket = await rig.start()
    await rig.look(one("B"))
    rig.stage.subscriptions.remove(["A"])
    rig.stage.feed.remove(["A"])
    rig.stage.feed_handler.book_manager.remove(["A"])
    await rig.look(one("B"))
    words = list(socket.words)
    assert await rig.look(one("A"), one("B")) == [("A", "LISTED", TRADING)]
    assert socket.words == words
