"""A desk whose calls go on the process's budget: to cancel before to protect before the rest."""

from collections.abc import AsyncIterator, Sequence

from kit.base.request_budget import Priority, RequestBudget, spend
from kit.execution.contract import (
    AccountEvent,
    ExecutionClient,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)


class RateLimitedExecutionClient:
    """Does as the desk that it is made of, and each single call waits for its turn. While the venue
    wants to be left alone, orders are refused with RATE_LIMIT and questions raise RateLimited."""

    def __init__(self, desk: ExecutionClient, budget: RequestBudget) -> None:
        self._desk = desk
        self._budget = budget

    @property
    def capabilities(self) -> OrderCapabilities:
        return self._desk.capabilities

    async def authenticate(self) -> Sequence[str]:
        with spend(self._budget, Priority.NEW):
            return await self._desk.authenticate()

    async def place(self, request: OrderRequest, priority: Priority = Priority.NEW) -> Verdict:
        with spend(self._budget, priority):
            return await self._desk.place(request)

    async def amend(self, key: OrderKey, request: OrderRequest) -> Verdict:
        with spend(self._budget, Priority.NEW):
            return await self._desk.amend(key, request)

    async def cancel(self, key: OrderKey) -> Verdict:
        with spend(self._budget, Priority.CANCEL):
            return await self._desk.cancel(key)

    async def cancel_all(self, symbol: str = "") -> Verdict:
        with spend(self._budget, Priority.CANCEL):
            return await self._desk.cancel_all(symbol)

    async def find(self, key: OrderKey) -> VenueOrder | None:
        with spend(self._budget, Priority.PROTECT):
            return await self._desk.find(key)

    async def open_orders(self, symbol: str = "") -> list[VenueOrder]:
        with spend(self._budget, Priority.PROTECT):
            return await self._desk.open_orders(symbol)

    async def fills(self, symbol: str, since_time_ns: int) -> list[VenueFill]:
        with spend(self._budget, Priority.NEW):
            return await self._desk.fills(symbol, since_time_ns)

    async def balances(self) -> list[VenueBalance]:
        with spend(self._budget, Priority.NEW):
            return await self._desk.balances()

    async def positions(self) -> list[VenuePosition]:
        with spend(self._budget, Priority.NEW):
            return await self._desk.positions()

    async def countdown(self, seconds: float) -> None:
        with spend(self._budget, Priority.CANCEL):
            await self._desk.countdown(seconds)

    def follow(self) -> AsyncIterator[AccountEvent]:
        return self._desk.follow()

    async def close(self) -> None:
        await self._desk.close()
