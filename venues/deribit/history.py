"""Deribit's REST answers, through ccxt: its limits, errors and quirks; the venue's exact texts.

Deribit writes numbers bare, which ccxt reads as floats; here it is made to keep them as text.
https://docs.deribit.com/api-reference/market-data
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import BadRequest, UnknownInstrument
from kit.base.numbers import format_scaled, parse_number
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest import ccxt_client
from kit.marketdata.model.columns import Levels, Numbers
from venues.deribit import instruments
from venues.deribit.parse import CHART_SECONDS

BOOK_DEPTH = 10_000
COUNT_MAX = 1_000
CANDLES_MAX = 5_000
RESOLUTIONS = {
    "1m": "1", "3m": "3", "5m": "5", "10m": "10", "15m": "15", "30m": "30",
    "1h": "60", "2h": "120", "3h": "180", "6h": "360", "12h": "720", "1d": "1D",
}  # fmt: skip
SIDES = {"buy": types_pb2.SIDE_BUY, "sell": types_pb2.SIDE_SELL}
WRONG_INSTRUMENT = '"param":"instrument_name"'
"""In the venue's error about a name that it does not list."""

_exact = msgspec.json.Decoder(float_hook=str)


class DeribitHistory:
    """What is asked over REST."""

    def __init__(self, venue_id: str, base_url: str | None, clock: Clock) -> None:
        self._venue_id = venue_id
        self._base_url = base_url
        self._clock = clock
        self._made: Any = None

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET public/get_instruments."""

        async def listed() -> list[types_pb2.Instrument]:
            markets = await self._exchange.fetch_markets()
            return [instruments.instrument(self._venue_id, market) for market in markets]

        found: list[types_pb2.Instrument] = await ccxt_client.call(self._venue_id, listed)
        return found

    async def book(self, symbol: str) -> BookSnapshot:
        """GET public/get_order_book: {"change_id":45305261539,"bids":[[30434.5,600.0],…],…}."""
        found: BookSnapshot = await self._ask(
            self._exchange.publicGetGetOrderBook,
            {"instrument_name": symbol, "depth": BOOK_DEPTH},
            lambda result: BookSnapshot(
                last_sequence=int(result["change_id"]),
                bids=_levels(result["bids"]),
                asks=_levels(result["asks"]),
                received_time_ns=self._clock.time_ns(),
            ),
        )
        return found

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """GET public/get_last_trades_by_instrument, from a trade_seq, or ..._and_time."""
        query: dict[str, Any] = {"instrument_name": symbol, "count": min(count, COUNT_MAX)}
        function = self._exchange.publicGetGetLastTradesByInstrument
        if first_trade_id:
            # Both ends, so that it does not matter from which end the venue counts.
            query["start_seq"] = first_trade_id
            query["end_seq"] = first_trade_id + query["count"] - 1
        elif start_time_ns:
            query["start_timestamp"] = -(-start_time_ns // NANOSECONDS_PER_MILLISECOND)
            query["end_timestamp"] = self._now_ms()
            query["sorting"] = "asc"
            function = self._exchange.publicGetGetLastTradesByInstrumentAndTime
        found: list[market_data_pb2.Trade] = await self._ask(function, query, _trades)
        return found

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """GET public/get_tradingview_chart_data. Raises BadRequest for an interval that the venue
        does not have."""
        if interval not in RESOLUTIONS:
            raise BadRequest(
                f"no candles of {interval!r}",
                field="interval",
                value=interval,
                allowed=" ".join(RESOLUTIONS),
            )
        count = min(count, CANDLES_MAX)
        length_ms = CHART_SECONDS[RESOLUTIONS[interval]] * (
            NANOSECONDS_PER_SECOND // NANOSECONDS_PER_MILLISECOND
        )
        start_ms = -(-start_time_ns // NANOSECONDS_PER_MILLISECOND)
        first_ms = start_ms or self._now_ms() - count * length_ms
        query = {
            "instrument_name": symbol,
            "resolution": RESOLUTIONS[interval],
            "start_timestamp": first_ms,
            "end_timestamp": first_ms + count * length_ms,
        }
        function = self._exchange.publicGetGetTradingviewChartData
        found: list[market_data_pb2.Candle] = await self._ask(function, query, _candles)
        # The venue begins with the candle that the first time is in.
        first_ns = first_ms * NANOSECONDS_PER_MILLISECOND
        inside = [candle for candle in found if candle.open_time_ns >= first_ns]
        return inside[:count] if start_ms else inside[-count:]

    async def close(self) -> None:
        """End the connections."""
        if self._made is not None:
            await self._made.close()

    def _now_ms(self) -> int:
        return self._clock.time_ns() // NANOSECONDS_PER_MILLISECOND

    async def _ask(
        self, function: Any, query: Mapping[str, Any], read: Callable[[Any], Any]
    ) -> Any:
        """What is read from the ``result`` of a call about one instrument."""

        async def ask() -> Any:
            from ccxt.base import errors

            try:
                return read((await function(query))["result"])
            except errors.ExchangeError as error:
                if WRONG_INSTRUMENT not in str(error):
                    raise
                symbol = query["instrument_name"]
                raise UnknownInstrument(
                    f"{self._venue_id} does not list {symbol}", venue=self._venue_id, symbol=symbol
                ) from error

        return await ccxt_client.call(self._venue_id, ask)

    @property
    def _exchange(self) -> Any:
        """Made when first needed: the feed can start before ccxt is loaded."""
        if self._made is None:
            config: dict[str, Any] = {}
            if self._base_url is not None:
                config["urls"] = {"api": {"rest": self._base_url}}
            self._made = ccxt_client.load("deribit")(config)
            self._made.on_json_response = _exact.decode
        return self._made


def _levels(rows: Sequence[Sequence[Any]]) -> Levels:
    return Levels(
        count=np.array([len(rows)], dtype=np.int64),
        price=Numbers.parse([str(row[0]) for row in rows]),
        size=Numbers.parse([str(row[1]) for row in rows]),
    )


def _trades(result: Mapping[str, Any]) -> list[market_data_pb2.Trade]:
    rows = sorted(result["trades"], key=lambda row: int(row["trade_seq"]))
    return [_trade(row) for row in rows]


def _trade(row: Mapping[str, Any]) -> market_data_pb2.Trade:
    """{"trade_seq":92836831,"timestamp":1616321478553,"price":"56168.0","direction":"buy",
    "amount":"5580.0",…}; direction is the taker's."""
    return market_data_pb2.Trade(
        trade_id=str(row["trade_seq"]),
        price=_plain(row["price"]),
        size=_plain(row["amount"]),
        side=SIDES[row["direction"]],
        venue_time_ns=int(row["timestamp"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _candles(result: Mapping[str, Any]) -> list[market_data_pb2.Candle]:
    """{"ticks":[1583916960000,…],"open":["7834.0",…],…}"""
    names = ("ticks", "open", "high", "low", "close", "volume")
    return [_candle(row) for row in sorted(zip(*(result[name] for name in names), strict=True))]


def _candle(row: Sequence[Any]) -> market_data_pb2.Candle:
    """Begin in ms, open, high, low, close, volume in base units."""
    return market_data_pb2.Candle(
        open_time_ns=int(row[0]) * NANOSECONDS_PER_MILLISECOND,
        open=_plain(row[1]),
        high=_plain(row[2]),
        low=_plain(row[3]),
        close=_plain(row[4]),
        volume=_plain(row[5]),
    )


def _plain(number: str | int) -> str:
    return format_scaled(*parse_number(str(number)))
