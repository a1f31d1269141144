"""An execution client over ccxt: what all venues have in common."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Concatenate, ParamSpec, TypeVar

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import (
    NotSupported,
    RateLimited,
    UnknownInstrument,
    VenuemeshError,
    VenueUnavailable,
)
from kit.base.request_budget import Priority, Scope
from kit.connector.orders.batch_calls import BatchCalls
from kit.connector.orders.cash_flow_spans import read_spans
from kit.connector.orders.order_socket import OrderSocket
from kit.connector.orders.rest_session import (
    UNREADABLE,
    OrderApiRequest,
    OrderNotFound,
    RestQuerySession,
    RestSession,
)
from kit.connector.orders.user_stream import UserStream
from kit.connector.orders.venue_api import UnsupportedRequest, VenueApi
from kit.execution.account_configuration import AccountConfiguration, ClockOffset
from kit.execution.cash_flows import CashFlowsPage
from kit.execution.contract import (
    NO_END_NS,
    AccountEvent,
    FillsPage,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
    Transport,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
    Verdict,
)

AnswerT = TypeVar("AnswerT")
P = ParamSpec("P")


class CcxtExecutionClient:
    """One account at one venue."""

    def __init__(
        self, session: RestSession, api: VenueApi, transport: Transport = "websocket"
    ) -> None:
        self._session = session
        self._orders = api.orders
        self._account = api.account
        self._api = api
        self._is_prepared = False
        self._batches: BatchCalls | None = None
        if api.batches is not None:
            self._batches = BatchCalls(session, api.batches, api.orders.verdict)
        self.socket: OrderSocket | None = None
        """The order websocket; it connects when the account is followed."""
        if api.socket is not None and transport == "websocket":
            self.socket = OrderSocket(session, api.socket)

    @property
    def capabilities(self) -> OrderCapabilities:
        return self._orders.capabilities

    async def place(self, request: OrderRequest, priority: Priority = Priority.NEW) -> Verdict:
        return await self._place(request, _send_by_s(request), priority)

    async def place_many(
        self, requests: Sequence[OrderRequest], priority: Priority = Priority.NEW
    ) -> Sequence[Verdict]:
        send_by_s = {_new_key(one): _send_by_s(one) for one in requests}
        joined: dict[OrderKey, OrderApiRequest] = {}
        if self._batches is not None and await self._can_prepare(priority):
            for one in requests:
                with suppress(UnsupportedRequest, UnknownInstrument):
                    single = self._orders.place(one.bounded())
                    if single.method == self._batches.api.place_method:
                        key = _new_key(one)
                        joined[key] = replace(single, send_by_s=send_by_s[key])
        verdicts: dict[OrderKey, Verdict] = {}
        if self._batches is not None and len(joined) > 1:
            answers = await self._batches.send(self._batches.api.place, joined, priority)
            verdicts = {key: self._placed(answer) for key, answer in answers.items()}
        alone = [one for one in requests if _new_key(one) not in verdicts]
        placed = await asyncio.gather(
            *[self._place(one, send_by_s[_new_key(one)], priority) for one in alone]
        )
        verdicts |= zip(map(_new_key, alone), placed, strict=True)
        return [verdicts[_new_key(one)] for one in requests]

    async def cancel_many(self, keys: Sequence[OrderKey]) -> Sequence[Verdict]:
        joined: dict[OrderKey, OrderApiRequest] = {}
        if self._batches is not None and await self._can_prepare(Priority.CANCEL):
            for key in keys:
                if self._api.needs_venue_order_id and not key.venue_order_id:
                    continue
                single = self._orders.cancel(key)[0]
                if single.method == self._batches.api.cancel_method:
                    joined[key] = single
        verdicts: dict[OrderKey, Verdict] = {}
        if self._batches is not None and len(joined) > 1:
            cancel = self._batches.api.cancel
            verdicts |= await self._batches.send(cancel, joined, Priority.CANCEL)
        alone = [key for key in keys if key not in verdicts]
        verdicts |= zip(alone, await asyncio.gather(*map(self.cancel, alone)), strict=True)
        return [verdicts[key] for key in keys]

    async def amend(
        self, key: OrderKey, request: OrderRequest, priority: Priority = Priority.NEW
    ) -> Verdict:
        send_by_s = _send_by_s(request)

        async def requests() -> Sequence[OrderApiRequest]:
            await self._check_amendment(key, request, priority)
            amended = self._orders.amend(await self._named(key, priority), request)
            return [replace(amended, send_by_s=send_by_s)]

        return await self._send(requests, priority)

    async def cancel(self, key: OrderKey) -> Verdict:
        async def requests() -> Sequence[OrderApiRequest]:
            return self._orders.cancel(await self._named(key, Priority.CANCEL))

        return await self._send(requests, Priority.CANCEL)

    async def cancel_all(self, symbol: str = "") -> Verdict:
        groups = [[request] for request in self._orders.cancel_all(symbol)]
        if not groups:
            try:
                open_orders = await self._ask(Priority.CANCEL, self._account.open_orders, symbol)
            except VenuemeshError as error:
                return OutcomeUnknown(f"the open orders are not known: {error.message}")
            groups = self._cancel_each(open_orders, symbol)
        verdicts = [await self._try(requests, Priority.CANCEL) for requests in groups]
        # An order that is gone need not be cancelled.
        is_not_found = self._session.errors.is_not_found
        return _worst(RequestAccepted("") if is_not_found(one) else one for one in verdicts)

    async def countdown(self, seconds: float) -> None:
        try:
            requests = self._orders.countdown(seconds)
        except UnsupportedRequest as error:
            raise NotSupported(
                str(error), service=self._session.venue_id, wanted="countdown"
            ) from error
        for request in requests:
            await self._session.ask(request.method, request.params, Priority.CANCEL, Scope.CANCEL)

    async def find(self, key: OrderKey) -> VenueOrder | None:
        return await self._find(key, Priority.PROTECT)

    async def open_orders(self, symbol: str = "") -> list[VenueOrder]:
        return await self._ask(Priority.PROTECT, self._account.open_orders, symbol)

    async def fills(
        self, symbol: str, since_time_ns: int, until_time_ns: int = NO_END_NS
    ) -> AsyncIterator[FillsPage]:
        await self._prepare(Priority.QUESTION)
        queries = RestQuerySession(self._session, Priority.QUESTION)
        # Both orders of a self-trade have a fill of the same id.
        seen: set[tuple[str, str, str, str]] = set()
        try:
            async for page in self._account.fills(queries, symbol, since_time_ns, until_time_ns):
                new = {
                    _fill_ids(fill): fill
                    for fill in page.fills
                    if symbol in ("", fill.symbol)
                    and since_time_ns <= fill.venue_time_ns < until_time_ns
                    and _fill_ids(fill) not in seen
                }
                seen.update(new)
                fills = sorted(new.values(), key=_by_time_and_id)
                yield replace(page, fills=fills)
        except UNREADABLE as error:
            raise self._session.unreadable(error) from error

    async def balances(self) -> list[VenueBalance]:
        found = await self._ask(Priority.QUESTION, self._account.balances)
        return [one for one in found if one.total or one.free]

    async def positions(self) -> list[VenuePosition]:
        if not self.capabilities.has_positions:
            return []
        found = await self._ask(Priority.QUESTION, self._account.positions)
        held = [one for one in found if one.size]
        for symbol, count in Counter(one.symbol for one in held).items():
            if count > 1:
                # Of two positions, one would be taken for the whole.
                text = f"{count} positions in {symbol}: only one-way mode is understood"
                raise VenueUnavailable(text, venue=self._session.venue_id, detail=text)
        return held

    async def cash_flows(
        self, since_time_ns: int, span_ns: int = 0
    ) -> AsyncIterator[CashFlowsPage]:
        api = self._api.cash_flows
        if api is None:
            venue = self._session.venue_id
            raise NotSupported("cash flows are not listed", service=venue, wanted="cash flows")
        await self._prepare(Priority.QUESTION)
        queries = RestQuerySession(self._session, Priority.QUESTION)
        try:
            async for page in read_spans(api, queries, since_time_ns, span_ns):
                yield page
        except UNREADABLE as error:
            raise self._session.unreadable(error) from error

    async def clock_offset(self) -> ClockOffset | None:
        query = self._api.configuration.server_time
        return await self._read(self._session.clock_offset(query, Priority.QUESTION))

    async def configuration(self, symbols: Collection[str] = ()) -> AccountConfiguration:
        return await self._ask(Priority.QUESTION, self._api.configuration.read, symbols)

    def follow(self) -> AsyncIterator[AccountEvent]:
        if self.socket is not None:
            self.socket.start()
        return UserStream(self._session, self._api.stream).events()

    async def close(self) -> None:
        if self.socket is not None:
            await self.socket.close()
        await self._session.close()

    async def _place(self, request: OrderRequest, send_by_s: float, priority: Priority) -> Verdict:
        async def requests() -> Sequence[OrderApiRequest]:
            placed = self._orders.place(request.bounded())
            return [replace(placed, send_by_s=send_by_s)]

        return self._placed(await self._send(requests, priority))

    def _placed(self, verdict: Verdict) -> Verdict:
        """The verdict on a new order."""
        if isinstance(verdict, RequestRejected) and self._session.errors.is_of_other_request(
            verdict
        ):
            return OutcomeUnknown(verdict.detail)
        if isinstance(verdict, RequestAccepted) and not verdict.venue_order_id:
            return OutcomeUnknown("the answer has no order id")
        return verdict

    async def _find(self, key: OrderKey, priority: Priority) -> VenueOrder | None:
        try:
            return await self._ask(priority, self._account.find, key)
        except OrderNotFound:
            return None

    async def _named(self, key: OrderKey, priority: Priority) -> OrderKey:
        """The key with the venue's id, where the venue needs it. Raises OrderNotFound."""
        if key.venue_order_id or not self._api.needs_venue_order_id:
            return key
        order = await self._find(key, priority)
        if order is None:
            raise OrderNotFound(key.client_order_id)
        return OrderKey(key.symbol, key.client_order_id, order.venue_order_id)

    async def _check_amendment(
        self, key: OrderKey, request: OrderRequest, priority: Priority
    ) -> None:
        """Raises UnsupportedRequest."""
        if not self.capabilities.amends_to_smaller_only:
            return
        order = await self._find(key, priority)
        if order is not None and (order.price != request.price or order.size <= request.size):
            raise UnsupportedRequest("the venue amends an order to a smaller size only")

    def _cancel_each(
        self, open_orders: Sequence[VenueOrder], symbol: str
    ) -> list[list[OrderApiRequest]]:
        """The requests that cancel these orders: symbol by symbol where the venue can cancel all
        of a symbol, otherwise one by one."""
        groups: list[list[OrderApiRequest]] = []
        for one in sorted({order.symbol for order in open_orders}):
            of_symbol = self._orders.cancel_all(one) if not symbol else ()
            groups += [[request] for request in of_symbol] or [
                list(self._orders.cancel(_key(order)))
                for order in open_orders
                if order.symbol == one
            ]
        return groups

    async def _send(
        self, requests: Callable[[], Awaitable[Sequence[OrderApiRequest]]], priority: Priority
    ) -> Verdict:
        """Do something, once. What fails before a request is sent has done nothing."""
        try:
            await self._prepare(priority)
            chosen = await requests()
        except OrderNotFound as error:
            return RequestRejected(orders_pb2.REJECT_REASON_OTHER, f"no such order: {error}")
        except UnsupportedRequest as error:
            return RequestRejected(orders_pb2.REJECT_REASON_NOT_SUPPORTED, str(error))
        except RateLimited as error:
            return RequestRejected(orders_pb2.REJECT_REASON_RATE_LIMIT, error.message)
        except UnknownInstrument as error:
            return RequestRejected(orders_pb2.REJECT_REASON_INSTRUMENT, error.message)
        except VenuemeshError as error:
            return RequestRejected(
                orders_pb2.REJECT_REASON_NEVER_ARRIVED, f"not sent: {error.message}"
            )
        return await self._try(chosen, priority)

    async def _try(self, requests: Sequence[OrderApiRequest], priority: Priority) -> Verdict:
        """Send one request after the other until one finds the order."""
        send = self._session.send if self.socket is None else self.socket.send
        verdict: Verdict = OutcomeUnknown("nothing was sent")
        for request in requests:
            verdict = await send(request, priority, self._orders.verdict)
            if not self._session.errors.is_not_found(verdict):
                break
        return verdict

    async def _prepare(self, priority: Priority) -> None:
        if not self._is_prepared:
            await self._read(self._api.prepare(RestQuerySession(self._session, priority)))
            self._is_prepared = True

    async def _can_prepare(self, priority: Priority) -> bool:
        """Whether requests can be made. If not, a call for a single order returns the reason."""
        try:
            await self._prepare(priority)
        except VenuemeshError:
            return False
        return True

    async def _ask(
        self,
        priority: Priority,
        question: Callable[Concatenate[RestQuerySession, P], Awaitable[AnswerT]],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> AnswerT:
        await self._prepare(priority)
        queries = RestQuerySession(self._session, priority)
        return await self._read(question(queries, *arguments, **named))

    async def _read(self, question: Awaitable[AnswerT]) -> AnswerT:
        try:
            return await question
        except UNREADABLE as error:
            raise self._session.unreadable(error) from error


def _new_key(request: OrderRequest) -> OrderKey:
    return OrderKey(request.symbol, request.client_order_id, "")


def _send_by_s(request: OrderRequest) -> float:
    """The time of the event loop after which a request must not be sent; 0: none."""
    within_s = request.send_within_s
    return asyncio.get_running_loop().time() + within_s if within_s else 0


def _key(order: VenueOrder) -> OrderKey:
    return OrderKey(order.symbol, order.client_order_id, order.venue_order_id)


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Of several verdicts: an unknown outcome first, then a rejection."""
    worst: Verdict = RequestAccepted("")
    for verdict in verdicts:
        if isinstance(verdict, OutcomeUnknown):
            return verdict
        if isinstance(verdict, RequestRejected):
            worst = verdict
    return worst


def _fill_ids(fill: VenueFill) -> tuple[str, str, str, str]:
    return fill.symbol, fill.fill_id, fill.venue_order_id, fill.client_order_id


def _by_time_and_id(fill: VenueFill) -> tuple[int, int, str]:
    if fill.fill_id.isdecimal():
        return fill.venue_time_ns, int(fill.fill_id), ""
    return fill.venue_time_ns, 0, fill.fill_id
