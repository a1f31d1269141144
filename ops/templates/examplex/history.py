"""Examplex's REST answers.

To change: paths, queries, and the structs of the answers; numbers stay texts (``str``, or
``Decimal`` where the exchange writes bare numbers). For an exchange that ccxt knows use
kit/connector/rest/ccxt_rest_client.py in place of RestClient: ccxt knows its limits, errors and
quirks.
"""

import msgspec
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, Clock
from kit.base.errors import BadRequest
from kit.base.request_budget import Priority, RequestBudget
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest.rest_client import RestClient
from kit.marketdata.model.columns import PriceLevels
from ops.templates.examplex import instruments
from ops.templates.examplex.instruments import ListedMarket, plain

TRADES_MAX = 1000
CANDLES_MAX = 1000
INTERVALS = ("1m", "5m", "15m", "1h", "4h", "1d")
SIDES = {"buy": types_pb2.SIDE_BUY, "sell": types_pb2.SIDE_SELL}


class _Book(msgspec.Struct):
    """{"sequence":100,"bids":[["61800.10","0.02000"]],"asks":[]}."""

    sequence: int
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Trade(msgspec.Struct):
    """{"id":17,"price":"61800.10","size":"0.02000","side":"buy","time":1781885870259}."""

    id: int
    price: str
    size: str
    side: str
    time: int


class _Candle(msgspec.Struct, array_like=True):
    """[1781885820000,"61800.10","61810.00","61790.00","61805.00","3.20000"]: from its opening."""

    time: int
    open: str
    high: str
    low: str
    close: str
    volume: str


class ExamplexHistory:
    """Instruments, book, trades and candles over REST."""

    def __init__(
        self,
        venue_id: str,
        base_url: str,
        clock: Clock,
        *,
        budget: RequestBudget | None = None,
    ) -> None:
        self._venue_id = venue_id
        self._clock = clock
        self._client = RestClient(venue_id, base_url, budget)

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET /instruments."""
        markets = await self._client.get("/instruments", list[ListedMarket], {})
        return [instruments.instrument(self._venue_id, market) for market in markets]

    async def book(self, symbol: str) -> BookSnapshot:
        """GET /book?symbol=BTC-USD; sequence counts as in the feed."""
        query = {"symbol": symbol}
        answer = await self._client.get("/book", _Book, query, Priority.PROTECT, symbol=symbol)
        return BookSnapshot(
            last_sequence=answer.sequence,
            bids=PriceLevels.parse(answer.bids),
            asks=PriceLevels.parse(answer.asks),
            received_time_ns=self._clock.time_ns(),
        )

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """GET /trades, with from_id or start; oldest first. An exchange without one of them raises
        NotSupported for it here."""
        query: dict[str, str | int] = {"symbol": symbol, "limit": min(count, TRADES_MAX)}
        if first_trade_id:
            query["from_id"] = first_trade_id
        elif start_time_ns:
            query["start"] = -(-start_time_ns // NANOSECONDS_PER_MILLISECOND)
        rows = await self._client.get(
            "/trades", list[_Trade], query, Priority.BACKFILL, symbol=symbol
        )
        return [_trade(row) for row in rows]

    async def last_trade(self, symbol: str) -> market_data_pb2.Trade | None:
        """GET /trades."""
        query: dict[str, str | int] = {"symbol": symbol, "limit": 1}
        rows = await self._client.get("/trades", list[_Trade], query, symbol=symbol)
        return _trade(rows[-1]) if rows else None

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """GET /candles; oldest first. Raises BadRequest for an interval that there is not."""
        if interval not in INTERVALS:
            allowed = " ".join(INTERVALS)
            words = f"no candles of {interval!r}"
            raise BadRequest(words, field="interval", value=interval, allowed=allowed)
        limit = min(count, CANDLES_MAX)
        query: dict[str, str | int] = {"symbol": symbol, "interval": interval, "limit": limit}
        if start_time_ns:
            query["start"] = -(-start_time_ns // NANOSECONDS_PER_MILLISECOND)
        rows = await self._client.get(
            "/candles", list[_Candle], query, Priority.BACKFILL, symbol=symbol
        )
        return [_candle(row) for row in rows]

    async def close(self) -> None:
        await self._client.close()


def _trade(row: _Trade) -> market_data_pb2.Trade:
    return market_data_pb2.Trade(
        trade_id=str(row.id),
        price=plain(row.price),
        size=plain(row.size),
        side=SIDES[row.side],
        venue_time_ns=row.time * NANOSECONDS_PER_MILLISECOND,
    )


def _candle(row: _Candle) -> market_data_pb2.Candle:
    return market_data_pb2.Candle(
        open_time_ns=row.time * NANOSECONDS_PER_MILLISECOND,
        open=plain(row.open),
        high=plain(row.high),
        low=plain(row.low),
        close=plain(row.close),
        volume=plain(row.volume),
    )
