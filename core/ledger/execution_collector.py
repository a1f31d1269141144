"""Reads the executions of one account of a venue and stores them as events.

The stream of executions is resumed by its cursor. Where the venue does not hold the cursor any
more, and for what no stream brings, fills and cash flows are listed from some time back. What was
stored already is passed over.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2, trade_flow_pb2, trade_flow_pb2_grpc

from core.ledger.account_opening import AccountOpening, OpeningWaits
from core.ledger.contracts import ContractUnknown, InstrumentKey
from core.ledger.execution_store import CollectorPosition, ExecutionStore
from core.ledger.reported_events import cash_moved, order_changed, order_filled
from kit.base import errors, telemetry
from kit.base.backoff import delays
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.cursor import START, Cursor
from kit.base.database import ConsumerPositionConflict
from kit.base.degradation import DegradedReasons
from kit.base.errors import AmountOutOfBounds, NotSupported, StoreUnavailable, UnknownOrder
from kit.base.paging import whole_list
from kit.events.event_log import EventConflict

CALL_SECONDS_MAX = 60.0
LIST_EVERY_SECONDS = 60.0
FILLS_BACK_SECONDS = 600
"""A fill may be found late, with the time at which it happened."""
LOST_CURSOR_BACK_SECONDS = 86_400
CASH_FLOWS_BACK_SECONDS = 86_400
"""A venue may list a deposit hours after the time that it states."""
CASH_FLOWS_GO_ON_SECONDS = 3_600
"""From the beginning of a list of cash flows; later, what it had passed may have more."""
ARRIVED_MAX = 1_000
"""Most executions of one transaction."""
PAGE_SIZE = 1_000
REQUEST_IDS_MAX = 10_000
RETRY_SECONDS_MAX = 10.0

_log = telemetry.logger("ledger.intake")

Response = trade_flow_pb2.StreamExecutionsResponse
Row = TypeVar("Row")


class VenueInstruments:
    """The instruments of a venue, as it lists them."""

    def __init__(self, venue: str, stub: "market_data_pb2_grpc.MarketDataAsyncStub") -> None:
        self._venue = venue
        self._stub = stub
        self.known: dict[InstrumentKey, types_pb2.Instrument] = {}

    async def load(self) -> None:
        """List them. Raises grpc.aio.AioRpcError."""
        request = market_data_pb2.ListInstrumentsRequest(venue=self._venue)
        answer = await whole_list(self._stub.ListInstruments, request, timeout=CALL_SECONDS_MAX)
        self.known = {InstrumentKey(self._venue, one.symbol): one for one in answer.instruments}


@dataclass(frozen=True, slots=True)
class VenueAccount:
    """An account, and the process of its venue."""

    venue: str
    account: str
    stub: "trade_flow_pb2_grpc.TradeFlowAsyncStub"
    instruments: VenueInstruments
    is_paper: bool
    """Whether it began with nothing: its initial balances are cash flows."""


class ExecutionCollector:
    """The reader of one account."""

    def __init__(
        self,
        account: VenueAccount,
        store: ExecutionStore,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._key = {"venue": account.venue, "account": account.account}
        self._stub = account.stub
        self._instruments = account.instruments
        self._opening = (
            None
            if account.is_paper
            else AccountOpening(account.venue, account.account, account.stub, clock)
        )
        """None: nothing is to be booked that was there before."""
        self._store = store
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._position = CollectorPosition()
        self.is_reading = False
        """Whether what was asked for last has come, and was stored."""
        self._writing = asyncio.Lock()
        self._listing = asyncio.Lock()
        self._request_ids: dict[str, str] = {}
        self._unread: cash_flows_pb2.ListCashFlowsRequest | None = None
        """The next page of an interrupted list of cash flows."""
        self._unread_until_ns = 0
        self._waits = delays(most_seconds=RETRY_SECONDS_MAX)
        self._about = f"executions of {account.venue}/{account.account}"
        self._about_changes = f"changed executions of {account.venue}/{account.account}"
        self._about_cash_flows = f"cash flows of {account.venue}/{account.account}"
        self._about_opening = f"opening balances of {account.venue}/{account.account}"

    async def run(self) -> None:
        """Read forever. Starts again after an outage of the venue or the database."""
        while True:
            try:
                self._position = await self._store.position()
                arrived: asyncio.Queue[Response] = asyncio.Queue(ARRIVED_MAX)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._list_again())
                    group.create_task(self._save_arrived(arrived))
                    await self._read_stream(arrived)
                    raise ConnectionResetError("the stream has ended")
            except* (grpc.aio.AioRpcError, ConnectionResetError) as failure:
                _log.debug("not read", extra=self._key | {"detail": str(failure.exceptions[0])})
            except* (StoreUnavailable, ConsumerPositionConflict) as failure:
                _log.warning("not stored", extra=self._key | {"detail": str(failure.exceptions[0])})
            except* (ContractUnknown, AmountOutOfBounds, EventConflict) as failure:
                # Nothing of this account is booked until this is solved, and nothing is lost.
                self._degraded_reasons.report(self._about, str(failure.exceptions[0]))
            self.is_reading = False
            await self._clock.sleep(next(self._waits))

    async def _read_stream(self, arrived: asyncio.Queue[Response]) -> None:
        venue, account = self._key["venue"], self._key["account"]
        request = trade_flow_pb2.StreamExecutionsRequest(venue=venue, account=account)
        if self._position.cursor != START:
            request.resume_after.CopyFrom(self._position.cursor.message())
        async for response in self._stub.StreamExecutions(request):
            self._waits = delays(most_seconds=RETRY_SECONDS_MAX)
            await arrived.put(response)

    async def _save_arrived(self, arrived: asyncio.Queue[Response]) -> None:
        """Store in one transaction what has arrived during the last one."""
        while True:
            responses = [await arrived.get()]
            while not arrived.empty():
                responses.append(arrived.get_nowait())
            if any(response.HasField("snapshot") for response in responses):
                await self._list_fills(LOST_CURSOR_BACK_SECONDS)
            events = [event for one in responses for event in await self._events(one)]
            await self._save(events, cursor=Cursor.of(responses[-1].cursor))
            self.is_reading = True

    async def _list_again(self) -> None:
        while True:
            if await self._has_listed_cash_flows():
                await self._open()
            await self._clock.sleep(LIST_EVERY_SECONDS)
            await self._list_fills(FILLS_BACK_SECONDS)
            self.is_reading = True

    async def _open(self) -> None:
        """Book once what the account had before, after all that is listed."""
        if self._opening is None:
            return
        try:
            if not await self._store.is_opened():
                position = self._position
                newest_ns = max(position.fills_time_ns, position.cash_flows_time_ns)
                held = await self._store.held_symbols()
                await self._save(await self._opening.events(newest_ns, held))
        except OpeningWaits as waits:
            self._degraded_reasons.report(self._about_opening, str(waits))
        else:
            self._opening = None
            self._degraded_reasons.clear(self._about_opening)

    async def _events(self, response: Response) -> list[event_pb2.Event]:
        match response.WhichOneof("event"):
            case "snapshot":
                return [self._changed(order) for order in response.snapshot.orders]
            case "order":
                return [self._changed(response.order)]
            case "fill":
                return [await self._filled(response.fill)]
        return []

    async def _list_fills(self, back_seconds: int) -> None:
        """Store the fills since some time before the newest one."""
        # One list at a time: a shorter one must not move the position past what a longer one has
        # not stored yet.
        async with self._listing:
            newest_ns = self._position.fills_time_ns
            fills = await self._fills(newest_ns - back_seconds * NANOSECONDS_PER_SECOND)
            for part in _parts(fills[::-1]):
                events = [await self._filled(fill) for fill in part]
                newest_ns = _newest(newest_ns, events)
                await self._save(events, fills_time_ns=newest_ns)

    async def _has_listed_cash_flows(self) -> bool:
        """Store the cash flows. Returns whether all that the venue lists are stored."""
        try:
            await self._list_cash_flows()
        except grpc.aio.AioRpcError as error:
            # This call reaches the exchange; fills come from the journal of its process.
            if errors.reason_of(error) == NotSupported.reason:
                return True
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                # The venue's process has dropped the page.
                self._unread = None
            text = error.details() or error.code().name
            self._degraded_reasons.report(self._about_cash_flows, text)
            return False
        self._degraded_reasons.clear(self._about_cash_flows)
        return True

    async def _list_cash_flows(self) -> None:
        """Store the cash flows since some time before the newest one. A list that breaks off goes
        on with the page that is missing: a long one takes minutes, and would never end."""
        newest_ns, now_ns = self._position.cash_flows_time_ns, self._clock.monotonic_ns()
        request = self._unread
        if request is None or now_ns >= self._unread_until_ns:
            since_ns = newest_ns - CASH_FLOWS_BACK_SECONDS * NANOSECONDS_PER_SECOND
            request = cash_flows_pb2.ListCashFlowsRequest(
                **self._key, start_time_ns=max(since_ns, 0), page_size=PAGE_SIZE
            )
            self._unread_until_ns = now_ns + CASH_FLOWS_GO_ON_SECONDS * NANOSECONDS_PER_SECOND
        while True:
            page = await self._stub.ListCashFlows(request, timeout=CALL_SECONDS_MAX)
            events = [cash_moved(flow) for flow in page.cash_flows]
            newest_ns = _newest(newest_ns, events)
            await self._save(events, cash_flows_time_ns=newest_ns)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
            self._unread = request
        self._unread = None

    async def _fills(self, since_ns: int) -> Sequence[orders_pb2.Fill]:
        request = trade_flow_pb2.ListFillsRequest(**self._key, page_size=PAGE_SIZE)
        found: list[orders_pb2.Fill] = []
        while True:
            page = await self._stub.ListFills(request, timeout=CALL_SECONDS_MAX)
            found += [fill for fill in page.fills if fill.venue_time_ns >= since_ns]
            # Newest first: all others are older.
            is_end = any(fill.venue_time_ns < since_ns for fill in page.fills)
            if is_end or not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def _changed(self, order: orders_pb2.Order) -> event_pb2.Event:
        self._remember(order.client_order_id, order.request_id)
        return order_changed(order)

    async def _filled(self, fill: orders_pb2.Fill) -> event_pb2.Event:
        order_id = fill.client_order_id
        if order_id and order_id not in self._request_ids:
            request = trade_flow_pb2.GetOrderRequest(**self._key, client_order_id=order_id)
            try:
                answer = await self._stub.GetOrder(request, timeout=CALL_SECONDS_MAX)
                self._remember(order_id, answer.order.request_id)
            except grpc.aio.AioRpcError as error:
                if errors.reason_of(error) != UnknownOrder.reason:
                    raise
                self._remember(order_id, "")
        return order_filled(fill, self._request_ids.get(order_id, ""))

    def _remember(self, order_id: str, request_id: str) -> None:
        self._request_ids[order_id] = request_id
        if len(self._request_ids) > REQUEST_IDS_MAX:
            del self._request_ids[next(iter(self._request_ids))]

    async def _save(
        self,
        events: Sequence[event_pb2.Event],
        cursor: Cursor | None = None,
        fills_time_ns: int | None = None,
        cash_flows_time_ns: int | None = None,
    ) -> None:
        async with self._writing:
            before = self._position
            after = CollectorPosition(
                before.cursor if cursor is None else cursor,
                before.fills_time_ns if fills_time_ns is None else fills_time_ns,
                before.cash_flows_time_ns if cash_flows_time_ns is None else cash_flows_time_ns,
            )
            if after == before and not events:
                return
            try:
                changed = await self._store.save(before, after, events, self._instruments.known)
            except ContractUnknown:
                # Listed after the last request, or not requested yet.
                await self._instruments.load()
                changed = await self._store.save(before, after, events, self._instruments.known)
            self._position = after
        self._degraded_reasons.clear(self._about)
        if changed:
            text = f"{changed[0].instance} reports an execution again with other values"
            _log.error("changed execution", extra={"event": str(changed[0]), "count": len(changed)})
            self._degraded_reasons.report(self._about_changes, text)


def _parts(oldest_first: Sequence[Row]) -> Iterable[Sequence[Row]]:
    """Parts of a list for one transaction each: what is stored needs not be read again after a
    kill, however long the list is."""
    for begin in range(0, len(oldest_first), ARRIVED_MAX):
        yield oldest_first[begin : begin + ARRIVED_MAX]


def _newest(before_ns: int, events: Sequence[event_pb2.Event]) -> int:
    return max([before_ns, *(event.time_ns for event in events)])
