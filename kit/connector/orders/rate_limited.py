"""A desk whose calls go on the process's budget: to cancel before to protect before the rest."""

from collections.abc import AsyncIterator, Sequence

from kit.connector.orders.read import STOPS
from kit.connector.rest.budget import Budget, Priority, spend
from kit.execution.contract import (
    AccountEvent,
    AssetBalance,
    Desk,
    DeskRules,
    HeldPosition,
    OrderKey,
    Receipt,
    VenueFill,
    VenueOrder,
    Wish,
)


class RationedDesk:
    """Does as the desk that it is made of, and each single call waits for its turn. While the venue
    wants to be left alone, orders are refused with RATE_LIMIT and questions raise RateLimited."""

    def __init__(self, desk: Desk, budget: Budget) -> None:
        self._desk = desk
        self._budget = budget

    @property
    def rules(self) -> DeskRules:
        return self._desk.rules

    async def authenticate(self) -> Sequence[str]:
        with spend(self._budget, Priority.NEW):
            return await self._desk.authenticate()

    async def place(self, wish: Wish) -> Receipt:
        protects = wish.reduce_only or wish.type in STOPS
        with spend(self._budget, Priority.PROTECT if protects else Priority.NEW):
            return await self._desk.place(wish)

    async def amend(self, key: OrderKey, wish: Wish) -> Receipt:
        with spend(self._budget, Priority.NEW):
            return await self._desk.amend(key, wish)

    async def cancel(self, key: OrderKey) -> Receipt:
        with spend(self._budget, Priority.CANCEL):
            return await self._desk.cancel(key)

    async def cancel_all(self, symbol: str = "") -> Receipt:
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

    async def balances(self) -> list[AssetBalance]:
        with spend(self._budget, Priority.NEW):
            return await self._desk.balances()

    async def positions(self) -> list[HeldPosition]:
        with spend(self._budget, Priority.NEW):
            return await self._desk.positions()

    async def countdown(self, seconds: float) -> None:
        with spend(self._budget, Priority.CANCEL):
            await self._desk.countdown(seconds)

    def follow(self) -> AsyncIterator[AccountEvent]:
        return self._desk.follow()

    async def close(self) -> None:
        await self._desk.close()
