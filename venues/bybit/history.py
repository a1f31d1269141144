"""Bybit's market data over REST: instruments, books, trades and candles, with exact numbers.

https://bybit-exchange.github.io/docs/v5/market/orderbook and its neighbours ``recent-trade``,
``kline`` and ``instrument``. Lists are newest first.
"""

from collections.abc import Callable, Mapping
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
from venues.bybit import instruments

ReadT = TypeVar("ReadT")

BOOK_DEPTH = 200
TRADES_MAX = 60
CANDLES_MAX = 1000
INTERVALS = {
    "1m": "1",
    "3m": "3",
    "5m": "5",
    "15m": "15",
    "30m": "30",
    "1h": "60",
    "2h": "120",
    "4h": "240",
    "6h": "360",
    "12h": "720",
    "1d": "D",
    "1w": "W",
}
SIDES = {"Buy": types_pb2.SIDE_BUY, "Sell": types_pb2.SIDE_SELL}
REST_HOSTS = ("spot", "futures", "v2", "public", "private")
"""ccxt's names of the single REST address."""


class BybitHistory:
    """Instruments, book, trades and candles over REST."""

    def __init__(
        self,
        venue_id: str,
        base_url: str | None,
        clock: Clock,
        *,
        budget: RequestBudget | None = None,
    ) -> None:
        self._venue_id = venue_id
        self._clock = clock
        self._rest = CcxtRestClient(venue_id, "bybit", _config(base_url), budget)

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET /v5/market/instruments-info."""
        return await self._rest.markets(
            lambda markets: [instruments.instrument(self._venue_id, one) for one in markets]
        )

    async def book(self, symbol: str) -> BookSnapshot:
        """GET /v5/market/orderbook: {"b":[["61837.6","3.7"],…],"a":…,"u":230704,"seq":143260,…}.

        u counts as in the topic orderbook.200.
        """

        def read(result: Mapping[str, Any]) -> BookSnapshot:
            return BookSnapshot(
                last_sequence=int(result["u"]),
                bids=PriceLevels.parse(result["b"]),
                asks=PriceLevels.parse(result["a"]),
                received_time_ns=self._clock.time_ns(),
            )

        query = {"symbol": symbol, "limit": BOOK_DEPTH}
        return await self._get(Priority.PROTECT, "publicGetV5MarketOrderbook", query, read)

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """GET /v5/market/recent-trade, which has only the newest 60 trades. Ids increase."""
        query = {"symbol": symbol, "limit": TRADES_MAX}
        found = await self._backfill("publicGetV5MarketRecentTrade", query, _trade)
        if first_trade_id:
            return [trade for trade in found if int(trade.trade_id) >= first_trade_id][:count]
        if start_time_ns:
            return [trade for trade in found if trade.venue_time_ns >= start_time_ns][:count]
        return found[-count:]

    async def last_trade(self, symbol: str) -> market_data_pb2.Trade | None:
        """GET /v5/market/recent-trade."""
        query = {"symbol": symbol, "limit": 1}
        method = "publicGetV5MarketRecentTrade"
        rows = await self._get(Priority.QUESTION, method, query, lambda result: result["list"])
        return _trade(rows[0]) if rows else None

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """GET /v5/market/kline. Raises BadRequest for an interval that the venue does not have."""
        query: dict[str, Any] = {
            "symbol": symbol,
            "interval": known_interval(interval, INTERVALS),
            "limit": min(count, CANDLES_MAX),
        }
        if start_time_ns:
            query["start"] = first_millisecond(start_time_ns)
        found = await self._backfill("publicGetV5MarketKline", query, _candle)
        return [one for one in found if one.open_time_ns >= start_time_ns]

    async def close(self) -> None:
        await self._rest.close()

    async def _backfill(
        self, method: str, query: Mapping[str, Any], read: Callable[[Any], ReadT]
    ) -> list[ReadT]:
        """The rows of an answer, oldest first."""
        return await self._get(
            Priority.BACKFILL,
            method,
            query,
            lambda result: [read(row) for row in reversed(result["list"])],
        )

    async def _get(
        self,
        priority: Priority,
        method: str,
        query: Mapping[str, Any],
        read: Callable[[Any], ReadT],
    ) -> ReadT:
        full = {"category": "spot", **query}
        return await self._rest.get(priority, method, full, lambda answer: read(answer["result"]))


def _config(base_url: str | None) -> Mapping[str, Any]:
    options = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}
    config: dict[str, Any] = {"options": options}
    if base_url is not None:
        config["urls"] = {"api": dict.fromkeys(REST_HOSTS, base_url)}
    return config


def _trade(row: Mapping[str, Any]) -> market_data_pb2.Trade:
    """{"execId":"2290000001162605275","price":"16618.49","size":"0.00012","side":"Buy",
    "time":"1672052955758",…}; side is the taker's."""
    return market_data_pb2.Trade(
        trade_id=row["execId"],
        price=plain_text(row["price"]),
        size=plain_text(row["size"]),
        side=SIDES[row["side"]],
        venue_time_ns=int(row["time"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _candle(row: list[str]) -> market_data_pb2.Candle:
    """[open time ms, open, high, low, close, volume, turnover], all as text."""
    return candle(int(row[0]) * NANOSECONDS_PER_MILLISECOND, *row[1:6])
