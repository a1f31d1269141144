"""Deribit's market data over REST: instruments, books, trades and candles, with exact numbers.

Deribit writes bare numbers, which ccxt would read as floats; here they are kept as texts.
https://docs.deribit.com/api-reference/market-data
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import UnknownInstrument, VenueUnavailable
from kit.base.numbers import plain_text
from kit.base.request_budget import Priority, RequestBudget
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest.ccxt_rest_client import (
    CcxtRestClient,
    candle,
    first_millisecond,
    known_interval,
)
from kit.marketdata.model.columns import NumberColumn, PriceLevels
from venues.deribit import instruments
from venues.deribit.parse import CHART_SECONDS

ReadT = TypeVar("ReadT")

BOOK_DEPTH = 10_000
COUNT_MAX = 1_000
CANDLES_MAX = 5_000
RESOLUTIONS = {
    "1m": "1", "3m": "3", "5m": "5", "10m": "10", "15m": "15", "30m": "30",
    "1h": "60", "2h": "120", "3h": "180", "6h": "360", "12h": "720", "1d": "1D",
}  # fmt: skip
SIDES = {"buy": types_pb2.SIDE_BUY, "sell": types_pb2.SIDE_SELL}
WRONG_INSTRUMENT = '"param":"instrument_name"'
"""Text of the venue's error for an unknown instrument."""

_exact = msgspec.json.Decoder(float_hook=str)


class DeribitHistory:
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
        config = {} if base_url is None else {"urls": {"api": {"rest": base_url}}}
        self._rest = CcxtRestClient(venue_id, "deribit", config, budget, _exact.decode)

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET public/get_instruments."""
        return await self._rest.markets(
            lambda markets: [instruments.instrument(self._venue_id, one) for one in markets]
        )

    async def book(self, symbol: str) -> BookSnapshot:
        """GET public/get_order_book: {"change_id":45305261539,"bids":[[30434.5,600.0],…],…}."""

        def read(result: Mapping[str, Any]) -> BookSnapshot:
            return BookSnapshot(
                last_sequence=int(result["change_id"]),
                bids=_levels(result["bids"]),
                asks=_levels(result["asks"]),
                received_time_ns=self._clock.time_ns(),
            )

        query = {"instrument_name": symbol, "depth": BOOK_DEPTH}
        return await self._get(Priority.PROTECT, "publicGetGetOrderBook", query, read)

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """GET public/get_last_trades_by_instrument, from a trade_seq, or ..._and_time."""
        query: dict[str, Any] = {"instrument_name": symbol, "count": min(count, COUNT_MAX)}
        method = "publicGetGetLastTradesByInstrument"
        if first_trade_id:
            # Both bounds are set, so that it does not matter from which one the venue counts.
            query["start_seq"] = first_trade_id
            query["end_seq"] = first_trade_id + query["count"] - 1
        elif start_time_ns:
            query["start_timestamp"] = first_millisecond(start_time_ns)
            query["end_timestamp"] = self._now_ms()
            query["sorting"] = "asc"
            method = "publicGetGetLastTradesByInstrumentAndTime"
        return await self._get(Priority.BACKFILL, method, query, _trades)

    async def last_trade(self, symbol: str) -> market_data_pb2.Trade | None:
        """GET public/get_last_trades_by_instrument."""
        query = {"instrument_name": symbol, "count": 1}
        method = "publicGetGetLastTradesByInstrument"
        found = await self._get(Priority.QUESTION, method, query, _trades)
        return found[-1] if found else None

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """GET public/get_tradingview_chart_data. Raises BadRequest for an interval that the venue
        does not have."""
        resolution = known_interval(interval, RESOLUTIONS)
        count = min(count, CANDLES_MAX)
        length_ms = CHART_SECONDS[resolution] * (
            NANOSECONDS_PER_SECOND // NANOSECONDS_PER_MILLISECOND
        )
        start_ms = first_millisecond(start_time_ns)
        first_ms = start_ms or self._now_ms() - count * length_ms
        query = {
            "instrument_name": symbol,
            "resolution": resolution,
            "start_timestamp": first_ms,
            "end_timestamp": first_ms + count * length_ms,
        }
        method = "publicGetGetTradingviewChartData"
        found = await self._get(Priority.BACKFILL, method, query, _candles)
        # The venue begins with the candle that contains the start time.
        first_ns = first_ms * NANOSECONDS_PER_MILLISECOND
        inside = [one for one in found if one.open_time_ns >= first_ns]
        return inside[:count] if start_ms else inside[-count:]

    async def close(self) -> None:
        await self._rest.close()

    def _now_ms(self) -> int:
        return self._clock.time_ns() // NANOSECONDS_PER_MILLISECOND

    async def _get(
        self,
        priority: Priority,
        method: str,
        query: Mapping[str, Any],
        read: Callable[[Any], ReadT],
    ) -> ReadT:
        """Call for one instrument and parse the ``result`` with ``read``. Raises
        UnknownInstrument."""
        try:
            return await self._rest.get(
                priority, method, query, lambda answer: read(answer["result"])
            )
        except VenueUnavailable as error:
            if WRONG_INSTRUMENT not in str(error.__cause__):
                raise
            symbol = query["instrument_name"]
            raise UnknownInstrument(
                f"{self._venue_id} does not list {symbol}", venue=self._venue_id, symbol=symbol
            ) from error


def _levels(rows: Sequence[Sequence[Any]]) -> PriceLevels:
    return PriceLevels(
        count=np.array([len(rows)], dtype=np.int64),
        price=NumberColumn.parse([str(row[0]) for row in rows]),
        size=NumberColumn.parse([str(row[1]) for row in rows]),
    )


def _trades(result: Mapping[str, Any]) -> list[market_data_pb2.Trade]:
    rows = sorted(result["trades"], key=lambda row: int(row["trade_seq"]))
    return [_trade(row) for row in rows]


def _trade(row: Mapping[str, Any]) -> market_data_pb2.Trade:
    """{"trade_seq":92836831,"timestamp":1616321478553,"price":"56168.0","direction":"buy",
    "amount":"5580.0",…}; direction is the taker's."""
    return market_data_pb2.Trade(
        trade_id=str(row["trade_seq"]),
        price=plain_text(row["price"]),
        size=plain_text(row["amount"]),
        side=SIDES[row["direction"]],
        venue_time_ns=int(row["timestamp"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _candles(result: Mapping[str, Any]) -> list[market_data_pb2.Candle]:
    """{"ticks":[1583916960000,…],"open":["7834.0",…],…}"""
    names = ("ticks", "open", "high", "low", "close", "volume")
    rows = sorted(zip(*(result[name] for name in names), strict=True))
    return [candle(int(row[0]) * NANOSECONDS_PER_MILLISECOND, *row[1:]) for row in rows]
