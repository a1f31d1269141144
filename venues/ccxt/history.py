"""Market data over REST through ccxt's unified methods, with raw texts where ccxt has them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, SystemClock
from kit.base.errors import NotSupported, VenueUnavailable
from kit.base.numbers import plain_text
from kit.base.request_budget import Priority, market_scope
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest import ccxt_loader
from kit.connector.rest.ccxt_rest_client import candle, first_millisecond, known_interval
from venues.ccxt import instruments
from venues.ccxt.book import whole_levels
from venues.ccxt.exchange import CcxtExchange
from venues.ccxt.parse import (
    exact,
    is_whole_trade,
    plain,
    raw_numbers,
    side,
    time_ns,
    trade_ids,
)

ReadT = TypeVar("ReadT")

NEWEST_ASKED = 500
"""Trades to search for an id; exchanges return 100 to 1000 per call."""


class CcxtHistory:
    """Instruments, book, trades and candles over REST."""

    def __init__(self, venue_id: str, exchange: CcxtExchange) -> None:
        self._venue_id = venue_id
        self._exchange = exchange
        self._clock = SystemClock()

    async def instruments(self) -> list[types_pb2.Instrument]:
        """load_markets, without its cache. Markets without a symbol are left out."""

        def read(markets: Mapping[str, Any]) -> list[types_pb2.Instrument]:
            mode = self._exchange.api.precisionMode
            return [
                instruments.instrument(self._venue_id, market, mode)
                for market in markets.values()
                if market.get("symbol")
            ]

        return await self._call(Priority.QUESTION, read, "load_markets", True)

    async def book(self, symbol: str) -> BookSnapshot:
        """fetch_order_book, in the depth that the exchange gives by default."""

        def read(answer: Mapping[str, Any]) -> BookSnapshot:
            return BookSnapshot(
                last_sequence=int(answer.get("nonce") or 0),
                bids=whole_levels(answer["bids"]),
                asks=whole_levels(answer["asks"]),
                received_time_ns=self._clock.time_ns(),
            )

        return await self._call(Priority.PROTECT, read, "fetch_order_book", symbol)

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """fetch_trades. ccxt finds trades by time; an id must be among the newest trades."""
        self._require("fetchTrades")
        since = start_time_ns // NANOSECONDS_PER_MILLISECOND or None
        asked = max(count, NEWEST_ASKED) if first_trade_id else count
        found = await self._call(Priority.BACKFILL, _trades, "fetch_trades", symbol, since, asked)
        if first_trade_id:
            return self._from_id(found, first_trade_id)[:count]
        return found[:count] if start_time_ns else found[-count:]

    async def last_trade(self, symbol: str) -> market_data_pb2.Trade | None:
        """fetch_trades."""
        self._require("fetchTrades")
        found = await self._call(Priority.QUESTION, _trades, "fetch_trades", symbol)
        return found[-1] if found else None

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """fetch_ohlcv. Raises BadRequest for an interval that ccxt does not know there."""
        self._require("fetchOHLCV")
        known_interval(interval, self._exchange.api.timeframes or {})
        since = first_millisecond(start_time_ns) or None
        found = await self._call(
            Priority.BACKFILL, _candles, "fetch_ohlcv", symbol, interval, since, count
        )
        return found[:count] if start_time_ns else found[-count:]

    async def close(self) -> None:
        """Close the connections, including those of the feed."""
        await self._exchange.close()

    async def _call(
        self, priority: Priority, read: Callable[[Any], ReadT], method: str, *arguments: Any
    ) -> ReadT:
        async def ask() -> ReadT:
            return read(await getattr(self._exchange.api, method)(*arguments))

        return await ccxt_loader.call(
            self._venue_id, self._exchange.budget, priority, ask, market_scope(priority)
        )

    def _require(self, feature: str) -> None:
        if not self._exchange.has.get(feature):
            message = f"ccxt has no {feature} for {self._venue_id}"
            raise NotSupported(message, service=self._venue_id, wanted=feature)

    def _from_id(
        self, found: list[market_data_pb2.Trade], first_trade_id: int
    ) -> list[market_data_pb2.Trade]:
        if not all(trade.trade_id.isdecimal() for trade in found):
            message = f"the trade ids of {self._venue_id} are not numbers"
            raise NotSupported(message, service=self._venue_id, wanted="first_trade_id")
        if found and int(found[0].trade_id) > first_trade_id:
            message = f"{self._venue_id} gives its newest trades only, from {found[0].trade_id}"
            raise VenueUnavailable(message, venue=self._venue_id, detail=str(first_trade_id))
        return [trade for trade in found if int(trade.trade_id) >= first_trade_id]


def _trades(answer: list[Mapping[str, Any]]) -> list[market_data_pb2.Trade]:
    whole = [trade for trade in answer if is_whole_trade(trade)]
    return [_trade(*pair) for pair in zip(whole, trade_ids(whole), strict=True)]


def _trade(trade: Mapping[str, Any], trade_id: str) -> market_data_pb2.Trade:
    raw = raw_numbers(trade.get("info"))
    return market_data_pb2.Trade(
        trade_id=trade_id,
        price=plain_text(exact(trade["price"], raw)),
        size=plain_text(exact(trade["amount"], raw)),
        side=side(trade),
        venue_time_ns=time_ns(trade),
    )


def _candles(answer: list[list[Any]]) -> list[market_data_pb2.Candle]:
    """Parse rows [open time ms, open, high, low, close, volume]."""
    return [
        candle(int(row[0]) * NANOSECONDS_PER_MILLISECOND, *map(plain, row[1:6])) for row in answer
    ]
