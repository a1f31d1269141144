"""Kraken's market data over REST: instruments, books, trades and candles, with exact numbers.

https://docs.kraken.com/api/docs/rest-api/get-recent-trades and its neighbours.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import UnknownInstrument, VenueUnavailable
from kit.base.numbers import plain_text
from kit.base.request_budget import Priority, RequestBudget
from kit.connector.contract.venue import BookSnapshot
from kit.connector.rest.ccxt_rest_client import CcxtRestClient, candle, known_interval
from kit.marketdata.model.columns import PriceLevels
from venues.kraken import instruments

ReadT = TypeVar("ReadT")

_exact = partial(json.loads, parse_float=str)

BOOK_DEPTH = 500
BOOK_SIZE_DECIMALS = 3
TRADES_MAX = 1000
"""Trades of one answer. An answer about candles has at most 720, and there is no second page."""
INTERVALS = {
    "1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440, "1w": 10_080,
}  # fmt: skip
"""Lengths of intervals in minutes."""
SAME_TIME_NS = 1_000
"""Trades of one order share a time, so later trades are requested from slightly before it."""
SEARCH_STEPS_MAX = 12
"""Calls made to find a trade by its id."""
SIDES = {"b": types_pb2.SIDE_BUY, "s": types_pb2.SIDE_SELL}


@dataclass(frozen=True, slots=True)
class _Mark:
    """The time and the number of a known trade."""

    time_ns: int
    trade_id: int


class KrakenHistory:
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
        config = {} if base_url is None else {"urls": {"api": {"public": base_url}}}
        # The times of trades have more digits than a float keeps.
        self._rest = CcxtRestClient(venue_id, "kraken", config, budget, _exact)
        self._pairs: dict[str, str] = {}
        """Symbols in REST: "BTC/USDT" is XBTUSDT, "ETH/BTC" is XETHXXBT."""
        self._newest_asked: dict[str, _Mark] = {}
        """The last trade of the last answer, by symbol; the next search starts there."""

    async def instruments(self) -> list[types_pb2.Instrument]:
        """GET /0/public/AssetPairs, without pairs that the feed does not have."""

        def read(markets: list[Mapping[str, Any]]) -> list[types_pb2.Instrument]:
            named = [(instruments.native_symbol(market), market) for market in markets]
            self._pairs = {symbol: market["id"] for symbol, market in reversed(named) if symbol}
            return [
                instruments.instrument(self._venue_id, market) for symbol, market in named if symbol
            ]

        return await self._rest.markets(read)

    async def book(self, symbol: str) -> BookSnapshot:
        """GET /0/public/Depth: {"error":[],"result":{"XBTUSDT":{"asks":[["64746.20000","0.002",
        1784518777],…],"bids":…}}}. It has no sequence, and sizes are truncated to three decimal
        places."""

        def read(answer: Mapping[str, Any]) -> BookSnapshot:
            (sides,) = answer["result"].values()
            return BookSnapshot(
                last_sequence=0,
                bids=PriceLevels.parse(sides["bids"]),
                asks=PriceLevels.parse(sides["asks"]),
                received_time_ns=self._clock.time_ns(),
                size_decimals=BOOK_SIZE_DECIMALS,
            )

        query = {"pair": await self._pair(symbol), "count": BOOK_DEPTH}
        return await self._rest.get(Priority.PROTECT, "publicGetDepth", query, read)

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """GET /0/public/Trades. Kraken finds trades by time only; with an id, a start time
        speeds up the search."""
        if first_trade_id:
            found = await self._trades_from(symbol, first_trade_id, start_time_ns, count)
        elif start_time_ns:
            found = await self._page(symbol, start_time_ns - 1, count)
        else:
            found = await self._page(symbol, None, count)
        if found:
            self._newest_asked[symbol] = _mark(found[-1])
        return found

    async def last_trade(self, symbol: str) -> market_data_pb2.Trade | None:
        """GET /0/public/Trades."""
        query = {"pair": await self._pair(symbol), "count": 1}
        rows = await self._rest.get(Priority.QUESTION, "publicGetTrades", query, _rows)
        return _trade(rows[-1]) if rows else None

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """GET /0/public/OHLC, which always has the last 720. Raises BadRequest for
        an interval that the venue does not have."""
        minutes = known_interval(interval, INTERVALS)
        query = {"pair": await self._pair(symbol), "interval": minutes}
        found = await self._backfill("publicGetOHLC", query, _candle)
        if not start_time_ns:
            return found[-count:]
        return [one for one in found if one.open_time_ns >= start_time_ns][:count]

    async def close(self) -> None:
        await self._rest.close()

    async def _trades_from(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        page = await self._page_with(symbol, first_trade_id, start_time_ns)
        found = [trade for trade in page if int(trade.trade_id) >= first_trade_id]
        while len(found) < count and len(page) == TRADES_MAX:
            last = _mark(page[-1])
            page = await self._page(symbol, last.time_ns - SAME_TIME_NS, TRADES_MAX)
            later = [trade for trade in page if int(trade.trade_id) > last.trade_id]
            if not later:
                break
            found += later
        return found[:count]

    async def _page_with(
        self, symbol: str, trade_id: int, start_time_ns: int
    ) -> list[market_data_pb2.Trade]:
        """The answer that contains a trade, or the oldest answer after it; [] when there is none.

        Each answer states times and numbers of its trades, which improves the next guess.
        """
        below, above = self._newest_asked.get(symbol), None
        if below is not None and below.trade_id >= trade_id:
            below = None
        since = start_time_ns - 1 if start_time_ns else None
        if below is not None and trade_id - below.trade_id <= TRADES_MAX // 2:
            since = below.time_ns - SAME_TIME_NS
        for _ in range(SEARCH_STEPS_MAX):
            page = await self._page(symbol, since, TRADES_MAX)
            if not page or (int(page[-1].trade_id) < trade_id and len(page) < TRADES_MAX):
                return []
            first, last = _mark(page[0]), _mark(page[-1])
            if last.trade_id < trade_id:
                if since is None:
                    return []
                below = last
            elif first.trade_id > trade_id and (above is None or first.trade_id < above.trade_id):
                above = first
            else:
                return page
            since = _guess(trade_id, below, above, _pace_ns(first, last))
        raise VenueUnavailable(
            f"{self._venue_id} has trade {trade_id}, but it was not found",
            venue=self._venue_id,
            detail=symbol,
        )

    async def _page(
        self, symbol: str, since_ns: int | None, count: int
    ) -> list[market_data_pb2.Trade]:
        """The oldest trades after a time, or the newest trades; oldest first."""
        query: dict[str, Any] = {"pair": await self._pair(symbol), "count": count}
        if since_ns is not None:
            query["since"] = since_ns
        return await self._backfill("publicGetTrades", query, _trade)

    async def _backfill(
        self, method: str, query: Mapping[str, Any], read: Callable[[Any], ReadT]
    ) -> list[ReadT]:
        return await self._rest.get(
            Priority.BACKFILL, method, query, lambda answer: [read(row) for row in _rows(answer)]
        )

    async def _pair(self, symbol: str) -> str:
        if not self._pairs:
            await self.instruments()
        if symbol not in self._pairs:
            raise UnknownInstrument(
                f"{self._venue_id} does not list {symbol!r}", venue=self._venue_id, symbol=symbol
            )
        return self._pairs[symbol]


def _guess(trade_id: int, below: _Mark | None, above: _Mark | None, pace_ns: int) -> int:
    """The start time of the next call, ns, so that the trade is early in the answer."""
    early_ns = TRADES_MAX // 4 * pace_ns
    if below is None:
        assert above is not None
        return max(above.time_ns - (above.trade_id - trade_id) * pace_ns - early_ns, 0)
    if trade_id - below.trade_id <= TRADES_MAX // 2:
        return below.time_ns - SAME_TIME_NS
    if above is None:
        return below.time_ns + (trade_id - below.trade_id) * pace_ns - early_ns
    span_ns, span = above.time_ns - below.time_ns, above.trade_id - below.trade_id
    between_ns = span_ns * (trade_id - below.trade_id - TRADES_MAX // 4) // span
    return below.time_ns + max(between_ns, 0)


def _pace_ns(first: _Mark, last: _Mark) -> int:
    """Mean time between two trades, at least 1."""
    return max((last.time_ns - first.time_ns) // max(last.trade_id - first.trade_id, 1), 1)


def _mark(trade: market_data_pb2.Trade) -> _Mark:
    return _Mark(trade.venue_time_ns, int(trade.trade_id))


def _rows(answer: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    """The list in {"error":[],"result":{"XBTUSDT":[…],"last":…}}; its key may differ from the
    requested name."""
    lists: list[Sequence[Any]] = [
        value for name, value in answer["result"].items() if name != "last"
    ]
    (rows,) = lists
    return rows


def _trade(row: Sequence[Any]) -> market_data_pb2.Trade:
    """["64746.10000","0.00003630",1784518777.8277369,"b","l","",106799953]; b: the taker bought."""
    return market_data_pb2.Trade(
        trade_id=str(row[6]),
        price=plain_text(row[0]),
        size=plain_text(row[1]),
        side=SIDES[row[3]],
        venue_time_ns=int(Decimal(row[2]).scaleb(9)),
    )


def _candle(row: Sequence[Any]) -> market_data_pb2.Candle:
    """[open time s, open, high, low, close, vwap, volume, trades], prices as text."""
    open_, high, low, close, _, volume = row[1:7]
    return candle(int(row[0]) * NANOSECONDS_PER_SECOND, open_, high, low, close, volume)
