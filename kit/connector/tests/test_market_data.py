"""What MarketData answers: the checksum of a book, and whom it believes about epochs."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.base.errors import BadRequest, CursorExpired, UnknownInstrument, VenueUnavailable
from kit.base.rpc import STREAM_WRITER
from kit.connector.books.sequence_rules import ConsecutiveIdRule, TimestampRule, UnnumberedRule
from kit.connector.books.synchronized_book import BookState
from kit.connector.contract.venue import BookRules, SnapshotSource
from kit.connector.process.book_verification import AGREES, BookVerifier
from kit.connector.process.market_data import MarketDataServicer
from kit.connector.process.state_republisher import StateRepublisher
from kit.connector.process.venue_market_data import VenueMarketData
from kit.connector.publishing.epoch_file import EpochFile
from kit.connector.publishing.epoch_manager import AHEAD_MAX_MS, EpochManager
from kit.connector.publishing.instrument_cache import InstrumentCache
from kit.connector.publishing.listing_publisher import ListingPublisher
from kit.connector.tests.fakes import BOOK, BOOK_RULES, TRADES, Stage, book, trade
from kit.connector.tests.test_book_verification import FakeHistory, answer, levels
from kit.marketdata.book.book import Book
from kit.marketdata.book.checksum import Checksum, top_checksum
from kit.marketdata.book.levels import BookSide
from kit.marketdata.model.columns import Scale

SERVICE = market_data_pb2.DESCRIPTOR.services_by_name["MarketData"]
EPOCH = 1


class FakeContext:
    """A call with this metadata."""

    def __init__(self, *metadata: tuple[str, str]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        return self._metadata


class Rig:
    """A stage with its services."""

    def __init__(self, folder: Path, rules: BookRules = BOOK_RULES) -> None:
        self.stage = stage = Stage(rules)
        self.history = FakeHistory()
        venue = replace(stage.venue, history=self.history)  # type: ignore[arg-type]
        instruments = InstrumentCache("somewhere", venue.history)
        feed_handler = replace(stage.feed_handler, venue=venue, instruments=instruments)
        listing = ListingPublisher(feed_handler, stage.feed)
        epochs = EpochManager(feed_handler, listing, EpochFile(folder / "epoch"))
        republisher = StateRepublisher(feed_handler, listing)
        source = VenueMarketData(feed_handler, BookVerifier(feed_handler), republisher)
        self.servicer = MarketDataServicer(feed_handler.hub, epochs, source, venue.history)

    async def order_book(self, **request: Any) -> market_data_pb2.GetOrderBookResponse:
        asked = market_data_pb2.GetOrderBookRequest(**request)
        return await self.servicer.GetOrderBook(asked, FakeContext())  # type: ignore[arg-type]

    async def subscribe(self, epoch: int, *metadata: tuple[str, str]) -> None:
        """From a cursor of this epoch, which is not held."""
        cursor = types_pb2.Cursor(epoch=epoch, sequence=7)
        request = market_data_pb2.SubscribeRequest(
            channels=[TRADES, BOOK],
            resume_after=[types_pb2.ChannelCursor(channel=TRADES, cursor=cursor)],
        )
        context: Any = FakeContext(*metadata)
        with pytest.raises(CursorExpired):
            await anext(self.servicer.Subscribe(request, context))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.stage.stop()


def followed(batches: list[batch_pb2.MarketDataBatch]) -> Book:
    """The book of a reader."""
    kept = Book()
    for batch in batches:
        at = 0
        for row, bids in enumerate(batch.book.bid_count):
            end = at + bids
            levels = list(zip(batch.book.price[at:end], batch.book.size[at:end], strict=True))
            set_levels = kept.replace if batch.book.snapshot[row] else kept.apply
            set_levels(BookSide.of(levels), BookSide.of([]))
            at = end + batch.book.ask_count[row]
    return kept


async def test_the_checksum_is_that_of_the_deltas(rig: Rig) -> None:
    socket = await rig.stage.start("A")
    seen = set()
    for number in range(10, 60):
        socket.say(book(number, whole=number == 10))
        reported = await rig.order_book(symbol="A", depth=1)
        batches = rig.stage.heard()
        kept = followed(batches)
        assert reported.cursor == batches[-1].cursor
        assert reported.checksum == top_checksum(kept.bids(), kept.asks(), Scale())
        seen.add(reported.checksum)
    assert len(seen) == 50


async def test_the_checksum_is_that_of_the_example() -> None:
    """In the contract."""
    assert top_checksum([(10_000, 50)], [(10_025, 200)], Scale(2, 2)) == 0x12E9987F


@pytest.mark.parametrize(
    ("rule", "checksum", "state"),
    [
        (ConsecutiveIdRule(), Checksum.NONE, market_data_pb2.BOOK_STATE_PROVEN),
        (UnnumberedRule(), Checksum.ASKS_THEN_BIDS, market_data_pb2.BOOK_STATE_PROVEN),
        (UnnumberedRule(), Checksum.NONE, market_data_pb2.BOOK_STATE_UNPROVEN),
        (TimestampRule(), Checksum.NONE, market_data_pb2.BOOK_STATE_UNPROVEN),
    ],
    ids=["numbered", "checksum", "nothing", "time"],
)
async def test_only_a_book_whose_missing_updates_show_is_proven(
    tmp_path: Path, rule, checksum, state
) -> None:
    rules = BookRules(rule, SnapshotSource.FEED, checksum, crossing_is_wrong=True)
    rig = Rig(tmp_path, rules)
    socket = await rig.stage.start("A")
    socket.say(book(10, whole=True))
    assert (await rig.order_book(symbol="A")).state == state
    rig.stage.feed_handler.book_manager.mark_in_doubt(["A"], types_pb2.GAP_REASON_CROSSED, 1, "")
    doubted = await rig.order_book(symbol="A")
    assert doubted.state == market_data_pb2.BOOK_STATE_IN_DOUBT
    await rig.stage.stop()


async def test_a_depth_beyond_the_bound_is_refused(rig: Rig) -> None:
    await rig.stage.start("A")
    with pytest.raises(BadRequest):
        await rig.order_book(symbol="A", depth=5_001)
    request = market_data_pb2.VerifyBookRequest(symbol="A", depth=1_001)
    with pytest.raises(BadRequest):
        await rig.servicer.VerifyBook(request, FakeContext())  # type: ignore[arg-type]


async def test_a_process_that_starts_does_not_say_that_an_instrument_is_unknown(rig: Rig) -> None:
    with pytest.raises(VenueUnavailable):
        await rig.order_book(symbol="A")
    await rig.stage.start("B")
    with pytest.raises(UnknownInstrument):
        await rig.order_book(symbol="A")


async def test_a_book_that_nobody_asked_for_is_not_verified(rig: Rig) -> None:
    await rig.stage.start("B")
    request = market_data_pb2.VerifyBookRequest(symbol="A")
    with pytest.raises(UnknownInstrument):
        await rig.servicer.VerifyBook(request, FakeContext())  # type: ignore[arg-type]


async def test_a_book_is_verified(rig: Rig) -> None:
    socket = await rig.stage.start("A")
    socket.say(book(10, whole=True))
    rig.history.answers = [answer(10, levels(10))]
    asked: list[market_data_pb2.VerifyBookResponse] = []

    async def ask() -> None:
        request = market_data_pb2.VerifyBookRequest(symbol="A")
        context: Any = FakeContext()
        asked.append(await rig.servicer.VerifyBook(request, context))

    rig.stage.run(ask)
    await rig.stage.clock.advance(5)
    assert [found.verdict for found in asked] == [AGREES]


async def test_a_reader_cannot_begin_an_epoch(rig: Rig) -> None:
    await rig.stage.start("A")
    await rig.subscribe(EPOCH + 5)
    assert rig.stage.hub.epoch == EPOCH


async def test_the_writer_of_the_streams_can(rig: Rig) -> None:
    socket = await rig.stage.start("A")
    socket.say(book(10, whole=True), trade(1))
    rig.stage.feed_handler.pipeline.flush()
    newest = rig.stage.clock.time_ns() // 1_000_000 + 5
    await rig.subscribe(newest, STREAM_WRITER)
    hub = rig.stage.hub
    assert hub.epoch == newest + 1
    for channel in rig.stage.subscriptions.channels:
        _, first = next(hub.ring(channel).after(0))
        gaps = first.message.gaps
        assert [gap.reason for gap in gaps] == [types_pb2.GAP_REASON_RESTART]
    # Who begins to read now needs whole books.
    assert rig.stage.feed_handler.book_manager.books["A"].state is BookState.IN_DOUBT
    assert rig.stage.feed_handler.book_manager.snapshot_wanted.is_set()


async def test_nobody_can_begin_an_epoch_of_a_far_future(rig: Rig) -> None:
    await rig.stage.start("A")
    far = rig.stage.clock.time_ns() // 1_000_000 + 2 * AHEAD_MAX_MS
    await rig.subscribe(far, STREAM_WRITER)
    assert rig.stage.hub.epoch == EPOCH


@pytest.mark.parametrize("method", [method.name for method in SERVICE.methods])
async def test_a_request_names_no_other_venue(method: str, rig: Rig) -> None:
    await rig.stage.start("A")
    name = SERVICE.methods_by_name[method].input_type.name
    request = getattr(market_data_pb2, name)(venue="elsewhere")
    with pytest.raises(BadRequest) as refused:
        await getattr(rig.servicer, method)(request, FakeContext())
    assert refused.value.metadata["value"] == "elsewhere"
    assert "somewhere" in refused.value.message
