"""Market data over REST through ccxt: what the histories of all venues share.

ccxt's unified methods turn numbers into floats; its raw methods leave texts as they are. A venue
whose answers have bare numbers sets a JSON decoder that keeps them as texts.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.errors import BadRequest
from kit.base.numbers import plain_text
from kit.base.request_budget import Priority, RequestBudget, market_scope
from kit.connector.rest import ccxt_loader

ReadT = TypeVar("ReadT")
IntervalT = TypeVar("IntervalT")


class CcxtRestClient:
    """An exchange of ccxt and its request budget. ccxt is loaded with the first call, so that a
    feed can start before."""

    def __init__(
        self,
        venue_id: str,
        exchange_id: str,
        config: Mapping[str, Any],
        budget: RequestBudget | None = None,
        decode_json: Callable[[str], Any] | None = None,
    ) -> None:
        """``decode_json``: in place of ccxt's decoder. Without a budget calls go out at once."""
        self.venue_id = venue_id
        self._exchange_id = exchange_id
        self._config = config
        self._budget = budget
        self._decode_json = decode_json
        self._exchange: Any = None

    @property
    def exchange(self) -> Any:
        if self._exchange is None:
            self._exchange = ccxt_loader.load(self._exchange_id)(self._config)
            self._exchange.request_budget = self._budget
            if self._decode_json is not None:
                self._exchange.on_json_response = self._decode_json
        return self._exchange

    async def get(
        self,
        priority: Priority,
        method: str,
        query: Mapping[str, Any],
        read: Callable[[Any], ReadT],
    ) -> ReadT:
        """Call a raw method of ccxt and return what ``read`` makes of the answer. Raises
        UnknownInstrument, RateLimited, VenueUnavailable; VenueUnavailable also for LookupError,
        TypeError and ValueError of ``read``."""

        async def ask() -> ReadT:
            return read(await getattr(self.exchange, method)(query))

        return await ccxt_loader.call(
            self.venue_id, self._budget, priority, ask, market_scope(priority)
        )

    async def markets(self, read: Callable[[Any], ReadT]) -> ReadT:
        """Return what ``read`` makes of ccxt's fetch_markets. Raises as ``get``."""

        async def ask() -> ReadT:
            return read(await self.exchange.fetch_markets())

        return await ccxt_loader.call(self.venue_id, self._budget, Priority.QUESTION, ask)

    async def close(self) -> None:
        if self._exchange is not None:
            await self._exchange.close()


def known_interval(interval: str, intervals: Mapping[str, IntervalT]) -> IntervalT:
    """Return the venue's value for a candle interval. Raises BadRequest for one that the venue
    does not have."""
    if interval not in intervals:
        raise BadRequest(
            f"no candles of {interval!r}",
            field="interval",
            value=interval,
            allowed=" ".join(intervals),
        )
    return intervals[interval]


def candle(
    open_time_ns: int, open_: Any, high: Any, low: Any, close: Any, volume: Any
) -> market_data_pb2.Candle:
    """A candle of a venue's own numbers, as texts or integers. Raises NumberError."""
    return market_data_pb2.Candle(
        open_time_ns=open_time_ns,
        open=plain_text(open_),
        high=plain_text(high),
        low=plain_text(low),
        close=plain_text(close),
        volume=plain_text(volume),
    )


def first_millisecond(time_ns: int) -> int:
    """Return the first millisecond that is not before a time."""
    return -(-time_ns // NANOSECONDS_PER_MILLISECOND)
