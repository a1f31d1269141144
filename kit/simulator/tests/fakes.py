"""A small exchange and a clock that no test waits for."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from kit.simulator.dialect import (
    RESPONSE,
    SNAPSHOT,
    UNKNOWN,
    Channel,
    ConnectionRules,
    ExchangeStream,
    Frame,
    MarketView,
    RestRequest,
    RestResponse,
    WebsocketSession,
)
from kit.simulator.history import HistoricalTrade
from kit.simulator.listing import DerivativeMark, ExchangeBookSnapshot, Listing
from kit.simulator.market import INSTRUMENTS, MarketStep
from kit.simulator.market_events import Instrument
from kit.simulator.matching.contract import MatchingRules


class FakeClock:
    """Time passes only by sleeping, and then at once."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000

    def time_ns(self) -> int:
        return self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)
        await asyncio.sleep(0)


class FakeCapture:
    """Lines ``trades/A/7`` (channel, symbol, number); ``snapshot/7``; ``answer``."""

    def __init__(self, streams: dict[str, ExchangeStream]) -> None:
        self._streams = streams

    def frame_of(self, line: bytes) -> Frame:
        parts = line.decode().split("/")
        if parts[0] == "snapshot":
            return SNAPSHOT, line
        if parts[0] in ("answer", ""):
            return RESPONSE, line
        if len(parts) != 3:
            return UNKNOWN, line
        name = "/".join(parts[:2])
        return self._streams.setdefault(
            name, ExchangeStream(name, Channel(parts[0]), parts[1])
        ), line

    def trades_in(self, lines: Sequence[bytes]) -> Sequence[HistoricalTrade]:
        numbers = [self.sequence_of(line) for line in lines]
        return [HistoricalTrade(number, "1", "1", number, True) for number in numbers]

    def mark_of(self, line: bytes) -> tuple[str, DerivativeMark] | None:
        return None

    def snapshot_of(self, body: bytes, url: str = "") -> tuple[str, ExchangeBookSnapshot] | None:
        return url.rpartition("/")[2], ExchangeBookSnapshot(int(body.rsplit(b"/", 1)[1]), [], [])

    def sequence_of(self, line: bytes) -> int:
        return int(line.rsplit(b"/", 1)[1])

    def listings_of(self, lines: Iterable[bytes]) -> Sequence[Listing]:
        symbols = {self.frame_of(line)[0].symbol for line in lines} - {""}
        return [Listing(symbol, symbol, "", "1", "1", "0", True) for symbol in sorted(symbols)]


class FakeExchange:
    """A client says the names of its streams, with commas; they are answered in capitals. A minus
    before a name ends a subscription."""

    hosts: Collection[str] = ("api.fake.example",)
    rules = ConnectionRules(20, 60, 5, 100, 86_400)
    failures: Mapping[int, bytes] = {429: b'{"error":"slower"}'}
    instruments: Sequence[Instrument] = INSTRUMENTS
    matching_rules = MatchingRules()

    def __init__(self) -> None:
        self.streams: dict[str, ExchangeStream] = {}
        self.faults: Mapping[str, Callable[[Frame], Sequence[Frame]]] = {}
        self.capture = FakeCapture(self.streams)

    def open(self, path: str, query: Mapping[str, str]) -> WebsocketSession | None:
        return WebsocketSession() if path == "/ws" else None

    async def receive(
        self, session: WebsocketSession, text: str, market_view: MarketView
    ) -> list[bytes]:
        for name in text.split(","):
            if name.startswith("-"):
                del session.streams[name[1:]]
                continue
            channel, _, symbol = name.partition("/")
            stream = self.streams.setdefault(name, ExchangeStream(name, Channel(channel), symbol))
            session.streams[name] = stream
        return [text.upper().encode()]

    def tick(self, session: WebsocketSession, market_view: MarketView) -> list[bytes]:
        return []

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        if request.path == "/book":
            book = await market_view.book(request.query["symbol"])
            return (
                RestResponse(b"none", 503)
                if book is None
                else RestResponse(str(book.sequence).encode())
            )
        if request.path == "/listings":
            return RestResponse(",".join(one.symbol for one in market_view.listings()).encode())
        return RestResponse(request.path.encode())

    def list(self, instrument: Instrument) -> Listing:
        symbol = instrument.base + instrument.quote
        return Listing(symbol, instrument.base, instrument.quote, "1", "1", "0")

    def path_of(self, text: str) -> str:
        return ""

    def failure_of(self, text: str) -> bytes:
        return b""

    def encode(
        self, step: MarketStep, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> Sequence[Frame]:
        stream = self.streams.get("status/all")
        return [(stream, str(step.time_ns).encode())] if stream is not None else []
