"""The gRPC service Ledger."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import groupby
from operator import attrgetter
from typing import Any, Protocol

import grpc
from venuemesh.ledger.v1 import equity_pb2, holds_pb2, ledger_pb2, ledger_pb2_grpc, postings_pb2

from core.ledger.accounts import AccountKey, account_of
from core.ledger.group_feed import GroupFeed
from core.ledger.holds import Holds, hold_of
from core.ledger.postgres_queries import Holdings
from core.ledger.posting_writer import PostingWriter
from core.ledger.postings import amount_of, group_of
from core.ledger.profit import GROUPINGS, equities, equity_amounts, profit_amounts, profits
from core.ledger.store import AccountSelection, EquityTimes, LedgerQueries, Page
from core.ledger.valuation import Valuation
from core.ledger.verification import Findings
from kit.accounting.money import atoms_text
from kit.base import paging
from kit.base.access.call_guard import current_caller, require_kind
from kit.base.clock import Clock
from kit.base.errors import BadPageToken, BadRequest

ORDER_AUTHORITY = "inspector"
"""The kind of the only process of the mesh that may post and hold."""
TRANSFERS_MAX = 1_000
PAGE_SIZE, PAGE_SIZE_MAX = 200, 1_000
POINTS, POINTS_MIN = 200, 2
TIME_END_NS = 2**63 - 1

Context = grpc.aio.ServicerContext[Any, Any]


class ServedQueries(LedgerQueries, Protocol):
    """The queries of callers."""

    async def holdings(self, venue: str, account: str) -> Holdings:
        """The totals and the open positions of a venue and account; "": of all."""

    async def verify(self) -> Findings:
        """What is wrong, after computing the ledger again."""


class LedgerServicer(ledger_pb2_grpc.LedgerServicer):
    """Books what callers post, and reads the ledger."""

    def __init__(
        self,
        writer: PostingWriter,
        holds: Holds,
        queries: ServedQueries,
        valuation: Valuation,
        feed: GroupFeed,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._holds = holds
        self._clock = clock
        self._queries = queries
        self._valuation = valuation
        self._feed = feed

    async def PostTransfers(
        self, request: ledger_pb2.PostTransfersRequest, context: Context
    ) -> ledger_pb2.PostTransfersResponse:
        _check_process()
        count = sum(len(group.transfers) for group in request.groups)
        if not 0 < count <= TRANSFERS_MAX:
            raise BadRequest(
                f"the groups have {count} transfers; allowed are 1 to {TRANSFERS_MAX}",
                field="groups",
                value=count,
                allowed=f"1 to {TRANSFERS_MAX} transfers",
            )
        caller = current_caller().name
        groups = [group_of(group, place, caller) for place, group in enumerate(request.groups)]
        posted = [
            ledger_pb2.PostedGroup(
                group_id=one.group.group_id,
                group_number=one.group_number,
                repeated_request=one.is_repeated,
            )
            for one in await self._writer.post(groups)
        ]
        return ledger_pb2.PostTransfersResponse(groups=posted)

    async def GetBalances(
        self, request: ledger_pb2.GetBalancesRequest, context: Context
    ) -> ledger_pb2.GetBalancesResponse:
        time_ns = _time("time_ns", request.time_ns) or TIME_END_NS
        size, page = _page(request)
        found, head = await self._queries.balances(_selection(request.filter), time_ns, page)
        return ledger_pb2.GetBalancesResponse(
            balances=[
                postings_pb2.LedgerBalance(
                    account=row.key.message(), balance=atoms_text(row.balance)
                )
                for row in found[:size]
            ],
            next_page_token=_token(request, [row.account_id for row in found], size),
            group_number=head.group_number,
        )

    async def ListLedgerAccounts(
        self, request: ledger_pb2.ListLedgerAccountsRequest, context: Context
    ) -> ledger_pb2.ListLedgerAccountsResponse:
        size, page = _page(request)
        found, _ = await self._queries.accounts(_selection(request.filter), page)
        return ledger_pb2.ListLedgerAccountsResponse(
            accounts=[
                postings_pb2.AccountTotals(
                    account=row.key.message(),
                    debits=atoms_text(row.debits),
                    credits=atoms_text(row.credits),
                    balance=atoms_text(row.debits - row.credits),
                    entries=row.entries,
                    newest_time_ns=row.newest_time_ns,
                )
                for row in found[:size]
            ],
            next_page_token=_token(request, [row.account_id for row in found], size),
        )

    async def GetGroups(
        self, request: ledger_pb2.GetGroupsRequest, context: Context
    ) -> ledger_pb2.GetGroupsResponse:
        group_ids = [_name("group_ids", group_id) for group_id in request.group_ids]
        found = await self._queries.groups_named(group_ids)
        return ledger_pb2.GetGroupsResponse(groups=[one.message() for one in found])

    async def ListEntries(
        self, request: ledger_pb2.ListEntriesRequest, context: Context
    ) -> ledger_pb2.ListEntriesResponse:
        key = account_of(request.account, "account")
        start_ns = _time("start_time_ns", request.start_time_ns)
        end_ns = _time("end_time_ns", request.end_time_ns) or TIME_END_NS
        size, page = _page(request)
        found = await self._queries.entries(
            key, start_ns, end_ns, page, newest_first=request.newest_first
        )
        return ledger_pb2.ListEntriesResponse(
            entries=[row.message(key) for row in found[:size]],
            next_page_token=_token(request, [row.number for row in found], size),
        )

    async def GetTrialBalance(
        self, request: ledger_pb2.GetTrialBalanceRequest, context: Context
    ) -> ledger_pb2.GetTrialBalanceResponse:
        sums, head = await self._queries.trial_balance(_name("venue", request.venue))
        return ledger_pb2.GetTrialBalanceResponse(
            assets=[
                postings_pb2.AssetTotals(
                    asset=row.asset,
                    debits=atoms_text(row.debits),
                    credits=atoms_text(row.credits),
                    accounts=row.accounts,
                    entries=row.entries,
                )
                for row in sums
            ],
            balanced=all(row.debits == row.credits for row in sums),
            group_number=head.group_number,
        )

    async def GetProfit(
        self, request: ledger_pb2.GetProfitRequest, context: Context
    ) -> ledger_pb2.GetProfitResponse:
        grouping = GROUPINGS.get(request.grouping)
        if grouping is None:
            names = " ".join(ledger_pb2.ProfitGrouping.keys())
            text = f"grouping is {request.grouping}; allowed: {names}"
            raise BadRequest(text, field="grouping", value=request.grouping, allowed=names)
        venue, account = _name("venue", request.venue), _name("account", request.account)
        found = await self._queries.holdings(venue, account)
        totals, positions = found.totals, found.positions
        if strategy := _name("strategy", request.strategy):
            totals = [row for row in totals if row.key.strategy == strategy]
            positions = [one for one in positions if one.strategy == strategy]
        held = [one.holding.instrument for one in positions if one.size]
        prices = await self._valuation.prices.of(held)
        answer = ledger_pb2.GetProfitResponse(
            profits=profits(totals, positions, prices, grouping),
            group_number=found.head.group_number,
        )
        if currency := _name("currency", request.currency):
            amounts = [one for row in answer.profits for one in profit_amounts(row)]
            answer.conversion.CopyFrom(await self._valuation.convert(amounts, currency))
        return answer

    async def GetEquity(
        self, request: ledger_pb2.GetEquityRequest, context: Context
    ) -> ledger_pb2.GetEquityResponse:
        venue, account = _name("venue", request.venue), _name("account", request.account)
        found = await self._queries.holdings(venue, account)
        opened = [one for one in found.positions if one.size and not one.contract.is_spot]
        prices = await self._valuation.prices.of([one.holding.instrument for one in opened])
        answer = ledger_pb2.GetEquityResponse(
            equities=equities(found.totals, found.positions, prices),
            group_number=found.head.group_number,
        )
        if currency := _name("currency", request.currency):
            amounts = equity_amounts(answer.equities, (venue, account, "", ""))
            answer.conversion.CopyFrom(await self._valuation.convert(amounts, currency))
        return answer

    async def GetEquityHistory(
        self, request: equity_pb2.GetEquityHistoryRequest, context: Context
    ) -> equity_pb2.GetEquityHistoryResponse:
        venue, account = _name("venue", request.venue), _name("account", request.account)
        times = self._equity_times(request)
        found, head = await self._queries.equity_history(venue, account, times)
        return equity_pb2.GetEquityHistoryResponse(
            histories=[
                equity_pb2.AssetEquityHistory(
                    asset=asset,
                    points=[
                        equity_pb2.EquityPoint(
                            time_ns=one.time_ns,
                            equity_at_cost=atoms_text(one.at_cost),
                            net_profit=atoms_text(one.profit),
                        )
                        for one in rows
                    ],
                )
                for asset, rows in groupby(found, attrgetter("asset"))
            ],
            group_number=head.group_number,
        )

    def _equity_times(self, request: equity_pb2.GetEquityHistoryRequest) -> EquityTimes:
        """Raises BadRequest."""
        start_ns = _time("start_time_ns", request.start_time_ns)
        end_ns = _time("end_time_ns", request.end_time_ns) or self._clock.time_ns()
        points = request.points or POINTS
        if points < POINTS_MIN:
            text = f"points is {points}; allowed: {POINTS_MIN} to {PAGE_SIZE_MAX}"
            allowed = f"{POINTS_MIN} to {PAGE_SIZE_MAX}"
            raise BadRequest(text, field="points", value=points, allowed=allowed)
        if start_ns >= end_ns:
            text = f"start_time_ns is {start_ns}; allowed: before end_time_ns, which is {end_ns}"
            allowed = "before end_time_ns"
            raise BadRequest(text, field="start_time_ns", value=start_ns, allowed=allowed)
        return EquityTimes(start_ns, end_ns, points)

    async def StreamEntries(
        self, request: ledger_pb2.StreamEntriesRequest, context: Context
    ) -> AsyncIterator[ledger_pb2.StreamEntriesResponse]:
        number = request.resume_after_group
        if number >= TIME_END_NS:
            text = f"resume_after_group is {number}; allowed: the number of a group"
            raise BadRequest(
                text, field="resume_after_group", value=number, allowed="the number of a group"
            )
        snapshot = not number and not request.skip_snapshot
        async with aclosing(self._feed.read(number, snapshot=snapshot)) as responses:
            async for response in responses:
                yield response

    async def VerifyLedger(
        self, request: ledger_pb2.VerifyLedgerRequest, context: Context
    ) -> ledger_pb2.VerifyLedgerResponse:
        found = await self._queries.verify()
        return ledger_pb2.VerifyLedgerResponse(
            correct=not found.texts,
            findings=found.texts,
            groups=found.groups,
            entries=found.entries,
        )

    async def CreateHold(
        self, request: holds_pb2.CreateHoldRequest, context: Context
    ) -> holds_pb2.CreateHoldResponse:
        _check_process()
        hold = hold_of(request, self._clock.time_ns(), current_caller().name)
        return holds_pb2.CreateHoldResponse(hold=(await self._holds.create(hold)).message())

    async def PostHold(
        self, request: holds_pb2.PostHoldRequest, context: Context
    ) -> holds_pb2.PostHoldResponse:
        _check_process()
        amount = amount_of(request.amount, "amount") if request.amount else 0
        hold_id = _name("hold_id", request.hold_id)
        hold = await self._holds.post(hold_id, amount, current_caller().name)
        return holds_pb2.PostHoldResponse(hold=hold.message())

    async def VoidHold(
        self, request: holds_pb2.VoidHoldRequest, context: Context
    ) -> holds_pb2.VoidHoldResponse:
        _check_process()
        hold = await self._holds.void(_name("hold_id", request.hold_id))
        return holds_pb2.VoidHoldResponse(hold=hold.message())

    async def ListHolds(
        self, request: holds_pb2.ListHoldsRequest, context: Context
    ) -> holds_pb2.ListHoldsResponse:
        place = (_name("venue", request.venue), _name("account", request.account))
        size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        match paging.read_token(request):
            case None:
                after = ""
            case [str(after)] if "\0" not in after:
                pass
            case _:
                raise BadPageToken("page_token is not a page token", page_token=request.page_token)
        found = await self._holds.list(place, request.pending_only, after, size + 1)
        is_last = len(found) <= size
        return holds_pb2.ListHoldsResponse(
            holds=[hold.message() for hold in found[:size]],
            next_page_token=""
            if is_last
            else paging.make_token(request, [found[size - 1].hold_id]),
        )


def _check_process() -> None:
    """Raise RoleMissing for a process that is not the order authority."""
    if current_caller().is_process:
        require_kind(ORDER_AUTHORITY, "post to the ledger")


def _selection(chosen: ledger_pb2.AccountFilter) -> AccountSelection:
    names = ("venue", "account", "asset", "symbol", "strategy")
    parts = [_name(f"filter.{name}", getattr(chosen, name)) for name in names]
    return AccountSelection(AccountKey(chosen.code, *parts))


def _name(field: str, value: str) -> str:
    """Check a name, which PostgreSQL must be able to hold. Raises BadRequest."""
    if "\0" in value:
        text = f"{field} contains a NUL character"
        raise BadRequest(text, field=field, value=value, allowed="no NUL character")
    return value


def _time(field: str, value: int) -> int:
    if value < 0:
        text = f"{field} is {value}; allowed: 0 or more"
        raise BadRequest(text, field=field, value=value, allowed="0 or more")
    return value


def _page(request: Any) -> tuple[int, Page]:
    """The number of rows of a page, and the rows to read: one more, to detect the last page.
    Raises BadRequest, BadPageToken."""
    size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
    match paging.read_token(request):
        case None:
            return size, Page(0, size + 1)
        case [int(after)] if 0 <= after < TIME_END_NS:
            return size, Page(after, size + 1)
    raise BadPageToken("page_token is not a page token", page_token=request.page_token)


def _token(request: Any, numbers: list[int], size: int) -> str:
    return paging.make_token(request, [numbers[size - 1]]) if len(numbers) > size else ""
