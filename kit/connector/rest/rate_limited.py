"""A venue's history whose calls go on the process's budget."""

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.request_budget import Priority, RequestBudget, spend
from kit.connector.contract.venue import BookSnapshot, VenueHistory


class RateLimitedHistory:
    """Asks as the history does that it is made of, and each single REST call waits for its turn
    (ccxt_client.call). Raises RateLimited while the venue wants to be left alone."""

    def __init__(self, history: VenueHistory, budget: RequestBudget) -> None:
        self._history = history
        self._budget = budget

    async def instruments(self) -> list[types_pb2.Instrument]:
        """All that the venue lists."""
        with spend(self._budget, Priority.NEW):
            return await self._history.instruments()

    async def book(self, symbol: str) -> BookSnapshot:
        """The book now, as deep as the venue gives it."""
        with spend(self._budget, Priority.PROTECT):
            return await self._history.book(symbol)

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """Oldest first, from a trade id (when not 0) or from a time; neither: the newest."""
        with spend(self._budget, Priority.BACKFILL):
            return await self._history.trades(symbol, first_trade_id, start_time_ns, count)

    async def candles(
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """Oldest first, from the first that opens at or after a time."""
        with spend(self._budget, Priority.BACKFILL):
            return await self._history.candles(symbol, interval, start_time_ns, count)

    async def close(self) -> None:
        """End the connections."""
        await self._history.close()
