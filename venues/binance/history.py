"""Binance's REST answers, through ccxt: its limits, errors and quirks; the venue's exact texts.

ccxt's unified methods make floats of the numbers; its raw ones leave them as text.
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.errors import BadRequest
from kit.base.numbers import format_scaled, parse_number
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest import ccxt_client
from kit.marketdata.model.columns import Levels
from venues.binance import instruments

BOOK_DEPTH = 1000
NEWEST_TRADES_MAX = 1000
INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w")


@dataclass(frozen=True, slots=True)
class Api:
    """What differs between the markets' REST calls."""

    exchange: str
    """Class of ccxt."""
    methods: str
    """How the names of ccxt's raw methods begin."""
    path: str
    intervals: Sequence[str]
    trades_max: int
    """That historicalTrades gives in one answer."""
    candles_max: int


SPOT_API = Api(
    "binance", "public", "/api/v3", ("1s", *INTERVALS), trades_max=1000, candles_max=1000
)
FUTURES_API = Api(
    "binanceusdm", "fapiPublic", "/fapi/v1", INTERVALS, trades_max=500, candles_max=1500
)


class BinanceHistory:
    """What is asked over REST."""

    def __init__(
        self,
        venue_id: str,
        api: Api,
        base_url: str | None,
        clock: Clock,
        aggregate: bool = False,
    ) -> None:
        """With ``aggregate`` trades are those of @aggTrade, which have their own ids."""
        self.venue_id = venue_id
        self._aggregate = aggregate
        self._api = api
        self._base_url = base_url
        self._clock = clock
        self._made: Any = None

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET exchangeInfo. Of futures the perpetuals: dated ones are left out."""
        markets = await ccxt_client.call(self.venue_id, self._exchange.fetch_markets)
        return [
            instruments.instrument(self.venue_id, market)
            for market in markets
            if market["type"] in instruments.KINDS
        ]

    async def book(self, symbol: str) -> BookSnapshot:
        """GET depth: {"lastUpdateId":5009323,"bids":[["61837.63","3.7"],…],"asks":…}."""
        answer = await self._get("Depth", {"symbol": symbol, "limit": BOOK_DEPTH})
        received_time_ns = self._clock.time_ns()
        return BookSnapshot(
            last_sequence=int(answer["lastUpdateId"]),
            bids=Levels.parse(answer["bids"]),
            asks=Levels.parse(answer["asks"]),
            received_time_ns=received_time_ns,
        )

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """From an id: out of the newest, or GET historicalTrades if it is older than they are; for
        that Binance wants a key. A time is first looked up in aggTrades."""
        if self._aggregate:
            return await self._aggregates(symbol, first_trade_id, start_time_ns, count)
        if not first_trade_id and start_time_ns:
            first_trade_id = await self._first_trade_at(symbol, start_time_ns)
            if not first_trade_id:
                return []
        newest = NEWEST_TRADES_MAX if first_trade_id else min(count, NEWEST_TRADES_MAX)
        rows = await self._get("Trades", {"symbol": symbol, "limit": newest})
        if first_trade_id and rows and int(rows[0]["id"]) > first_trade_id:
            query = {
                "symbol": symbol,
                "limit": min(count, self._api.trades_max),
                "fromId": first_trade_id,
            }
            rows = await self._get("HistoricalTrades", query)
        return [_trade(row) for row in rows if int(row["id"]) >= first_trade_id][:count]

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """GET klines. Raises BadRequest for an interval that the venue does not have."""
        if interval not in self._api.intervals:
            raise BadRequest(
                f"no candles of {interval!r}",
                field="interval",
                value=interval,
                allowed=" ".join(self._api.intervals),
            )
        limit = min(count, self._api.candles_max)
        query: dict[str, Any] = {"symbol": symbol, "interval": interval, "limit": limit}
        if start_time_ns:
            query["startTime"] = _milliseconds(start_time_ns)
        return [_candle(row) for row in await self._get("Klines", query)]

    async def close(self) -> None:
        """End the connections."""
        if self._made is not None:
            await self._made.close()

    async def _aggregates(
        self, symbol: str, first_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        query: dict[str, Any] = {"symbol": symbol, "limit": min(count, NEWEST_TRADES_MAX)}
        if first_id:
            query["fromId"] = first_id
        elif start_time_ns:
            query["startTime"] = _milliseconds(start_time_ns)
        return [_aggregate(row) for row in await self._get("AggTrades", query)]

    async def _first_trade_at(self, symbol: str, start_time_ns: int) -> int:
        query = {"symbol": symbol, "startTime": _milliseconds(start_time_ns), "limit": 1}
        rows = await self._get("AggTrades", query)
        return int(rows[0]["f"]) if rows else 0

    async def _get(self, name: str, query: Mapping[str, Any]) -> Any:
        method = getattr(self._exchange, f"{self._api.methods}Get{name}")
        return await ccxt_client.call(self.venue_id, method, query)

    @property
    def _exchange(self) -> Any:
        """Made when first needed: the feed can start before ccxt is loaded."""
        if self._made is None:
            options: dict[str, Any] = {"fetchCurrencies": False, "fetchMargins": False}
            if self._api is SPOT_API:
                options["fetchMarkets"] = {"types": ["spot"]}
            # The kit paces the calls, by what they are for; ccxt would by their order.
            config: dict[str, Any] = {"options": options, "enableRateLimit": False}
            if self._base_url is not None:
                rest = f"{self._base_url}{self._api.path}"
                config["urls"] = {"api": {"public": rest, "private": rest, "fapiPublic": rest}}
                # ccxt asks for a key before it calls historicalTrades; the pretender takes any.
                config["apiKey"] = "pretended"
            self._made = ccxt_client.load(self._api.exchange)(config)
        return self._made


def _trade(row: Mapping[str, Any]) -> market_data_pb2.Trade:
    """{"id":28457,"price":"4.00000100","qty":"12.00000000","time":1499865549590,
    "isBuyerMaker":true,…}; the buyer was the maker, so the taker sold."""
    maker_bought = row["isBuyerMaker"]
    return market_data_pb2.Trade(
        trade_id=str(row["id"]),
        price=_plain(row["price"]),
        size=_plain(row["qty"]),
        side=types_pb2.SIDE_SELL if maker_bought else types_pb2.SIDE_BUY,
        venue_time_ns=int(row["time"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _aggregate(row: Mapping[str, Any]) -> market_data_pb2.Trade:
    """{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true},
    of the same meaning."""
    return market_data_pb2.Trade(
        trade_id=str(row["a"]),
        price=_plain(row["p"]),
        size=_plain(row["q"]),
        side=types_pb2.SIDE_SELL if row["m"] else types_pb2.SIDE_BUY,
        venue_time_ns=int(row["T"]) * NANOSECONDS_PER_MILLISECOND,
    )


def _candle(row: list[Any]) -> market_data_pb2.Candle:
    """[open time ms, open, high, low, close, volume, …], prices as text."""
    return market_data_pb2.Candle(
        open_time_ns=int(row[0]) * NANOSECONDS_PER_MILLISECOND,
        open=_plain(row[1]),
        high=_plain(row[2]),
        low=_plain(row[3]),
        close=_plain(row[4]),
        volume=_plain(row[5]),
    )


def _milliseconds(time_ns: int) -> int:
    """The first that is not before this time."""
    return -(-time_ns // NANOSECONDS_PER_MILLISECOND)


def _plain(text: str) -> str:
    return format_scaled(*parse_number(text))
