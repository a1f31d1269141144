"""What the venues' processes say of their accounts: balances, positions and open orders."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, cast

from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2, trade_flow_pb2

from core.inspector.venue_processes import (
    ANSWER_SECONDS_MAX,
    CALL_SECONDS_MAX,
    PAGE_SIZE,
    CallRefused,
    NoAnswer,
    VenueProcesses,
    calling,
)
from kit.base.paging import whole_list

if TYPE_CHECKING:
    from venuemesh.tradeflow.v1.trade_flow_pb2_grpc import TradeFlowAsyncStub

READY = accounts_pb2.ACCOUNT_STATE_READY

AccountKey = tuple[str, str]
"""Venue and account."""


@dataclass(frozen=True, slots=True)
class AccountReport:
    """What the venue's process says of an account."""

    problem: str = ""
    """Why it says nothing; "": it does."""
    is_paper: bool = False
    """Whether no real money is involved. The ledger books no balances that were there before."""
    balances: Mapping[str, Decimal] = field(default_factory=dict)
    balances_time_ns: int = 0
    """When the venue reported them, by the clock of its process."""
    positions: Mapping[str, Decimal] = field(default_factory=dict)
    positions_time_ns: int = 0
    """0: the venue has no derivatives, or has not reported yet."""
    orders: Sequence[orders_pb2.Order] = ()
    """Those that are not final."""


def state_name(state: int) -> str:
    """For example "OPEN"."""
    return orders_pb2.OrderState.Name(cast("orders_pb2.OrderState.ValueType", state)).removeprefix(
        "ORDER_STATE_"
    )


class VenueReports(Protocol):
    """What the venues' processes say."""

    async def read(self) -> Mapping[AccountKey, AccountReport]:
        """A report of each account of each registered venue that lists its accounts."""

    async def fills(self, venue: str, account: str) -> Sequence[orders_pb2.Fill]:
        """The newest fills of an account. Raises NoAnswer, CallRefused."""

    async def find(self, venue: str, account: str, client_id: str) -> orders_pb2.Order | None:
        """An order, or None if the venue's process has no such order. Raises NoAnswer,
        CallRefused."""


class AccountReports:
    """VenueReports of the processes in the registry."""

    def __init__(self, venues: VenueProcesses) -> None:
        self._channels = venues.channels
        self._venues = venues

    async def read(self) -> Mapping[AccountKey, AccountReport]:
        found: dict[AccountKey, AccountReport] = {}
        venues = map(self._of_venue, self._venues.trading())
        for reports in await asyncio.gather(*venues):
            found |= reports
        return found

    async def fills(self, venue: str, account: str) -> Sequence[orders_pb2.Fill]:
        request = trade_flow_pb2.ListFillsRequest(venue=venue, account=account, page_size=PAGE_SIZE)
        async with calling(self._channels, venue) as stub:
            return (await stub.ListFills(request, timeout=CALL_SECONDS_MAX)).fills

    async def find(self, venue: str, account: str, client_id: str) -> orders_pb2.Order | None:
        return await self._venues.find(venue, account, client_id)

    async def _of_venue(self, venue: str) -> Mapping[AccountKey, AccountReport]:
        try:
            listed = await self._venues.accounts(venue)
        except (NoAnswer, CallRefused):
            # An account without a report is unreadable.
            return {}
        reports = await asyncio.gather(*(self._of_account(venue, one) for one in listed))
        return {(venue, one.account): report for one, report in zip(listed, reports, strict=True)}

    async def _of_account(self, venue: str, account: accounts_pb2.Account) -> AccountReport:
        if account.state != READY:
            state = accounts_pb2.AccountState.Name(account.state).removeprefix("ACCOUNT_STATE_")
            return AccountReport(f"the account is {state}: {account.detail}".rstrip(": "))
        try:
            # First: what they fill meanwhile differs once, and is late.
            orders = await self._venues.open_orders(venue, account.account)
            async with calling(self._channels, venue) as stub:
                return await _read(stub, venue, account, orders)
        except (NoAnswer, CallRefused) as error:
            return AccountReport(f"the venue's process does not answer: {error}")


async def _read(
    stub: "TradeFlowAsyncStub",
    venue: str,
    account: accounts_pb2.Account,
    orders: Sequence[orders_pb2.Order],
) -> AccountReport:
    place: dict[str, Any] = {"venue": venue, "account": account.account, "page_size": PAGE_SIZE}
    positions = await whole_list(
        stub.ListPositions,
        trade_flow_pb2.ListPositionsRequest(**place),
        timeout=ANSWER_SECONDS_MAX,
    )
    balances = await whole_list(
        stub.ListBalances, trade_flow_pb2.ListBalancesRequest(**place), timeout=ANSWER_SECONDS_MAX
    )
    return AccountReport(
        is_paper=account.paper,
        balances={one.asset: Decimal(one.total) for one in balances.balances},
        balances_time_ns=balances.as_of_time_ns,
        positions={one.symbol: Decimal(one.size) for one in positions.positions},
        positions_time_ns=positions.as_of_time_ns,
        orders=orders,
    )
