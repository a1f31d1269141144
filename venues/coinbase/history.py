"""Coinbase's market data over REST: instruments, books, trades and candles, with exact numbers.

https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/rest-api
https://docs.cdp.coinbase.com/exchange/introduction/welcome
"""

import functools
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import UnknownInstrument, VenueUnavailable
from kit.base.numbers import plain_text
from kit.base.request_budget import Priority, RequestBudget
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest.ccxt_rest_client import CcxtRestClient, candle, known_interval
from kit.marketdata.frames.reference_reader import time_ns
from kit.marketdata.model.columns import PriceLevels
from venues.coinbase import instruments

TRADES_MAX = 1000
"""Trades of one answer, on both APIs."""
CANDLES_MAX = 300
"""Candles in one answer of Exchange; Advanced Trade rejects a period of 350 candles."""
CALLS_MAX = 40
"""Calls for one request. More would take longer than a caller waits."""
BOOK_DEPTH = 1000
FIRST_WINDOW_S = 60
"""First period for which Advanced Trade is asked for trades; it adapts to the answers."""
ADVANCED_INTERVALS: Mapping[str, tuple[str, int]] = {
    "1m": ("ONE_MINUTE", 60),
    "5m": ("FIVE_MINUTE", 300),
    "15m": ("FIFTEEN_MINUTE", 900),
    "30m": ("THIRTY_MINUTE", 1800),
    "1h": ("ONE_HOUR", 3600),
    "2h": ("TWO_HOUR", 7200),
    "6h": ("SIX_HOUR", 21_600),
    "1d": ("ONE_DAY", 86_400),
}
EXCHANGE_INTERVALS: Mapping[str, int] = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "1h": 3600,
    "6h": 21_600,
    "1d": 86_400,
}

NOT_FOUND = re.compile(r'"NOT_FOUND"| NotFound')
"""The APIs' error for an unknown product, for which ccxt has no class."""
_TAKERS = {"BUY": types_pb2.SIDE_SELL, "SELL": types_pb2.SIDE_BUY}
"""Sides of the taker by the side of the maker, which both APIs state."""

Trade = market_data_pb2.Trade
Candle = market_data_pb2.Candle
AnswerT = TypeVar("AnswerT")


class CoinbaseAdvancedHistory:
    """Market data of the Advanced Trade API. Its public calls need no key."""

    def __init__(
        self,
        venue_id: str,
        base_url: str | None,
        clock: Clock,
        *,
        budget: RequestBudget | None = None,
    ) -> None:
        urls = None if base_url is None else {"rest": base_url}
        self._rest = _Rest(venue_id, "coinbase", urls, budget)
        self._clock = clock

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET /api/v3/brokerage/market/products, of spot markets, each under one name."""
        return await self._rest.instruments()

    async def book(self, symbol: str) -> BookSnapshot:
        """GET /api/v3/brokerage/market/product_book: {"pricebook":{"bids":[{"price":"68923.66",
        "size":"0.17189468"},…],"asks":[…],"time":"2026-04-07T00:28:59.662782Z"}}."""

        def read(answer: Any) -> BookSnapshot:
            bids, asks = (
                PriceLevels.parse(
                    [(level["price"], level["size"]) for level in answer["pricebook"][side]]
                )
                for side in ("bids", "asks")
            )
            return BookSnapshot(0, bids, asks, self._clock.time_ns())

        query = {"product_id": symbol, "limit": BOOK_DEPTH}
        return await self._rest.get(
            "v3PublicGetBrokerageMarketProductBook", query, read, Priority.PROTECT
        )

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[Trade]:
        """GET /api/v3/brokerage/market/products/BTC-USD/ticker, which finds trades by time: an id
        is searched backwards from the newest trade. Raises VenueUnavailable when it is too old."""
        if first_trade_id:
            return (await self._back_to(symbol, first_trade_id))[:count]
        if start_time_ns:
            return await self._forth_from(symbol, start_time_ns, count)
        return await self._trades_of(symbol, {"limit": min(count, TRADES_MAX)})

    async def last_trade(self, symbol: str) -> Trade | None:
        """GET /api/v3/brokerage/market/products/BTC-USD/ticker."""
        found = await self._trades_of(symbol, {"limit": 1}, Priority.QUESTION)
        return found[-1] if found else None

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[Candle]:
        """GET /api/v3/brokerage/market/products/BTC-USD/candles: {"candles":[{"start":
        "1712192400","low":"66055.14","high":…,"open":…,"close":…,"volume":…},…]}, newest first.
        Raises BadRequest for an interval that the venue does not have."""
        granularity, interval_s = known_interval(interval, ADVANCED_INTERVALS)

        async def between(start_s: int, end_s: int) -> list[Candle]:
            query = {
                "product_id": symbol,
                "granularity": granularity,
                "start": str(start_s),
                "end": str(end_s),
            }
            method = "v3PublicGetBrokerageMarketProductsProductIdCandles"
            return await self._rest.get(method, query, _advanced_candles)

        now_s = self._clock.time_ns() // NANOSECONDS_PER_SECOND
        return await _candles(between, interval_s, start_time_ns, count, now_s)

    async def close(self) -> None:
        await self._rest.close()

    async def _back_to(self, symbol: str, trade_id: int) -> list[Trade]:
        """The trades from this one to the newest."""
        found: dict[int, Trade] = {}
        query: dict[str, object] = {"limit": TRADES_MAX}
        for _ in range(CALLS_MAX):
            page = {int(one.trade_id): one for one in await self._trades_of(symbol, query)}
            if not page.keys() - found.keys() or min(page) <= trade_id:
                found |= page
                return [found[number] for number in sorted(found) if number >= trade_id]
            found |= page
            end_s = found[min(found)].venue_time_ns // NANOSECONDS_PER_SECOND + 1
            query |= {"start": "1", "end": str(end_s)}
        raise self._rest.unavailable(f"trade {trade_id} of {symbol} lies too far back")

    async def _forth_from(self, symbol: str, start_ns: int, count: int) -> list[Trade]:
        """The first trades from a time on."""
        found: dict[int, Trade] = {}
        start_s, window_s = start_ns // NANOSECONDS_PER_SECOND, FIRST_WINDOW_S
        now_s = self._clock.time_ns() // NANOSECONDS_PER_SECOND
        for _ in range(CALLS_MAX):
            times = {"start": str(start_s), "end": str(start_s + window_s)}
            page = await self._trades_of(symbol, {"limit": TRADES_MAX, **times})
            if len(page) >= TRADES_MAX and window_s > 1:
                window_s = max(window_s // 4, 1)  # there may be more, older than these
                continue
            found |= {int(one.trade_id): one for one in page if one.venue_time_ns >= start_ns}
            start_s += window_s
            if len(found) >= count or start_s > now_s:
                break
            window_s *= 2
        return [found[number] for number in sorted(found)][:count]

    async def _trades_of(
        self, symbol: str, query: Mapping[str, object], priority: Priority = Priority.BACKFILL
    ) -> list[Trade]:
        """Parse {"trades":[{"trade_id":"995098663","product_id":"BTC-USD","price":"68923.67",
        "size":"0.00064","time":"2026-04-07T00:28:58.544778Z","side":"SELL",…},…]} into rows, oldest
        first."""
        method = "v3PublicGetBrokerageMarketProductsProductIdTicker"
        query = {"product_id": symbol, **query}
        return await self._rest.get(method, query, _advanced_trades, priority)


class CoinbaseExchangeHistory:
    """Market data of the Exchange API. Its public calls need no key."""

    def __init__(
        self,
        venue_id: str,
        base_url: str | None,
        clock: Clock,
        *,
        budget: RequestBudget | None = None,
    ) -> None:
        urls = None if base_url is None else {"public": base_url, "private": base_url}
        self._rest = _Rest(venue_id, "coinbaseexchange", urls, budget)
        self._clock = clock

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET /products."""
        return await self._rest.instruments()

    async def book(self, symbol: str) -> BookSnapshot:
        """GET /products/BTC-USD/book?level=2: {"bids":[["0.1135","35",1],…],"asks":[…],
        "sequence":406959136,…}; level2 frames do not have this sequence."""

        def read(answer: Any) -> BookSnapshot:
            bids, asks = (
                PriceLevels.parse([(price, size) for price, size, _ in answer[side]])
                for side in ("bids", "asks")
            )
            return BookSnapshot(0, bids, asks, self._clock.time_ns())

        query = {"id": symbol, "level": 2}
        return await self._rest.get("publicGetProductsIdBook", query, read, Priority.PROTECT)

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[Trade]:
        """GET /products/BTC-USD/trades, exact by id; a time is first searched among the ids."""
        limit = min(count, TRADES_MAX)
        if not first_trade_id and not start_time_ns:
            return await self._before(symbol, 0, limit)
        if not first_trade_id:
            first_trade_id = await self._first_at(symbol, start_time_ns)
            if not first_trade_id:
                return []
        page = await self._before(symbol, first_trade_id + limit, limit)
        return [one for one in page if int(one.trade_id) >= first_trade_id]

    async def last_trade(self, symbol: str) -> Trade | None:
        """GET /products/BTC-USD/trades."""
        found = await self._before(symbol, 0, 1, Priority.QUESTION)
        return found[-1] if found else None

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[Candle]:
        """GET /products/BTC-USD/candles: [[time s, low, high, open, close, volume],…] as bare
        numbers, newest first. Raises BadRequest for an interval that the venue does not have."""
        interval_s = known_interval(interval, EXCHANGE_INTERVALS)

        async def between(start_s: int, end_s: int) -> list[Candle]:
            times = {"start": self._rest.iso(start_s), "end": self._rest.iso(end_s)}
            query = {"id": symbol, "granularity": interval_s, **times}
            return await self._rest.get("publicGetProductsIdCandles", query, _exchange_candles)

        now_s = self._clock.time_ns() // NANOSECONDS_PER_SECOND
        return await _candles(between, interval_s, start_time_ns, count, now_s)

    async def close(self) -> None:
        await self._rest.close()

    async def _first_at(self, symbol: str, start_ns: int) -> int:
        """The id of the first trade at or after a time, or 0 if there is none yet."""
        page = await self._before(symbol, 0, TRADES_MAX)
        last = int(page[-1].trade_id) if page else 0
        earlier, later, step = 0, 0, TRADES_MAX
        for _ in range(CALLS_MAX):
            if not page or page[-1].venue_time_ns < start_ns:
                earlier = last
            elif page[0].venue_time_ns < start_ns:
                return next(int(one.trade_id) for one in page if one.venue_time_ns >= start_ns)
            else:
                later = int(page[0].trade_id)
            if later <= earlier + 1:
                return later
            step *= 8
            last = (earlier + later) // 2 if earlier else max(later - step, later // 2)
            page = await self._before(symbol, last + 1, TRADES_MAX)
        raise self._rest.unavailable(f"the trades of {symbol} at that time are not found")

    async def _before(
        self, symbol: str, trade_id: int, limit: int, priority: Priority = Priority.BACKFILL
    ) -> list[Trade]:
        """The newest trades older than this one (0: than now), oldest first: rows are
        {"trade_id":15035219,"side":"sell","size":"0.27426731","price":"25820.42000000",
        "time":"2023-09-10T13:47:41.447577Z"}."""
        query = {"id": symbol, "limit": limit} | ({"after": trade_id} if trade_id else {})
        return await self._rest.get("publicGetProductsIdTrades", query, _exchange_trades, priority)


class _Rest:
    """Calls of one of the two APIs, with the error that both have for an unknown product."""

    def __init__(
        self,
        venue_id: str,
        exchange_id: str,
        urls: Mapping[str, str] | None,
        budget: RequestBudget | None,
    ) -> None:
        config: dict[str, Any] = {"options": {"fetchCurrencies": False}}
        if urls is not None:
            config["urls"] = {"api": urls}
        self._venue_id = venue_id
        # Candles of Exchange are bare numbers, which must not become floats.
        decode = functools.partial(json.loads, parse_float=str)
        self._ccxt = CcxtRestClient(venue_id, exchange_id, config, budget, decode)
        self.close = self._ccxt.close

    async def get(
        self,
        method: str,
        query: Mapping[str, object],
        read: Callable[[Any], AnswerT],
        priority: Priority = Priority.BACKFILL,
    ) -> AnswerT:
        """Make a raw call and parse its answer with ``read``. Raises UnknownInstrument."""
        try:
            return await self._ccxt.get(priority, method, query, read)
        except VenueUnavailable as error:
            if NOT_FOUND.search(error.message) is None:
                raise
            symbol = str(query.get("product_id") or query.get("id") or "")
            raise UnknownInstrument(error.message, venue=self._venue_id, symbol=symbol) from error

    async def instruments(self) -> list[types_pb2.Instrument]:
        """Spot markets, each under one name."""
        return await self._ccxt.markets(self._read_markets)

    def iso(self, time_s: int) -> str:
        """A time as 2023-09-10T13:47:41.000Z."""
        text: str = self._ccxt.exchange.iso8601(time_s * 1000)
        return text

    def unavailable(self, message: str) -> VenueUnavailable:
        """The error for data that cannot be found within CALLS_MAX calls."""
        return VenueUnavailable(message, venue=self._venue_id, detail="")

    def _read_markets(self, markets: Any) -> list[types_pb2.Instrument]:
        return [
            instruments.instrument(self._venue_id, market)
            for market in markets
            if market["spot"] and not instruments.is_alias(market)
        ]


async def _candles(
    between: Callable[[int, int], Awaitable[list[Candle]]],
    interval_s: int,
    start_ns: int,
    count: int,
    now_s: int,
) -> list[Candle]:
    """Candles from as many calls as necessary. The venue omits candles without a trade."""
    if start_ns:
        first_s = -(-start_ns // (interval_s * NANOSECONDS_PER_SECOND)) * interval_s
    else:
        first_s = now_s - now_s % interval_s - (count - 1) * interval_s
    found: dict[int, Candle] = {}
    for _ in range(CALLS_MAX):
        if first_s > now_s or len(found) >= count:
            break
        end_s = first_s + (min(count, CANDLES_MAX) - 1) * interval_s
        found |= {one.open_time_ns: one for one in await between(first_s, end_s)}
        first_s = end_s + interval_s
    return [found[open_ns] for open_ns in sorted(found)][:count]


def _advanced_trades(answer: Any) -> list[Trade]:
    return [_trade(row) for row in reversed(answer["trades"])]


def _exchange_trades(rows: Any) -> list[Trade]:
    return [_trade(row) for row in reversed(rows)]


def _advanced_candles(answer: Any) -> list[Candle]:
    columns = ("start", "open", "high", "low", "close", "volume")
    return [_candle([row[name] for name in columns]) for row in answer["candles"]]


def _exchange_candles(rows: Any) -> list[Candle]:
    return [
        _candle([start, open_, high, low, close, volume])
        for start, low, high, open_, close, volume in rows
    ]


def _candle(row: Sequence[Any]) -> Candle:
    """Parse [open time s, open, high, low, close, volume]."""
    return candle(int(row[0]) * NANOSECONDS_PER_SECOND, *row[1:])


def _trade(row: Mapping[str, Any]) -> Trade:
    """Parse a trade of either API."""
    return Trade(
        trade_id=str(row["trade_id"]),
        price=plain_text(row["price"]),
        size=plain_text(row["size"]),
        side=_TAKERS[row["side"].upper()],
        venue_time_ns=time_ns(row["time"]),
    )
