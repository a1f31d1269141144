"""Orders over a venue's order websocket.

The socket connects when the account is followed, and again after every disconnect; the key logs in
where the venue wants it. ccxt supplies addresses and keys, and is not on the order's
way: a request is encoded by the venue's codec and written at once.

While the socket is not open, requests go by REST: nothing was sent then. A request that was written
and has no answer, because none came in time or because the connection was lost, has an unknown
outcome. It is sent again neither here nor by REST.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base import telemetry
from kit.base.clock import Clock, SystemClock
from kit.base.errors import RateLimited, VenuemeshError
from kit.base.request_budget import Priority, Scope, turn
from kit.base.websocket import Websocket
from kit.connector.orders.errors import DETAIL_MAX
from kit.connector.orders.rest_session import (
    ERROR_STATUS,
    TIMEOUT_MS,
    UNREADABLE,
    OrderApiRequest,
    RestQuerySession,
    RestSession,
    exact,
)
from kit.connector.orders.user_stream import LoginRejected, StreamClosed
from kit.connector.rest import retry_after
from kit.execution.contract import OutcomeUnknown, RequestRejected, Verdict

PING_S = 10.0
SILENCE_S = 25.0
"""A connection on which nothing arrived for so long, not even a pong, is replaced."""
TIMEOUT_S = TIMEOUT_MS / 1000
LIFETIME_S = 23 * 3600.0
"""Venues close a connection after a day; this side does before, when no answer is awaited."""
LOGIN_RETRY_S = 60.0
"""Before the next attempt after the venue has rejected the key."""
PENDING_MAX = 1_000
"""Calls without an answer; cancels and protective orders have no bound."""

_log = telemetry.logger("kit.connector.orders.order_socket")


@dataclass(frozen=True, slots=True)
class LoginAccepted:
    """The key has logged in; orders may be sent."""


@dataclass(frozen=True, slots=True)
class OrderSocketReply:
    """The answer to a request."""

    number: int
    """The request's number."""
    body: Any
    """What REST answers to the same request, errors included."""
    status: int = 200
    """The HTTP status, where the venue states one."""
    retry_after_s: float = 0
    """How long calls must be suspended, if the venue states it."""


SocketMessage = OrderSocketReply | LoginAccepted | LoginRejected | StreamClosed | None
"""StreamClosed: the venue is about to end the connection. None: a message of no interest here."""


class OrderSocketCodec(Protocol):
    """The messages of a venue's order websocket."""

    ping: str
    """The message that keeps the connection alive; empty: a ping frame is enough."""

    def url(self, exchange: Any) -> str:
        """Return the address; ``exchange``: ccxt's object, which knows addresses and keys."""

    async def login(self, queries: RestQuerySession) -> Sequence[str]:
        """Return the messages that log in, until the venue confirms with LoginAccepted. Empty:
        orders may be sent at once."""

    def encode(self, exchange: Any, number: int, operation: str, params: Any) -> str:
        """Return a request, signed; its answer carries ``number``."""

    def decode(self, message: Any) -> SocketMessage:
        """Return what a message means. Raises LookupError, ValueError and the like for a message
        that is not as it should be."""


class OrderSocket:
    """The order websocket of one account."""

    def __init__(
        self, session: RestSession, codec: OrderSocketCodec, clock: Clock | None = None
    ) -> None:
        self._session = session
        self._codec = codec
        self._clock = clock or SystemClock()
        self._socket: Websocket | None = None
        self._connecting: asyncio.Task[None] | None = None
        """Keeps a connection, for as long as this is open."""
        self._keeping_alive: asyncio.Task[None] | None = None
        """Logs in and pings on the current connection."""
        self._pending: dict[int, asyncio.Future[OrderSocketReply | str]] = {}
        """Requests that were written, by number: the answer, or why there is none."""
        self._number = 0
        self._is_retiring = self._was_rejected = False
        self.ready = asyncio.Event()
        """Set while orders can be sent."""

    def start(self) -> None:
        """Connect, and stay connected. A second call does nothing."""
        if self._socket is not None:
            return
        url = self._codec.url(self._session.exchange)
        ping_s = None if self._codec.ping else PING_S
        self._socket = Websocket(url, self, self._clock, ping_s, SILENCE_S, self._may_connect)
        self._connecting = asyncio.create_task(self._socket.run())

    async def close(self) -> None:
        self.ready.clear()
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
            self.closed("the client was closed")

    async def send(
        self, request: OrderApiRequest, priority: Priority, read: Callable[[Any], Verdict]
    ) -> Verdict:
        """Send a request that changes something, once: here, or by REST when it cannot be sent
        here. ``read`` makes a verdict of the answer."""
        if request.operation and self.ready.is_set():
            verdict = await self._send_in_turn(request, priority, read)
            is_corrected = verdict is not None and await self._session.correct_clock(verdict)
            # To cancel twice does no harm.
            if verdict is not None and not (is_corrected and priority is Priority.CANCEL):
                return verdict
        return await self._session.send(request, priority, read)

    async def _send_in_turn(
        self, request: OrderApiRequest, priority: Priority, read: Callable[[Any], Verdict]
    ) -> Verdict | None:
        """Send a request here; None if the connection was lost before its turn."""
        scope = Scope.CANCEL if priority is Priority.CANCEL else Scope.ORDER_ENTRY
        try:
            async with turn(self._session.budget, priority, scope):
                if (late := request.too_late()) is not None:
                    return late
                if self.ready.is_set():
                    if len(self._pending) >= PENDING_MAX and priority > Priority.PROTECT:
                        text = "too many calls have no answer"
                        return RequestRejected(orders_pb2.REJECT_REASON_RATE_LIMIT, text)
                    return await self._send(request, scope, read)
        except RateLimited as error:
            return RequestRejected(orders_pb2.REJECT_REASON_RATE_LIMIT, error.message)
        return None

    def opened(self, socket: Websocket) -> None:
        """Log in on a new connection."""
        self._is_retiring = False
        self._keeping_alive = asyncio.create_task(self._keep_alive(socket))

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        """Handle messages of the venue."""
        for payload in payloads:
            try:
                message = self._codec.decode(exact.decode(payload)) if payload[:1] == b"{" else None
            except UNREADABLE as error:
                text = payload[:DETAIL_MAX].decode(errors="replace")
                _log.warning("unreadable message", extra={"detail": repr(error), "text": text})
                continue
            match message:
                case OrderSocketReply():
                    self._resolve(message.number, message)
                case LoginAccepted():
                    self._become_ready()
                case LoginRejected():
                    self._was_rejected = True
                    self._retire(message.reason)
                case StreamClosed():
                    self._retire(message.reason)

    def closed(self, reason: str) -> None:
        """Resolve what was written and has no answer: the connection is lost."""
        if self.ready.is_set():
            _log.warning(
                "connection lost", extra={"venue": self._session.venue_id, "reason": reason}
            )
        self.ready.clear()
        if self._keeping_alive is not None:
            self._keeping_alive.cancel()
        for number in list(self._pending):
            self._resolve(number, f"the connection was lost before the answer came: {reason}")

    async def _send(
        self, request: OrderApiRequest, scope: Scope, read: Callable[[Any], Verdict]
    ) -> Verdict:
        assert self._socket is not None
        self._number = number = self._number + 1
        own = request.socket_params
        params = request.params if own is None else own
        try:
            text = self._codec.encode(self._session.exchange, number, request.operation, params)
        except UNREADABLE as error:
            return RequestRejected(
                orders_pb2.REJECT_REASON_OTHER, f"not sent: {error!r}"[:DETAIL_MAX]
            )
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[OrderSocketReply | str] = loop.create_future()
        self._pending[number] = answered
        expires = loop.call_later(TIMEOUT_S, self._resolve, number, f"no answer in {TIMEOUT_S:g} s")
        self._socket.send(text)
        try:
            answer = await answered
        finally:
            expires.cancel()
            self._pending.pop(number, None)
            if self._is_retiring and not self._pending:
                self._socket.drop()
        if isinstance(answer, str):
            return OutcomeUnknown(answer)
        return self._verdict(answer, scope, read)

    def _resolve(self, number: int, answer: OrderSocketReply | str) -> None:
        answered = self._pending.pop(number, None)
        if answered is not None and not answered.done():
            answered.set_result(answer)

    def _verdict(
        self, answer: OrderSocketReply, scope: Scope, read: Callable[[Any], Verdict]
    ) -> Verdict:
        """An error means what it means over REST."""
        try:
            error = self._session.errors.find_error(answer.body)
            if error is None and answer.status < ERROR_STATUS:
                return read(answer.body)
        except UNREADABLE as unreadable:
            return OutcomeUnknown(f"the answer cannot be read: {unreadable!r}"[:DETAIL_MAX])
        retry_after_s = math.ceil(answer.retry_after_s)
        headers = {"Retry-After": str(retry_after_s)} if retry_after_s else {}
        body = msgspec.json.encode(answer.body).decode()
        retry_after.observe(self._session.budget, scope, answer.status, headers, body)
        verdict = self._session.errors.verdict(answer.status, error, body)
        if (
            isinstance(verdict, RequestRejected)
            and verdict.reason == orders_pb2.REJECT_REASON_RATE_LIMIT
        ):
            retry_after.suspension_s(self._session.budget, scope)
        return verdict

    async def _keep_alive(self, socket: Websocket) -> None:
        """Log in, and ping until the connection is old."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                queries = RestQuerySession(self._session, Priority.PROTECT)
                messages = await self._codec.login(queries)
                for text in messages:
                    socket.send(text)
                if not messages:
                    self._become_ready()
                await self.ready.wait()
        except (VenuemeshError, TimeoutError, *UNREADABLE) as error:
            self._retire(f"not logged in: {error!r}"[:DETAIL_MAX])
        for _ in range(round(LIFETIME_S / PING_S)):
            await self._clock.sleep(PING_S)
            if self._codec.ping:
                socket.send(self._codec.ping)
        self._retire("the connection has reached its lifetime")

    def _become_ready(self) -> None:
        if not self._is_retiring:
            _log.info("connected", extra={"venue": self._session.venue_id})
            self._was_rejected = False
            self.ready.set()

    def _retire(self, reason: str) -> None:
        """Send no more requests here; those without an answer may still get it."""
        _log.warning(
            "connection retired", extra={"venue": self._session.venue_id, "reason": reason}
        )
        self.ready.clear()
        self._is_retiring = True
        if not self._pending and self._socket is not None:
            self._socket.drop()

    async def _may_connect(self) -> None:
        if self._was_rejected:
            await self._clock.sleep(LOGIN_RETRY_S)
        if self._session.budget is not None:
            await self._session.budget.ban_ended()
