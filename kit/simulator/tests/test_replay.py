"""A capture on its timeline: order, pace, audience, books. With a clock that no one waits for."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from kit.simulator.capture_files import CaptureFiles
from kit.simulator.capture_player import TIMER_NS, CapturePlayer, ReplayMarketView
from kit.simulator.dialect import Channel, ExchangeStream, WebsocketSession
from kit.simulator.faults import FaultInjector
from kit.simulator.history import HistoricalTrade
from kit.simulator.tests.fakes import FakeCapture, FakeClock, FakeExchange
from kit.simulator.venue import SimulatedVenue
from tests.support.waiting import WAIT_SECONDS_MAX

START_NS = 1_700_000_000_000_000_000


class Listener:
    """Keeps what a connection would send, and when."""

    def __init__(self, session: WebsocketSession, clock: FakeClock) -> None:
        self.session = session
        self.heard: list[bytes] = []
        self.at_ns: list[int] = []
        self.frames_sent = 0
        self.stalled = False
        self.muted = set()
        self.open = True
        self._clock = clock

    async def send(self, payloads: list[bytes], wait: bool) -> None:
        assert wait, "a capture is played as fast as it is read"
        self.heard += payloads
        self.at_ns += [self._clock.now_ns] * len(payloads)

    async def send_held(self) -> None:
        """Nothing is kept without faults."""


class Stage:
    """A capture of some lines, one each millisecond, and what plays it."""

    def __init__(
        self, folder: Path, lines: list[str], speed: float | None, times_ns: list[int] | None = None
    ) -> None:
        file = folder / "frames.jsonl"
        file.write_text("\n".join(lines) + "\n")
        if times_ns is not None:
            (folder / "recv_ns.txt").write_text("\n".join(map(str, times_ns)))
        self.clock = FakeClock()
        self.exchange = FakeExchange()
        self.venue = SimulatedVenue(
            "fake", self.exchange, FaultInjector("fake", 1), self.clock, 0.2
        )
        capture_files = CaptureFiles([file])
        self.market_view = ReplayMarketView(
            capture_files, self.exchange.capture, 0.05, keeps_first=speed is None
        )
        self.player = CapturePlayer(self.venue, self.market_view, capture_files, speed, self.clock)

    async def listener(self, names: str) -> Listener:
        session = WebsocketSession()
        await self.exchange.receive(session, names, self.market_view)
        listener = Listener(session, self.clock)
        self.venue.join(listener)
        return listener

    async def play(self) -> None:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await self.player.run()


async def test_each_connection_gets_its_streams_in_order_exactly_once(tmp_path: Path):
    lines = [f"{'trades' if n % 3 else 'book'}/{'AB'[n % 2]}/{n}" for n in range(5_000)]
    stage = Stage(tmp_path, lines, speed=None)
    trades = await stage.listener("trades/A")
    both = await stage.listener("trades/A,book/B")
    await stage.play()
    assert trades.heard == [one.encode() for one in lines if one.startswith("trades/A")]
    wanted = ("trades/A", "book/B")
    assert both.heard == [one.encode() for one in lines if one.startswith(wanted)]
    status = stage.player.status()
    assert (status["frames_played"], status["finished"], status["failure"]) == (5_000, True, "")


async def test_unknown_lines_go_to_all_and_old_answers_to_none(tmp_path: Path):
    stage = Stage(tmp_path, ["trades/A/1", "garbage", "", "answer", "snapshot/1"], speed=None)
    listeners = [await stage.listener("trades/A"), await stage.listener("book/B")]
    silent = Listener(WebsocketSession(), stage.clock)
    stage.venue.join(silent)
    await stage.play()
    assert listeners[0].heard == [b"trades/A/1", b"garbage"]
    assert listeners[1].heard == [b"garbage"]
    assert silent.heard == []


@pytest.mark.parametrize("speed", [1.0, 4.0])
async def test_the_recorded_pace_is_kept(tmp_path: Path, speed: float):
    offsets_ns = [0, 5_000_000, 5_000_000, 900_000_000, 901_000_000, 3_000_000_000]
    lines = [f"trades/A/{n}" for n in range(len(offsets_ns))]
    times_ns = [START_NS + offset for offset in offsets_ns]
    stage = Stage(tmp_path, lines, speed, times_ns)
    listener = await stage.listener("trades/A")
    await stage.play()
    assert listener.heard == [one.encode() for one in lines]
    began_ns = listener.at_ns[0]
    for at_ns, offset_ns in zip(listener.at_ns, offsets_ns, strict=True):
        assert at_ns - began_ns == pytest.approx(offset_ns / speed, abs=TIMER_NS)
    assert stage.market_view.time_ns() == times_ns[-1]


async def test_time_stands_still_without_subscribers(tmp_path: Path):
    lines = [f"trades/A/{n}" for n in range(1_000)]
    times_ns = [START_NS + n * 1_000_000 for n in range(1_000)]
    stage = Stage(tmp_path, lines, 1.0, times_ns)
    playing = asyncio.create_task(stage.play())
    first = await stage.listener("trades/A")
    while len(first.heard) < 300:
        await asyncio.sleep(0)
    stage.venue.leave(first)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(first.heard) == stage.player.frames_played
    stage.clock.now_ns += 10_000_000_000
    second = await stage.listener("trades/A")
    await playing
    assert first.heard + second.heard == [one.encode() for one in lines]
    lasted_ns = second.at_ns[-1] - second.at_ns[0]
    assert lasted_ns == pytest.approx((len(second.heard) - 1) * 1_000_000, abs=TIMER_NS)


async def test_the_tape_waits_until_subscriptions_have_settled(tmp_path: Path):
    stage = Stage(tmp_path, ["trades/A/1", "trades/B/2", "trades/C/3"], speed=None)
    playing = asyncio.create_task(stage.play())
    listeners = []
    for symbol in "ABC":
        listeners.append(await stage.listener(f"trades/{symbol}"))
        await asyncio.sleep(0)
    await playing
    heard = [listener.heard for listener in listeners]
    assert heard == [[b"trades/A/1"], [b"trades/B/2"], [b"trades/C/3"]]


async def test_a_book_is_the_newest_that_was_played_and_never_made_up(tmp_path: Path):
    lines = ["book/A/4", "snapshot/5", "book/A/6", "snapshot/7", "book/A/8"]
    stage = Stage(tmp_path, lines, speed=1.0, times_ns=[START_NS + n * 10**9 for n in range(5)])
    assert await stage.market_view.book("A") is None
    listener = await stage.listener("book/A")
    playing = asyncio.create_task(stage.play())
    seen = {}
    while not playing.done():
        if listener.heard and listener.heard[-1] not in seen:
            with contextlib.suppress(TimeoutError):
                seen[listener.heard[-1]] = await stage.market_view.book("A")
        await asyncio.sleep(0)
    book = await stage.market_view.book("A")
    assert book is not None
    assert book.sequence == 7
    assert seen[b"book/A/6"].sequence == 5
    assert await stage.market_view.book("B") is None


async def test_the_first_request_gets_the_first_book_of_a_fast_tape(tmp_path: Path):
    lines = ["book/A/4", "snapshot/5", "book/A/6", "snapshot/7", "book/A/8", "snapshot/9"]
    stage = Stage(tmp_path, lines, speed=None)
    await stage.listener("book/A")
    await stage.play()
    books = [await stage.market_view.book("A") for _ in range(3)]
    assert [book.sequence for book in books if book is not None] == [5, 9, 9]


async def test_a_request_for_a_book_waits_for_the_first_one(tmp_path: Path):
    stage = Stage(tmp_path, ["book/A/4", "snapshot/5"], speed=None)
    stage.market_view = ReplayMarketView(
        CaptureFiles([tmp_path / "frames.jsonl"]), stage.exchange.capture, WAIT_SECONDS_MAX
    )
    stage.player = CapturePlayer(
        stage.venue, stage.market_view, CaptureFiles([tmp_path / "frames.jsonl"]), None, stage.clock
    )
    asked = asyncio.create_task(stage.market_view.book("A"))
    await asyncio.sleep(0)
    assert not asked.done()
    await stage.listener("book/A")
    await stage.play()
    book = await asked
    assert book is not None
    assert book.sequence == 5


async def test_a_book_without_a_name_is_of_the_symbol_with_the_nearest_sequence(tmp_path: Path):
    lines = ["book/A/1000", "book/B/500000", "snapshot/500003", "snapshot/1002"]
    stage = Stage(tmp_path, lines, speed=None)
    await stage.listener("book/A")
    await stage.play()
    books = [await stage.market_view.book(symbol) for symbol in "AB"]
    assert [book.sequence for book in books if book is not None] == [1002, 500003]


async def test_recorded_books_come_when_their_time_comes(tmp_path: Path):
    rest = tmp_path / "rest"
    rest.mkdir()
    (rest / "A").write_text("book/5")
    (rest / "index.tsv").write_text("1700000000.5\thttps://fake.example/book/A\tA\n")
    times_ns = [START_NS, START_NS + 10**9]
    stage = Stage(tmp_path, ["trades/A/1", "trades/A/2"], None, times_ns)
    assert await stage.market_view.book("A") is None
    await stage.listener("trades/A")
    await stage.play()
    book = await stage.market_view.book("A")
    assert book is not None
    assert book.sequence == 5


async def test_played_trades_are_history(tmp_path: Path):
    stage = Stage(tmp_path, [f"trades/A/{n}" for n in (1, 2, 4, 3)], speed=None)
    await stage.listener("book/A")
    await stage.play()
    assert [one.trade_id for one in stage.market_view.history("A").latest(9)] == [1, 2, 3, 4]
    assert list(stage.market_view.history("B").latest(9)) == []
    assert [one.symbol for one in stage.market_view.listings()] == ["A"]


async def test_all_trades_of_a_frame_are_remembered(tmp_path: Path):
    class Crowded(FakeCapture):
        def trades_in(self, lines: Sequence[bytes]) -> list[HistoricalTrade]:
            numbers = [self.sequence_of(line) for line in lines for _ in range(3)]
            return [
                HistoricalTrade(number + at % 3, "1", "1", number, True)
                for at, number in enumerate(numbers)
            ]

    stage = Stage(tmp_path, ["trades/A/10", "trades/A/20"], speed=None)
    capture = Crowded(stage.exchange.streams)
    market_view = ReplayMarketView(CaptureFiles([tmp_path / "frames.jsonl"]), capture, 0.05)
    market_view.played(
        [capture.frame_of(line) for line in (b"trades/A/10", b"trades/A/20")], START_NS
    )
    assert [one.trade_id for one in market_view.history("A").latest(9)] == [10, 11, 12, 20, 21, 22]


async def test_a_tape_that_fits_no_subscription_says_so_at_once_and_at_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    stage = Stage(tmp_path, [f"book/A10/{n}" for n in range(1_376)], speed=None)
    for stream in ("book/A10", "book/A"):
        stage.exchange.streams[stream] = ExchangeStream(stream, Channel.BOOK, "A")
    await stage.listener("book/A")
    assert stage.player.status()["problem"] == ""
    with caplog.at_level("ERROR", logger="venuemesh.simulator.replay"):
        await stage.play()
    status = stage.player.status()
    assert (status["frames_played"], status["frames_fitting"]) == (1_376, 0)
    assert status["frames_not_subscribed"] == {"book/A10": 1_376}
    assert "0 of 1,376 frames fit a subscription" in status["problem"]
    assert "book/A (on the capture: book/A10)" in status["problem"]
    first, last = (record.detail for record in caplog.records)
    assert first.startswith("no frame fits a subscription")
    assert last == status["problem"]
