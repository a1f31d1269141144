"""The four kinds of streams: how each is watched, and what is taken from ccxt at once.

Nothing here awaits between an answer of ccxt and the rows that are made of it. What comes while no
one waits lies in ccxt's caches until the next message of that stream; ``sweep`` takes it then.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from venuemesh.common.v1 import types_pb2

from kit.base.clock import Clock
from kit.base.cursor import Channel
from kit.base.numbers import NumberError
from kit.connector.contract.source import RowSink
from kit.marketdata.model.columns import Rows
from venues.ccxt import parse
from venues.ccxt.book import PublishedLevels
from venues.ccxt.exchange import TRADES_MAX, CcxtExchange

TRADES, QUOTES = types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES
BOOK, TICKERS = types_pb2.CHANNEL_BOOK, types_pb2.CHANNEL_TICKERS
FEATURES: Mapping[Channel, str] = {
    TRADES: "watchTrades",
    QUOTES: "watchBidsAsks",
    BOOK: "watchOrderBook",
    TICKERS: "watchTicker",
}
"""What ccxt must have for a channel."""


@dataclass(frozen=True, slots=True)
class StreamContext:
    """What all streams of a feed share."""

    exchange: CcxtExchange
    sink: RowSink
    clock: Clock
    depth: int
    """Levels per side of a book that are reported."""
    consecutive: bool
    """Whether trade ids of a symbol count by one."""

    def now_ns(self) -> int:
        """When what ccxt returns was received, as near as can be known."""
        return self.clock.time_ns()


class WatchedChannel(Protocol):
    """What is watched of one instrument."""

    async def watch(self) -> Any:
        """ccxt's next answer."""

    def take(self, answer: Any) -> None:
        """Hand its rows over, now."""

    def sweep(self) -> None:
        """Hand over what lies in ccxt's caches since the last sweep."""

    def forget(self) -> None:
        """The stream starts again."""

    async def unwatch(self) -> None:
        """Unsubscribe. Raises what ccxt does."""


class TradesChannel:
    """All of them are taken out of ccxt's cache, so that each comes once and none is held."""

    def __init__(self, around: StreamContext, symbol: str) -> None:
        self._around = around
        self._symbol = symbol
        self._lying = 0

    async def watch(self) -> Any:
        return await self._around.exchange.api.watch_trades(self._symbol)

    def take(self, answer: Any) -> None:
        cache = self._cache()
        held = answer if cache is None else cache
        found = [trade for trade in held if parse.is_whole_trade(trade)]
        most = getattr(held, "max_size", None) or TRADES_MAX
        overflowed = len(held) >= most
        if cache is not None:
            cache.clear()
        self._lying = 0
        if overflowed:
            detail = f"{most} trades came at once, maybe more"
            reason = types_pb2.GAP_REASON_OVERFLOW
            self._around.sink.report_gap(self._symbol, TRADES, reason, detail)
        if found and not self._hand_over(found):
            for trade in found:
                if not self._hand_over([trade]):
                    reason = types_pb2.GAP_REASON_MALFORMED
                    detail = f"trade {trade.get('id')} has a number that cannot be kept"
                    self._around.sink.report_gap(self._symbol, TRADES, reason, detail)

    def sweep(self) -> None:
        # What has just come is about to be taken by the watcher; what stays is not.
        lying = len(self._cache() or ())
        if lying and lying == self._lying:
            self.take(())
        else:
            self._lying = lying

    def forget(self) -> None:
        if self._cache():
            self.take(())

    async def unwatch(self) -> None:
        await self._around.exchange.api.un_watch_trades(self._symbol)

    def _cache(self) -> Any:
        return (self._around.exchange.api.trades or {}).get(self._symbol)

    def _hand_over(self, found: list[parse.Unified]) -> bool:
        around = self._around
        return _hand_over(
            around,
            lambda: parse.trades(self._symbol, found, around.now_ns(), around.consecutive),
        )


class BooksChannel:
    """Copied at once, as ccxt goes on changing the object that it has returned."""

    def __init__(self, around: StreamContext, symbol: str) -> None:
        self._around = around
        self._symbol = symbol
        self._copy = PublishedLevels(symbol, around.depth)
        self._book: Any = None

    async def watch(self) -> Any:
        return await self._around.exchange.api.watch_order_book(self._symbol)

    def take(self, answer: Any) -> None:
        self._book = answer
        around = self._around
        if not _hand_over(around, lambda: self._copy.changes(answer, around.now_ns())):
            self._copy.forget()
            around.sink.on_connection_lost([self._symbol], [BOOK], "a number that cannot be kept")

    def sweep(self) -> None:
        # Another object is a book that ccxt is rebuilding, and has not returned yet.
        if self._book is not None and self._books().get(self._symbol) is self._book:
            self.take(self._book)

    def forget(self) -> None:
        self._book = None
        self._copy.forget()
        # A snapshot does not clear the old levels on every exchange.
        self._books().pop(self._symbol, None)

    async def unwatch(self) -> None:
        await self._around.exchange.api.un_watch_order_book(self._symbol)

    def _books(self) -> Any:
        return self._around.exchange.api.orderbooks or {}


class QuotesChannel:
    """Best bid and ask."""

    def __init__(self, around: StreamContext, symbol: str) -> None:
        self._around = around
        self._symbol = symbol

    async def watch(self) -> Any:
        return await self._around.exchange.api.watch_bids_asks([self._symbol])

    def take(self, answer: Any) -> None:
        ticker = answer.get(self._symbol)
        if ticker is not None:
            now_ns = self._around.now_ns()
            _hand_over(self._around, lambda: parse.quotes(self._symbol, ticker, now_ns))

    def sweep(self) -> None:
        """The next one says it all."""

    def forget(self) -> None:
        """There is nothing to forget."""

    async def unwatch(self) -> None:
        await self._around.exchange.api.un_watch_bids_asks([self._symbol])


class TickersChannel:
    """24-hour figures."""

    def __init__(self, around: StreamContext, symbol: str) -> None:
        self._around = around
        self._symbol = symbol

    async def watch(self) -> Any:
        return await self._around.exchange.api.watch_ticker(self._symbol)

    def take(self, answer: Any) -> None:
        now_ns = self._around.now_ns()
        _hand_over(self._around, lambda: parse.tickers(self._symbol, answer, now_ns))

    def sweep(self) -> None:
        """The next one says it all."""

    def forget(self) -> None:
        """There is nothing to forget."""

    async def unwatch(self) -> None:
        await self._around.exchange.api.un_watch_ticker(self._symbol)


KINDS: Mapping[Channel, Callable[[StreamContext, str], WatchedChannel]] = {
    TRADES: TradesChannel,
    QUOTES: QuotesChannel,
    BOOK: BooksChannel,
    TICKERS: TickersChannel,
}


def _hand_over(around: StreamContext, make: Callable[[], Rows | None]) -> bool:
    """Returns whether the rows could be made and written."""
    try:
        rows = make()
    except NumberError:
        return False
    return rows is None or around.sink.publish(rows)
