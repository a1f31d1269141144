"""A simulated market's events as Examplex's frames.

To change: the frames, and how often a book is published.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.simulator.dialect import ExchangeStream, Frame, MarketView
from kit.simulator.exchange.streams import StreamRegistry
from kit.simulator.market import MarketStep
from kit.simulator.market_events import BestQuote, Instrument, Trade
from kit.simulator.published_books import PublishedBooks
from ops.templates.examplex.simulator.instruments import native_symbol

BOOK_INTERVAL_NS = 100 * NANOSECONDS_PER_MILLISECOND
DEPTH_MAX = 10_000


class ExamplexEncoder:
    """Writes the frames of a simulated market. Remembers the published books."""

    def __init__(self, streams: StreamRegistry) -> None:
        self._streams = streams
        self._books = PublishedBooks()
        self._symbols: dict[Instrument, str] = {}
        self._numbers: Counter[Instrument] = Counter()
        """Updates of each book so far."""

    def encode(
        self, step: MarketStep, wanted: Collection[ExchangeStream], market_view: MarketView
    ) -> list[Frame]:
        """The frames of a step, in the order of what happened; books at their intervals."""
        frames: list[Frame] = []
        self._books.note(step)
        for event in step.events:
            one = event.instrument
            symbol = self._symbols.setdefault(one, native_symbol(one))
            if type(event) is Trade:
                stream = self._streams.get(f"trades:{symbol}")
                if stream in wanted:
                    frames.append((stream, _trade_frame(symbol, event)))
            elif type(event) is BestQuote:
                stream = self._streams.get(f"quotes:{symbol}")
                if stream in wanted:
                    frames.append((stream, _quote_frame(symbol, event)))
        if step.time_ns % BOOK_INTERVAL_NS == 0:
            frames += self._updates(step.time_ns, wanted)
        return frames

    def snapshot(self, instrument: Instrument, time_ns: int) -> bytes:
        """The whole book as published so far: the next update follows it."""
        book = self._books.snapshot(instrument, DEPTH_MAX)
        head = {"channel": "book", "type": "snapshot", "symbol": native_symbol(instrument)}
        number = self._numbers[instrument]
        body = {"number": number, "sequence": book.sequence, "bids": book.bids, "asks": book.asks}
        return _framed(head | body, time_ns)

    def _updates(self, time_ns: int, wanted: Collection[ExchangeStream]) -> Iterable[Frame]:
        for instrument, symbol in self._symbols.items():
            changes = self._books.changes(instrument)
            stream = self._streams.get(f"book:{symbol}")
            self._numbers[instrument] += changes is not None
            if changes is None or stream not in wanted:
                continue
            head = {"channel": "book", "type": "update", "symbol": symbol}
            body = {
                "number": self._numbers[instrument],
                "sequence": changes.last,
                "previous": changes.previous,
                "bids": _levels(instrument, changes.bids),
                "asks": _levels(instrument, changes.asks),
            }
            yield stream, _framed(head | body, time_ns)


def _trade_frame(symbol: str, trade: Trade) -> bytes:
    """``{"channel":"trades","symbol","id","price","size","side","time"}``"""
    one = trade.instrument
    body = {
        "channel": "trades",
        "symbol": symbol,
        "id": trade.trade_id,
        "price": one.price_text(trade.price_ticks),
        "size": one.size_text(trade.size_lots),
        "side": "buy" if trade.taker_buys else "sell",
    }
    return _framed(body, trade.time_ns)


def _quote_frame(symbol: str, quote: BestQuote) -> bytes:
    """``{"channel":"quotes","symbol","sequence","bid","bid_size","ask","ask_size","time"}``"""
    one = quote.instrument
    body = {
        "channel": "quotes",
        "symbol": symbol,
        "sequence": quote.sequence,
        "bid": one.price_text(quote.bid_ticks),
        "bid_size": one.size_text(quote.bid_lots),
        "ask": one.price_text(quote.ask_ticks),
        "ask_size": one.size_text(quote.ask_lots),
    }
    return _framed(body, quote.time_ns)


def _levels(instrument: Instrument, levels: Iterable[tuple[int, int]]) -> list[tuple[str, str]]:
    return [(instrument.price_text(ticks), instrument.size_text(lots)) for ticks, lots in levels]


def _framed(body: Mapping[str, object], time_ns: int) -> bytes:
    return msgspec.json.encode({**body, "time": time_ns // NANOSECONDS_PER_MILLISECOND})
