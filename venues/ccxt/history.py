"""REST through ccxt's unified methods; its raw texts where they are to be had."""

from collections.abc import Mapping
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, SystemClock
from kit.base.errors import BadRequest, NotSupported, VenueUnavailable
from kit.base.numbers import NumberError, format_scaled, parse_number
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest import ccxt_client
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

NEWEST_ASKED = 500
"""Trades among which one is looked for by its id; exchanges give 100 to 1000 at a time."""


class CcxtHistory:
    """What is asked over REST."""

    def __init__(self, venue_id: str, exchange: CcxtExchange) -> None:
        self._venue_id = venue_id
        self._exchange = exchange
        self._clock = SystemClock()

    async def instruments(self) -> list[types_pb2.Instrument]:
        """load_markets, anew each time. Markets that cannot be written are left out."""
        markets = await self._call("load_markets", True)
        mode = self._exchange.api.precisionMode
        return [
            instruments.instrument(self._venue_id, market, mode)
            for market in markets.values()
            if market.get("symbol")
        ]

    async def book(self, symbol: str) -> BookSnapshot:
        """fetch_order_book, as deep as the exchange gives it by itself."""
        answer = await self._call("fetch_order_book", symbol)
        try:
            return BookSnapshot(
                last_sequence=int(answer.get("nonce") or 0),
                bids=whole_levels(answer["bids"]),
                asks=whole_levels(answer["asks"]),
                received_time_ns=self._clock.time_ns(),
            )
        except NumberError as error:
            raise self._unreadable(error) from error

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """fetch_trades. ccxt finds trades by time; an id must be among the newest."""
        self._require("fetchTrades")
        since = start_time_ns // NANOSECONDS_PER_MILLISECOND or None
        asked = max(count, NEWEST_ASKED) if first_trade_id else count
        answer = await self._call("fetch_trades", symbol, since, asked)
        whole = [trade for trade in answer if is_whole_trade(trade)]
        try:
            found = [_trade(*pair) for pair in zip(whole, trade_ids(whole), strict=True)]
        except NumberError as error:
            raise self._unreadable(error) from error
        if first_trade_id:
            return self._from_id(found, first_trade_id)[:count]
        return found[:count] if start_time_ns else found[-count:]

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """fetch_ohlcv. Raises BadRequest for an interval that ccxt does not know there."""
        self._require("fetchOHLCV")
        known = self._exchange.api.timeframes or {}
        if interval not in known:
            allowed = " ".join(known)
            raise BadRequest(
                f"no candles of {interval!r}", field="interval", value=interval, allowed=allowed
            )
        since = -(-start_time_ns // NANOSECONDS_PER_MILLISECOND) or None
        answer = await self._call("fetch_ohlcv", symbol, interval, since, count)
        try:
            found = [_candle(row) for row in answer]
        except NumberError as error:
            raise self._unreadable(error) from error
        return found[:count] if start_time_ns else found[-count:]

    async def close(self) -> None:
        """End the connections, those of the feed too."""
        await self._exchange.close()

    async def _call(self, method: str, *arguments: Any) -> Any:
        function = getattr(self._exchange.api, method)
        return await ccxt_client.call(self._venue_id, function, *arguments)

    def _require(self, feature: str) -> None:
        if not self._exchange.has.get(feature):
            message = f"ccxt has no {feature} for {self._venue_id}"
            raise NotSupported(message, service=self._venue_id, wanted=feature)

    def _from_id(
        self, found: list[market_data_pb2.Trade], first_trade_id: int
    ) -> list[market_data_pb2.Trade]:
        if not all(trade.trade_id.isdecimal() for trade in found):
            message = f"trade ids of {self._venue_id} are no numbers"
            raise NotSupported(message, service=self._venue_id, wanted="first_trade_id")
        if found and int(found[0].trade_id) > first_trade_id:
            message = f"{self._venue_id} tells its newest trades only, from {found[0].trade_id} on"
            raise VenueUnavailable(message, venue=self._venue_id, detail=str(first_trade_id))
        return [trade for trade in found if int(trade.trade_id) >= first_trade_id]

    def _unreadable(self, error: NumberError) -> VenueUnavailable:
        message = f"{self._venue_id} gave an answer that cannot be read"
        return VenueUnavailable(message, venue=self._venue_id, detail=str(error))


def _trade(trade: Mapping[str, Any], trade_id: str) -> market_data_pb2.Trade:
    raw = raw_numbers(trade.get("info"))
    return market_data_pb2.Trade(
        trade_id=trade_id,
        price=_written(exact(trade["price"], raw)),
        size=_written(exact(trade["amount"], raw)),
        side=side(trade),
        venue_time_ns=time_ns(trade),
    )


def _candle(row: list[Any]) -> market_data_pb2.Candle:
    """[begin ms, open, high, low, close, volume]."""
    opened, high, low, close, volume = (_written(plain(value)) for value in row[1:6])
    return market_data_pb2.Candle(
        open_time_ns=int(row[0]) * NANOSECONDS_PER_MILLISECOND,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
    )


def _written(text: str) -> str:
    return format_scaled(*parse_number(text))
