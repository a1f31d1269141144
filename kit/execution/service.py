"""TradeFlow for the accounts of one process."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import grpc
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2, trade_flow_pb2, trade_flow_pb2_grpc

from kit.base.cursor import Cursor
from kit.base.errors import (
    BadPageToken,
    BadRequest,
    InvalidOrder,
    RequestIdReused,
    UnknownAccount,
    UnknownInstrument,
    UnknownOrder,
    UnknownVenue,
)
from kit.base.paging import make_token, page_size, read_token
from kit.execution import checks
from kit.execution.account import Account
from kit.execution.approval import Verifier, plain
from kit.execution.groups import shape
from kit.execution.journal.records import Record
from kit.execution.orders.order import Order, fill_message

PAGE_SIZE = 200
PAGE_SIZE_MAX = 1000

Context = grpc.aio.ServicerContext[Any, Any]


class TradeFlowServicer(trade_flow_pb2_grpc.TradeFlowServicer):
    """Each account has a verifier of its own, as each has an order authority of its own."""

    def __init__(
        self,
        venue: str,
        accounts: Mapping[str, Account],
        verifier: Callable[[Account], Verifier],
    ) -> None:
        self._venue = venue
        self._accounts = accounts
        self._verifiers = {name: verifier(account) for name, account in accounts.items()}

    async def PlaceOrder(
        self, request: trade_flow_pb2.PlaceOrderRequest, context: Context
    ) -> trade_flow_pb2.PlaceOrderResponse:
        approved = request.approved
        content = approved.content
        account = self._account(content.venue, content.account)
        entry = account.pilot.known(content, approved.request_id)
        if entry is None:
            shape.check_alone(content)
            also = self._approve(account, approved)
            account.check_ready()
            held = checks.check(content, self._known(account, content.symbol))
            entry = await account.pilot.place(
                content, approved.request_id, approved.expires_time_ns, *also, held=held
            )
        await account.pilot.answered(entry)
        return trade_flow_pb2.PlaceOrderResponse(order=entry.message())

    async def PlaceOrderGroup(
        self, request: trade_flow_pb2.PlaceOrderGroupRequest, context: Context
    ) -> trade_flow_pb2.PlaceOrderGroupResponse:
        shape.check(request.approved)
        content = request.approved[0].content
        group_id = content.group.group_id
        account = self._account(content.venue, content.account)
        entries = self._known_group(account, request.approved)
        if not entries:
            also = [record for one in request.approved for record in self._approve(account, one)]
            account.check_ready()
            wanted = shape.wanted(request.approved, self._known(account, content.symbol))
            entries = await account.pilot.place_together(wanted, *also)
        for entry in entries:
            await account.pilot.answered(entry)
        account.groups.look(group_id)
        return trade_flow_pb2.PlaceOrderGroupResponse(orders=[one.message() for one in entries])

    async def AmendOrder(
        self, request: trade_flow_pb2.AmendOrderRequest, context: Context
    ) -> trade_flow_pb2.AmendOrderResponse:
        account = self._account(request.venue, request.account)
        entry = self._order(account, request.client_order_id)
        approved = request.approved
        content = approved.content
        also: tuple[Record, ...] = ()
        if not account.amender.known(entry, content, approved.request_id):
            also = self._approve(account, approved)
            account.check_ready()
            account.amender.check(entry, content)
            known = self._known(account, content.symbol)
            checks.check(content, known, is_amendment=True)
            _check_amended_size(entry, content)
        await account.amender.amend(entry, content, approved.request_id, *also)
        return trade_flow_pb2.AmendOrderResponse(order=entry.message())

    async def CancelOrder(
        self, request: trade_flow_pb2.CancelOrderRequest, context: Context
    ) -> trade_flow_pb2.CancelOrderResponse:
        account = self._account(request.venue, request.account)
        entry = self._order(account, request.client_order_id)
        await account.pilot.cancel(entry)
        return trade_flow_pb2.CancelOrderResponse(order=entry.message())

    async def CancelAllOrders(
        self, request: trade_flow_pb2.CancelAllOrdersRequest, context: Context
    ) -> trade_flow_pb2.CancelAllOrdersResponse:
        account = self._account(request.venue, request.account)
        entries = await account.pilot.cancel_all(request.symbol)
        return trade_flow_pb2.CancelAllOrdersResponse(orders=[entry.message() for entry in entries])

    async def GetOrder(
        self, request: trade_flow_pb2.GetOrderRequest, context: Context
    ) -> trade_flow_pb2.GetOrderResponse:
        account = self._account(request.venue, request.account)
        entry = self._order(account, request.client_order_id)
        return trade_flow_pb2.GetOrderResponse(order=entry.message())

    async def ListOpenOrders(
        self, request: trade_flow_pb2.ListOpenOrdersRequest, context: Context
    ) -> trade_flow_pb2.ListOpenOrdersResponse:
        account = self._account(request.venue, request.account)
        size = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        after = _position(request, (int, str))
        entries = sorted(
            (entry.created_time_ns, entry.key, entry)
            for entry in account.ledger.index.open.values()
            if request.symbol in ("", entry.symbol)
        )
        rest = [row for row in entries if after is None or [row[0], row[1]] > after]
        page = [entry for _, _, entry in rest[:size]]
        response = trade_flow_pb2.ListOpenOrdersResponse(orders=[entry.message() for entry in page])
        if len(rest) > size:
            last = page[-1]
            response.next_page_token = make_token(request, [last.created_time_ns, last.key])
        return response

    async def ListFills(
        self, request: trade_flow_pb2.ListFillsRequest, context: Context
    ) -> trade_flow_pb2.ListFillsResponse:
        account = self._account(request.venue, request.account)
        size = page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        before = _position(request, (int,))
        wanted = [
            (number, fill)
            for number, fill in reversed(account.ledger.index.fills.items())
            if (before is None or [number] < before)
            and request.symbol in ("", fill.symbol)
            and request.client_order_id in ("", fill.client_order_id)
        ]
        response = trade_flow_pb2.ListFillsResponse(
            fills=[fill_message(self._venue, account.name, fill) for _, fill in wanted[:size]]
        )
        if len(wanted) > size:
            response.next_page_token = make_token(request, [wanted[size - 1][0]])
        return response

    async def ListBalances(
        self, request: trade_flow_pb2.ListBalancesRequest, context: Context
    ) -> trade_flow_pb2.ListBalancesResponse:
        holdings = self._account(request.venue, request.account).holdings
        return trade_flow_pb2.ListBalancesResponse(
            balances=holdings.balance_messages(), as_of_time_ns=holdings.balances_time_ns
        )

    async def ListPositions(
        self, request: trade_flow_pb2.ListPositionsRequest, context: Context
    ) -> trade_flow_pb2.ListPositionsResponse:
        holdings = self._account(request.venue, request.account).holdings
        return trade_flow_pb2.ListPositionsResponse(
            positions=holdings.position_messages(), as_of_time_ns=holdings.positions_time_ns
        )

    async def ListAccounts(
        self, request: trade_flow_pb2.ListAccountsRequest, context: Context
    ) -> trade_flow_pb2.ListAccountsResponse:
        self._check_venue(request.venue)
        return trade_flow_pb2.ListAccountsResponse(
            accounts=[account.message() for _, account in sorted(self._accounts.items())]
        )

    async def StreamExecutions(
        self, request: trade_flow_pb2.StreamExecutionsRequest, context: Context
    ) -> AsyncIterator[trade_flow_pb2.StreamExecutionsResponse]:
        account = self._account(request.venue, request.account)
        after = Cursor.of(request.resume_after) if request.HasField("resume_after") else None
        async with aclosing(account.executions.read(after)) as events:
            async for event in events:
                yield event

    async def Heartbeat(
        self, request: signed_pb2.HeartbeatRequest, context: Context
    ) -> trade_flow_pb2.HeartbeatResponse:
        account = self._account(request.venue, request.account)
        verifier = self._verifier(account)
        verifier.check_heartbeat(request, account.clock.time_ns())
        if request.time_ns > verifier.beat_time_ns:
            # An old one that somebody says again keeps nothing alive.
            await account.beat(request.fencing_epoch)
            verifier.beat_time_ns = max(verifier.beat_time_ns, request.time_ns)
        return trade_flow_pb2.HeartbeatResponse(account=account.message())

    def _check_venue(self, venue: str) -> None:
        if venue != self._venue:
            raise UnknownVenue(f"this process trades at {self._venue}", venue=venue)

    def _account(self, venue: str, name: str) -> Account:
        self._check_venue(venue)
        if name not in self._accounts:
            raise UnknownAccount(f"no account {name!r} here", account=name)
        return self._accounts[name]

    def _order(self, account: Account, client_order_id: str) -> Order:
        entry = account.ledger.index.orders.get(client_order_id)
        if entry is None:
            text = f"no order {client_order_id!r} is known"
            raise UnknownOrder(text, client_order_id=client_order_id)
        return entry

    def _known_group(
        self, account: Account, approved: Iterable[signed_pb2.ApprovedOrder]
    ) -> list[Order]:
        """The orders of a group that was placed before; none of one that is new. Raises
        RequestIdReused, InvalidOrder."""
        known = [(one, account.pilot.known(one.content, one.request_id)) for one in approved]
        found = [entry for _, entry in known if entry is not None]
        if found and len(found) < len(known):
            request_id = next(one.request_id for one, entry in known if entry is not None)
            text = f"of the group only {request_id} is known"
            raise RequestIdReused(text, request_id=request_id)
        group_id = known[0][0].content.group.group_id
        if not found and group_id in account.ledger.index.groups:
            text = f"another group has the id {group_id}"
            allowed = "an id that no other group has"
            raise InvalidOrder(text, field="group.group_id", value=group_id, allowed=allowed)
        return found

    def _verifier(self, account: Account) -> Verifier:
        """With what the journal knows of the order authority."""
        verifier = self._verifiers[account.name]
        verifier.fencing_epoch = max(verifier.fencing_epoch, account.fencing_epoch)
        return verifier

    def _approve(self, account: Account, approved: signed_pb2.ApprovedOrder) -> tuple[Record, ...]:
        """Raises ApprovalRefused. Returns what is to be written down with the order."""
        content = approved.content
        if (content.venue, content.account) != (account.venue, account.name):
            text = "the approval is for another account"
            raise BadRequest(text, field="account", value=content.account, allowed=account.name)
        self._verifier(account).check(approved, account.clock.time_ns())
        return account.take_authority(approved.fencing_epoch)

    def _known(self, account: Account, symbol: str) -> checks.Known:
        instrument = account.instrument(symbol)
        if instrument is None:
            text = f"{self._venue} does not list {symbol!r}"
            raise UnknownInstrument(text, venue=self._venue, symbol=symbol)
        return checks.Known(
            instrument=instrument,
            rules=account.desk.capabilities,
            now_ns=account.clock.time_ns(),
            best=account.prices.best(symbol) if account.prices is not None else None,
            balances=account.holdings.balances,
            band_percent=account.settings.price_band_percent,
            prices_are_heard=account.prices is not None,
        )


def _position(
    request: trade_flow_pb2.ListOpenOrdersRequest | trade_flow_pb2.ListFillsRequest,
    kinds: tuple[type, ...],
) -> list[Any] | None:
    position = read_token(request)
    if position is not None and tuple(map(type, position)) != kinds:
        raise BadPageToken("not a page token of this list", page_token=request.page_token)
    return position


def _check_amended_size(entry: Order, content: orders_pb2.OrderContent) -> None:
    if checks.amount("size", content.size) <= entry.filled:
        allowed = f"more than the {plain(entry.filled)} that are filled"
        text = f"size is {content.size!r}; allowed is {allowed}"
        raise InvalidOrder(text, field="size", value=content.size, allowed=allowed, nearest="")
