"""Bybit's REST answers, through ccxt: its limits, errors and quirks; the venue's exact texts.

ccxt's unified methods make floats of the numbers; its raw ones leave them as text.
https://bybit-exchange.github.io/docs/v5/market/orderbook and its neighbours ``recent-trade``,
``kline`` and ``instrument``. Lists come newest first.
"""

from collections.abc import Mapping
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.errors import BadRequest
from kit.base.numbers import format_scaled, parse_number
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest import ccxt_client
from kit.marketdata.model.columns import Levels
from venues.bybit import instruments

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
"""ccxt's names for the one REST address."""


class BybitHistory:
    """What is asked over REST."""

    def __init__(self, venue_id: str, base_url: str | None, clock: Clock) -> None:
        self._venue_id = venue_id
        self._base_url = base_url
        self._clock = clock
        self._made: Any = None

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET /v5/market/instruments-info."""
        markets = await self._call(self._exchange.fetch_markets)
        return [instruments.instrument(self._venue_id, market) for market in markets]

    async def book(self, symbol: str) -> BookSnapshot:
        """GET /v5/market/orderbook: {"b":[["61837.6","3.7"],…],"a":…,"u":230704,"seq":143260,…}.

        u counts as in the topic orderbook.200.
        """
        query = {"limit": BOOK_DEPTH}
        answer = await self._ask(self._exchange.publicGetV5MarketOrderbook, symbol, query)
        received_time_ns = self._clock.time_ns()
        return BookSnapshot(
            last_sequence=int(answer["u"]),
            bids=Levels.parse(answer["b"]),
            asks=Levels.parse(answer["a"]),
            received_time_ns=received_time_ns,
        )

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """GET /v5/market/recent-trade, which knows the newest 60 and nothing before. Ids grow."""
        query = {"limit": TRADES_MAX}
        answer = await self._ask(self._exchange.publicGetV5MarketRecentTrade, symbol, query)
        found = [_trade(row) for row in reversed(answer["list"])]
        if first_trade_id:
            return [trade for trade in found if int(trade.trade_id) >= first_trade_id][:count]
        if start_time_ns:
            return [trade for trade in found if trade.venue_time_ns >= start_time_ns][:count]
        return found[-count:]

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """GET /v5/market/kline. Raises BadRequest for an interval that the venue does not have."""
        if interval not in INTERVALS:
            raise BadRequest(
                f"no candles of {interval!r}",
                field="interval",
                value=interval,
                allowed=" ".join(INTERVALS),
            )
        query: dict[str, Any] = {
            "interval": INTERVALS[interval],
            "limit": min(count, CANDLES_MAX),
        }
        if start_time_ns:
            query["start"] = -(-start_time_ns // NANOSECONDS_PER_MILLISECOND)
        answer = await self._ask(self._exchange.publicGetV5MarketKline, symbol, query)
        found = [_candle(row) for row in reversed(answer["list"])]
        return [candle for candle in found if candle.open_time_ns >= start_time_ns]

    async def close(self) -> None:
        """End the connections."""
        if self._made is not None:
            await self._made.close()

    async def _ask(self, function: Any, symbol: str, query: Mapping[str, Any]) -> Any:
        """The result of a call about a symbol."""
        full = {"category": "spot", "symbol": symbol, **query}
        return (await self._call(function, full))["result"]

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await ccxt_client.call(self._venue_id, function, *arguments)

    @property
    def _exchange(self) -> Any:
        """Made when first needed: the feed can start before ccxt is loaded."""
        if self._made is None:
            options = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}
            config: dict[str, Any] = {"options": options}
            if self._base_url is not None:
                config["urls"] = {"api": dict.fromkeys(REST_HOSTS, self._base_url)}
            self._made = ccxt_client.load("bybit")(config)
        return self._made


def _trade(row: Mapping[str, Any]) -> market_data_pb2.Trade:
    """{"execId":"2290000001162605275","price":"16618.49","size":"0.00012","side":"Buy",
    "time":"1672052955758",…}; side is the taker's."""
    return market_data_pb2.Trade(
        trade_id=row["execId"],
        price=_plain(row["price"]),
        size=_plain(row["size"]),
        side=SIDES[row["side"]],
        venue_time_ns=int(row["time"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _candle(row: list[str]) -> market_data_pb2.Candle:
    """[open time ms, open, high, low, close, volume, turnover], all as text."""
    return market_data_pb2.Candle(
        open_time_ns=int(row[0]) * NANOSECONDS_PER_MILLISECOND,
        open=_plain(row[1]),
        high=_plain(row[2]),
        low=_plain(row[3]),
        close=_plain(row[4]),
        volume=_plain(row[5]),
    )


def _plain(text: str) -> str:
    return format_scaled(*parse_number(text))
