"""Binance's market data over REST: instruments, books, trades and candles, with exact numbers.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
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
from venues.binance import instruments

ReadT = TypeVar("ReadT")

BOOK_DEPTH = 1000
NEWEST_TRADES_MAX = 1000
_NAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w")
INTERVALS = {name: name for name in _NAMES}


@dataclass(frozen=True, slots=True)
class BinanceRestApi:
    """The REST calls of one market."""

    exchange: str
    """Class of ccxt."""
    methods: str
    """Prefix of ccxt's raw methods."""
    path: str
    intervals: Mapping[str, str]
    trades_max: int
    """Trades in one answer of historicalTrades."""
    candles_max: int


SPOT_API = BinanceRestApi(
    "binance", "public", "/api/v3", {"1s": "1s", **INTERVALS}, trades_max=1000, candles_max=1000
)
FUTURES_API = BinanceRestApi(
    "binanceusdm", "fapiPublic", "/fapi/v1", INTERVALS, trades_max=500, candles_max=1500
)


class BinanceHistory:
    """Instruments, book, trades and candles of one market over REST."""

    def __init__(
        self,
        venue_id: str,
        api: BinanceRestApi,
        base_url: str | None,
        clock: Clock,
        *,
        aggregate: bool = False,
        budget: RequestBudget | None = None,
    ) -> None:
        """``aggregate``: return the trades of @aggTrade, which have their own ids."""
        self.venue_id = venue_id
        self._aggregate = aggregate
        self._api = api
        self._clock = clock
        self._rest = CcxtRestClient(venue_id, api.exchange, _config(api, base_url), budget)

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET exchangeInfo. Of futures, only perpetuals are returned."""

        def read(markets: list[Mapping[str, Any]]) -> list[types_pb2.Instrument]:
            return [
                instruments.instrument(self.venue_id, market)
                for market in markets
                if market["type"] in instruments.KINDS
            ]

        return await self._rest.markets(read)

    async def book(self, symbol: str) -> BookSnapshot:
        """GET depth: {"lastUpdateId":5009323,"bids":[["61837.63","3.7"],…],"asks":…}."""
        query = {"symbol": symbol, "limit": BOOK_DEPTH}
        return await self._get(Priority.PROTECT, "Depth", query, self._book)

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """GET trades, or GET historicalTrades for older ids, which needs a key. A time is first
        looked up in aggTrades."""
        if self._aggregate:
            return await self._aggregates(symbol, first_trade_id, start_time_ns, count)
        if not first_trade_id and start_time_ns:
            first_trade_id = await self._first_trade_at(symbol, start_time_ns)
            if not first_trade_id:
                return []
        newest = NEWEST_TRADES_MAX if first_trade_id else min(count, NEWEST_TRADES_MAX)
        found = await self._backfill("Trades", {"symbol": symbol, "limit": newest}, _trade)
        if first_trade_id and found and int(found[0].trade_id) > first_trade_id:
            query = {
                "symbol": symbol,
                "limit": min(count, self._api.trades_max),
                "fromId": first_trade_id,
            }
            found = await self._backfill("HistoricalTrades", query, _trade)
        return [trade for trade in found if int(trade.trade_id) >= first_trade_id][:count]

    async def last_trade(self, symbol: str) -> market_data_pb2.Trade | None:
        """GET trades, or GET aggTrades."""
        name, read = ("AggTrades", _aggregate) if self._aggregate else ("Trades", _trade)
        rows = await self._get(Priority.QUESTION, name, {"symbol": symbol, "limit": 1}, list)
        return read(rows[-1]) if rows else None

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """GET klines. Raises BadRequest for an interval that the venue does not have."""
        known_interval(interval, self._api.intervals)
        limit = min(count, self._api.candles_max)
        query: dict[str, Any] = {"symbol": symbol, "interval": interval, "limit": limit}
        if start_time_ns:
            query["startTime"] = first_millisecond(start_time_ns)
        return await self._backfill("Klines", query, _candle)

    async def close(self) -> None:
        await self._rest.close()

    async def _aggregates(
        self, symbol: str, first_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        query: dict[str, Any] = {"symbol": symbol, "limit": min(count, NEWEST_TRADES_MAX)}
        if first_id:
            query["fromId"] = first_id
        elif start_time_ns:
            query["startTime"] = first_millisecond(start_time_ns)
        return await self._backfill("AggTrades", query, _aggregate)

    async def _first_trade_at(self, symbol: str, start_time_ns: int) -> int:
        query = {"symbol": symbol, "startTime": first_millisecond(start_time_ns), "limit": 1}
        first_ids = await self._backfill("AggTrades", query, lambda row: int(row["f"]))
        return first_ids[0] if first_ids else 0

    async def _backfill(
        self, name: str, query: Mapping[str, Any], read: Callable[[Any], ReadT]
    ) -> list[ReadT]:
        """The rows of an answer."""
        return await self._get(
            Priority.BACKFILL, name, query, lambda rows: [read(row) for row in rows]
        )

    async def _get(
        self, priority: Priority, name: str, query: Mapping[str, Any], read: Callable[[Any], ReadT]
    ) -> ReadT:
        return await self._rest.get(priority, f"{self._api.methods}Get{name}", query, read)

    def _book(self, answer: Mapping[str, Any]) -> BookSnapshot:
        return BookSnapshot(
            last_sequence=int(answer["lastUpdateId"]),
            bids=PriceLevels.parse(answer["bids"]),
            asks=PriceLevels.parse(answer["asks"]),
            received_time_ns=self._clock.time_ns(),
        )


def _config(api: BinanceRestApi, base_url: str | None) -> Mapping[str, Any]:
    options: dict[str, Any] = {"fetchCurrencies": False, "fetchMargins": False}
    if api is SPOT_API:
        options["fetchMarkets"] = {"types": ["spot"]}
    # The request budget paces the calls by priority; ccxt would pace them by arrival.
    config: dict[str, Any] = {"options": options, "enableRateLimit": False}
    if base_url is not None:
        rest = f"{base_url}{api.path}"
        config["urls"] = {"api": {"public": rest, "private": rest, "fapiPublic": rest}}
        # ccxt asks for a key before it calls historicalTrades; the simulator takes any.
        config["apiKey"] = "simulated"
    return config


def _trade(row: Mapping[str, Any]) -> market_data_pb2.Trade:
    """{"id":28457,"price":"4.00000100","qty":"12.00000000","time":1499865549590,
    "isBuyerMaker":true,…}; the buyer was the maker, so the taker sold."""
    maker_bought = row["isBuyerMaker"]
    return market_data_pb2.Trade(
        trade_id=str(row["id"]),
        price=plain_text(row["price"]),
        size=plain_text(row["qty"]),
        side=types_pb2.SIDE_SELL if maker_bought else types_pb2.SIDE_BUY,
        venue_time_ns=int(row["time"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _aggregate(row: Mapping[str, Any]) -> market_data_pb2.Trade:
    """{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true},
    of the same meaning."""
    return market_data_pb2.Trade(
        trade_id=str(row["a"]),
        price=plain_text(row["p"]),
        size=plain_text(row["q"]),
        side=types_pb2.SIDE_SELL if row["m"] else types_pb2.SIDE_BUY,
        venue_time_ns=int(row["T"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _candle(row: list[Any]) -> market_data_pb2.Candle:
    """[open time ms, open, high, low, close, volume, …], prices as text."""
    return candle(int(row[0]) * NANOSECONDS_PER_MILLISECOND, *row[1:6])
