"""One REST call sees one market, also when a fault shows another than there is."""

from pathlib import Path

from kit.simulator.capture_files import CaptureFiles
from kit.simulator.capture_player import ReplayMarketView
from kit.simulator.fault_commands import FaultCommand
from kit.simulator.faulted_market_view import FaultedMarketView
from kit.simulator.faults import FaultInjector
from kit.simulator.listing import ExchangeBookSnapshot
from kit.simulator.tests.fakes import FakeClock, FakeExchange
from kit.simulator.venue import SimulatedVenue


class World:
    """A capture of two symbols, with what the exchange once answered at /info."""

    def __init__(self, folder: Path) -> None:
        (folder / "frames.jsonl").write_text("trades/A/1\ntrades/B/2\n")
        (folder / "rest").mkdir()
        (folder / "rest" / "info.json").write_text("as recorded/5")
        exchange = FakeExchange()
        self.market_view = ReplayMarketView(
            CaptureFiles([folder / "frames.jsonl"]), exchange.capture, 0.05
        )
        self.venue = SimulatedVenue("fake", exchange, FaultInjector("fake", 1), FakeClock())

    def order(self, fault: str, **fields) -> None:
        self.venue.faults.add(FaultCommand(venue="fake", fault=fault, **fields))

    def call(self, path: str = "/info") -> FaultedMarketView:
        return FaultedMarketView(self.market_view, self.venue, path)


def symbols(market_view: FaultedMarketView) -> list[str]:
    return [listing.symbol for listing in market_view.listings()]


def test_a_fault_lasts_as_long_as_the_call(tmp_path: Path):
    world = World(tmp_path)
    world.order("empty_market_list", path="info")
    assert symbols(world.call("/time")) == ["A", "B"]
    call = world.call()
    assert symbols(call) == symbols(call) == []
    assert symbols(world.call()) == ["A", "B"]


def test_a_recorded_body_is_not_used_when_a_fault_changes_the_listings(tmp_path: Path):
    world = World(tmp_path)
    assert world.call().recorded("/info") == b"as recorded/5"
    world.order("symbol_twice", path="info")
    call = world.call()
    assert call.recorded("/info") is None
    assert symbols(call) == ["A", "B", "A"]
    assert world.call().recorded("/info") == b"as recorded/5"


async def test_an_answer_is_made_after_its_book_was_read(tmp_path: Path):
    world = World(tmp_path)
    world.order("book_delay", symbol="A", seconds=0.6)
    began_ns = world.venue.clock.monotonic_ns()
    await world.call().book("B")
    assert world.venue.clock.monotonic_ns() == began_ns
    await world.call().book("A")
    assert world.venue.clock.monotonic_ns() - began_ns == 600_000_000


async def test_an_old_book_is_shown_of_the_named_symbol_once(tmp_path: Path):
    world = World(tmp_path)
    world.venue.faults.register("stale_snapshot", lambda order: None)
    old = ExchangeBookSnapshot(7, [], [])
    world.venue.old_books["A"] = old
    world.order("stale_snapshot", symbol="A")
    assert await world.call().book("B") is None
    assert await world.call().book("A") is old
    assert await world.call().book("A") is None
