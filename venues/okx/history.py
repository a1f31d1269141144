"""OKX's market data over REST: instruments, books, trades and candles, with exact numbers.

Answers are newest first, and are paged by ``after``: rows older than an id or a time.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.errors import VenueUnavailable
from kit.base.numbers import plain_text
from kit.base.request_budget import Priority, RequestBudget
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest.ccxt_rest_client import (
    CcxtRestClient,
    candle,
    first_millisecond,
    known_interval,
)
from kit.marketdata.model.columns import PriceLevels
from venues.okx import instruments

ReadT = TypeVar("ReadT")

BOOK_DEPTH = 400
NEWEST_TRADES_MAX = 500
TRADES_PAGE, CANDLES_PAGE = 100, 300
BY_ID, BY_TIME = 1, 2
"""Values of ``type``: paging of history-trades by id, and by time."""
RECENT_CANDLES = 1_439
"""Recent candles of an interval; older ones are in history-candles."""
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
INTERVALS: Mapping[str, tuple[str, int]] = {
    "1s": ("1s", 1_000),
    "1m": ("1m", MINUTE_MS),
    "3m": ("3m", 3 * MINUTE_MS),
    "5m": ("5m", 5 * MINUTE_MS),
    "15m": ("15m", 15 * MINUTE_MS),
    "30m": ("30m", 30 * MINUTE_MS),
    "1h": ("1H", HOUR_MS),
    "2h": ("2H", 2 * HOUR_MS),
    "4h": ("4H", 4 * HOUR_MS),
    "6h": ("6Hutc", 6 * HOUR_MS),
    "12h": ("12Hutc", 12 * HOUR_MS),
    "1d": ("1Dutc", DAY_MS),
    "1w": ("1Wutc", 7 * DAY_MS),
}
"""OKX's names and lengths in ms. From six hours on, names without "utc" mean days of Hong Kong."""


class OkxHistory:
    """Instruments, book, trades and candles of one kind over REST."""

    def __init__(
        self,
        venue_id: str,
        market_type: str,
        base_url: str | None,
        clock: Clock,
        *,
        budget: RequestBudget | None = None,
    ) -> None:
        """``market_type``: the market type of ccxt, "spot" or "swap"."""
        self._venue_id = venue_id
        self._clock = clock
        self._rest = CcxtRestClient(venue_id, "okx", _config(market_type, base_url), budget)

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET /api/v5/public/instruments."""
        return await self._rest.markets(
            lambda markets: [instruments.instrument(self._venue_id, one) for one in markets]
        )

    async def book(self, symbol: str) -> BookSnapshot:
        """GET /api/v5/market/books: {"asks":[["41006.8","0.60038921","0","1"],…],"bids":…,"ts":…,
        "seqId":…}, in a list of one. Without a seqId, the sequence is 0."""
        query = {"instId": symbol, "sz": BOOK_DEPTH}

        def read(row: Mapping[str, Any]) -> BookSnapshot:
            return BookSnapshot(
                last_sequence=int(row["seqId"]) if "seqId" in row else 0,
                bids=PriceLevels.parse(row["bids"]),
                asks=PriceLevels.parse(row["asks"]),
                received_time_ns=self._clock.time_ns(),
            )

        books = await self._get(Priority.PROTECT, "publicGetMarketBooks", query, read)
        if not books:
            text = f"{self._venue_id} gave no book of {symbol}"
            raise VenueUnavailable(text, venue=self._venue_id, detail="empty answer")
        return books[0]

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """GET /api/v5/market/history-trades from an id, 100 a call; a time is looked up first.
        Newest trades: GET /api/v5/market/trades. Returns single matches; the
        feed may combine them."""
        if not first_trade_id and start_time_ns:
            first_trade_id = await self._first_trade_at(symbol, start_time_ns)
            if not first_trade_id:
                return []
        if first_trade_id:
            return await self._trades_from(symbol, first_trade_id, count)
        query = {"instId": symbol, "limit": min(count, NEWEST_TRADES_MAX)}
        return (await self._get(Priority.BACKFILL, "publicGetMarketTrades", query, _trade))[::-1]

    async def last_trade(self, symbol: str) -> market_data_pb2.Trade | None:
        """GET /api/v5/market/trades."""
        query = {"instId": symbol, "limit": 1}
        found = await self._get(Priority.QUESTION, "publicGetMarketTrades", query, _trade)
        return found[0] if found else None

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """GET /api/v5/market/candles, or history-candles for old ones, 300 a call. Raises
        BadRequest for an interval that the venue does not have."""
        bar, length_ms = known_interval(interval, INTERVALS)
        query = {"instId": symbol, "bar": bar}
        if not start_time_ns:
            return await self._newest_candles(query, count)
        return await self._candles_from(query, length_ms, first_millisecond(start_time_ns), count)

    async def close(self) -> None:
        await self._rest.close()

    async def _trades_from(
        self, symbol: str, first_trade_id: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """Request windows of ids, each as the trades older than its end."""
        found: list[market_data_pb2.Trade] = []
        while len(found) < count:
            after = first_trade_id + TRADES_PAGE
            page = await self._history_trades(symbol, BY_ID, after, TRADES_PAGE)
            fresh = [trade for trade in reversed(page) if int(trade.trade_id) >= first_trade_id]
            if not fresh:
                break
            found += fresh
            first_trade_id = after
        return found[:count]

    async def _first_trade_at(self, symbol: str, start_time_ns: int) -> int:
        """The id after the newest trade before that time, or 0 if there is none."""
        start_ms = first_millisecond(start_time_ns)
        before = await self._history_trades(symbol, BY_TIME, start_ms, 1)
        return int(before[0].trade_id) + 1 if before else 0

    async def _history_trades(
        self, symbol: str, kind: int, after: int, limit: int
    ) -> list[market_data_pb2.Trade]:
        """Request one page, newest first."""
        query = {"instId": symbol, "type": kind, "after": after, "limit": limit}
        return await self._get(Priority.BACKFILL, "publicGetMarketHistoryTrades", query, _trade)

    async def _candles_from(
        self, query: Mapping[str, Any], length_ms: int, start_ms: int, count: int
    ) -> list[market_data_pb2.Candle]:
        now_ms = self._clock.time_ns() // NANOSECONDS_PER_MILLISECOND
        recent = start_ms > now_ms - RECENT_CANDLES * length_ms
        method = "publicGetMarketCandles" if recent else "publicGetMarketHistoryCandles"
        found: list[market_data_pb2.Candle] = []
        while len(found) < count:
            # Both bounds are exclusive.
            end_ms = start_ms + CANDLES_PAGE * length_ms
            bounds = {"before": start_ms - 1, "after": end_ms, "limit": CANDLES_PAGE}
            page = await self._get(Priority.BACKFILL, method, {**query, **bounds}, _candle)
            if not page:
                break
            found += reversed(page)
            start_ms = end_ms
        return found[:count]

    async def _newest_candles(
        self, query: Mapping[str, Any], count: int
    ) -> list[market_data_pb2.Candle]:
        found: list[market_data_pb2.Candle] = []
        while len(found) < count:
            wanted = {**query, "limit": min(count - len(found), CANDLES_PAGE)}
            if found:
                wanted["after"] = found[-1].open_time_ns // NANOSECONDS_PER_MILLISECOND
            page = await self._get(Priority.BACKFILL, "publicGetMarketCandles", wanted, _candle)
            if not page:
                break
            found += page
        return found[::-1]

    async def _get(
        self,
        priority: Priority,
        method: str,
        query: Mapping[str, Any],
        read: Callable[[Any], ReadT],
    ) -> list[ReadT]:
        """The rows of an answer."""
        return await self._rest.get(
            priority, method, query, lambda answer: [read(row) for row in answer["data"]]
        )


def _config(market_type: str, base_url: str | None) -> Mapping[str, Any]:
    options = {"fetchMarkets": {"types": [market_type]}, "fetchCurrencies": False}
    config: dict[str, Any] = {"options": options}
    if base_url is not None:
        config["urls"] = {"api": {"rest": base_url}}
    return config


def _trade(row: Mapping[str, Any]) -> market_data_pb2.Trade:
    """{"instId":"BTC-USDT","side":"sell","sz":"0.00001","px":"29963.2","source":"0",
    "tradeId":"242720720","ts":"1654161646974"}; the side is the taker's."""
    return market_data_pb2.Trade(
        trade_id=str(row["tradeId"]),
        price=plain_text(row["px"]),
        size=plain_text(row["sz"]),
        side=types_pb2.SIDE_BUY if row["side"] == "buy" else types_pb2.SIDE_SELL,
        venue_time_ns=int(row["ts"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _candle(row: list[Any]) -> market_data_pb2.Candle:
    """[open time ms, open, high, low, close, volume, …], as text; volume of swaps: contracts."""
    return candle(int(row[0]) * NANOSECONDS_PER_MILLISECOND, *row[1:6])
