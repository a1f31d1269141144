"""What is taken from ccxt's caches, and when."""

from types import SimpleNamespace
from typing import Any, cast

from ccxt.async_support.base.ws.cache import ArrayCache
from venuemesh.common.v1 import types_pb2

from kit.base.clock import SystemClock
from kit.marketdata.model.columns import BookRows, Rows, TradeRows
from venues.ccxt.exchange import CcxtExchange
from venues.ccxt.streams import BOOK, TRADES, BooksChannel, StreamContext, TradesChannel

SYMBOL = "A/B"


class FakeSink:
    """Remembers what it was given; can be told to refuse some trades."""

    def __init__(self) -> None:
        self.taken: list[Rows] = []
        self.reported: list[tuple[int, int]] = []
        self.bad_ids: set[str] = set()

    def publish(self, rows: Rows) -> bool:
        if isinstance(rows, TradeRows) and self.bad_ids & set(rows.trade_id_text or ()):
            return False
        self.taken.append(rows)
        return True

    def report_gap(self, symbol: str, channel: int, reason: int, detail: str) -> None:
        self.reported.append((channel, reason))

    def on_connection_lost(self, symbols: Any, channels: Any, reason: str) -> None:
        self.reported += [(channel, types_pb2.GAP_REASON_RECONNECT) for channel in channels]

    def reject_subscriptions(self, symbols: Any, channels: Any, message: str) -> None:
        raise AssertionError(message)

    @property
    def ids(self) -> list[str]:
        rows = [rows for rows in self.taken if isinstance(rows, TradeRows)]
        return [one for row in rows for one in row.trade_id_text or ()]


def context(sink: FakeSink, **caches: Any) -> StreamContext:
    api = SimpleNamespace(**{"trades": None, "orderbooks": None, **caches})
    exchange = cast("CcxtExchange", SimpleNamespace(api=api))
    return StreamContext(exchange, sink, SystemClock(), depth=10, consecutive=False)


def trade(number: int) -> dict:
    return {"id": str(number), "price": 1.0, "amount": 2.0, "symbol": SYMBOL}


def filled(cache: ArrayCache, *numbers: int) -> ArrayCache:
    for number in numbers:
        cache.append(trade(number))
    return cache


def test_a_trade_between_two_watch_calls_is_read_from_the_cache() -> None:
    sink = FakeSink()
    cache = filled(ArrayCache(100), 1)
    stream = TradesChannel(context(sink, trades={SYMBOL: cache}), SYMBOL)
    stream.sweep()
    assert sink.ids == []
    stream.sweep()
    assert (sink.ids, len(cache)) == (["1"], 0)


def test_each_trade_is_taken_once_and_none_is_held() -> None:
    sink = FakeSink()
    cache = filled(ArrayCache(100), 1, 2)
    stream = TradesChannel(context(sink, trades={SYMBOL: cache}), SYMBOL)
    stream.take(list(cache))
    filled(cache, 3)
    stream.take(list(cache))
    assert (sink.ids, len(cache), sink.reported) == (["1", "2", "3"], 0, [])


def test_a_full_cache_is_a_gap_before_the_remaining_trades() -> None:
    sink = FakeSink()
    cache = filled(ArrayCache(2), 1, 2, 3)
    TradesChannel(context(sink, trades={SYMBOL: cache}), SYMBOL).take(())
    assert sink.reported == [(TRADES, types_pb2.GAP_REASON_OVERFLOW)]
    assert sink.ids == ["2", "3"]


def test_a_trade_that_cannot_be_written_costs_no_other() -> None:
    sink = FakeSink()
    sink.bad_ids = {"2"}
    cache = filled(ArrayCache(100), 1, 2, 3)
    TradesChannel(context(sink, trades={SYMBOL: cache}), SYMBOL).take(())
    assert sink.reported == [(TRADES, types_pb2.GAP_REASON_MALFORMED)]
    assert sink.ids == ["1", "3"]


def test_without_a_cache_the_returned_trades_are_used() -> None:
    sink = FakeSink()
    TradesChannel(context(sink), SYMBOL).take([trade(1), {"id": "2", "price": None}])
    assert sink.ids == ["1"]


def test_a_book_that_ccxt_rebuilds_is_not_read() -> None:
    sink = FakeSink()
    old = {"bids": [[1.0, 1.0]], "asks": [[2.0, 1.0]]}
    books = {SYMBOL: old}
    stream = BooksChannel(context(sink, orderbooks=books), SYMBOL)
    stream.take(old)
    old["bids"][0][1] = 3.0
    stream.sweep()
    books[SYMBOL] = {"bids": [], "asks": []}
    stream.sweep()
    sizes = [row.bids.size.unscaled.tolist() for row in sink.taken if isinstance(row, BookRows)]
    assert sizes == [[1], [3]]


def test_a_book_that_cannot_be_written_is_in_doubt_until_it_can() -> None:
    sink = FakeSink()
    stream = BooksChannel(context(sink, orderbooks={}), SYMBOL)
    stream.take({"bids": [[1e30, 1.0]], "asks": []})
    assert sink.reported == [(BOOK, types_pb2.GAP_REASON_RECONNECT)]
    stream.take({"bids": [[1.0, 1.0]], "asks": []})
    (rows,) = sink.taken
    assert isinstance(rows, BookRows)
    assert rows.snapshot.tolist() == [1]


def test_a_new_beginning_forgets_the_old_levels() -> None:
    sink = FakeSink()
    book = {"bids": [[1.0, 1.0]], "asks": []}
    books = {SYMBOL: book}
    stream = BooksChannel(context(sink, orderbooks=books), SYMBOL)
    stream.take(book)
    stream.forget()
    assert books == {}
    stream.take(book)
    reported = [row.snapshot.tolist() for row in sink.taken if isinstance(row, BookRows)]
    assert reported == [[1], [1]]
