"""Orders over the websocket that a venue takes them on.

The socket is made when the account starts, and again whenever it was cut; where the venue wants it,
the key signs in. ccxt gives addresses, keys and its words for errors, and is not on an order's way:
the text of a request is made of the desk's own words and written at once.

While it is not open, calls go by REST: nothing was sent then. What was written and has no answer,
because none came in time or because the socket was cut, may have been done: it is unclear, and is
sent again neither here nor by REST.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base import telemetry
from kit.base.clock import Clock, SystemClock
from kit.base.errors import RateLimited, VenuemeshError
from kit.base.request_budget import spending
from kit.base.websocket import Websocket
from kit.connector.orders.errors import WORDS_MAX
from kit.connector.orders.rest_session import TIMEOUT_MS, UNREADABLE, Call, RestSession, exact
from kit.connector.orders.user_stream import LoginRejected, StreamClosed
from kit.connector.rest import retry_after
from kit.execution.contract import OutcomeUnknown, Rejected, Verdict

PING_S = 10.0
SILENCE_S = 25.0
"""A socket on which nothing came for so long, not even what answers a ping, is made anew."""
TIMEOUT_S = TIMEOUT_MS / 1000
LIFETIME_S = 23 * 3600.0
"""Venues end a connection after a day; this side does before, when nothing is under way."""
DENIED_S = 60.0
"""To the next try when the venue does not take the key."""
PENDING_MAX = 1_000
ERROR_STATUS = 400

_log = telemetry.logger("kit.connector.orders.order_socket")


@dataclass(frozen=True, slots=True)
class SocketRequest:
    """The key has signed in."""


@dataclass(frozen=True, slots=True)
class SocketReply:
    """To a request."""

    number: int
    """Of the request."""
    body: Any
    """As REST answers the same call, errors too."""
    status: int = 200
    """As over HTTP, where the venue says one."""
    retry_after_s: float = 0
    """For how long it wants to be left alone, where it says so."""


Spoken = SocketReply | SocketRequest | LoginRejected | StreamClosed | None
"""Ended: the venue is about to end the connection. None: nothing that matters here."""


class OrderSocketCodec(Protocol):
    """How orders are said over a venue's websocket. Pure but for ``enter``."""

    ping: str
    """What keeps the connection alive, where that is a message; empty: a ping of websockets."""

    def url(self, api: Any) -> str:
        """Of the socket; ``api``: ccxt's object, which knows addresses and keys."""

    async def enter(self, line: RestSession) -> Sequence[str]:
        """What is said first, until Entered is heard. Nothing: orders may be sent at once."""

    def say(self, api: Any, number: int, operation: str, params: Any) -> str:
        """A request, signed; its answer has the number."""

    def hear(self, message: Any) -> Spoken:
        """What a message says. Raises LookupError, ValueError and the like where it is broken."""


class OrderSocket:
    """One account's."""

    def __init__(
        self, line: RestSession, speaking: OrderSocketCodec, clock: Clock | None = None
    ) -> None:
        self._line = line
        self._speaking = speaking
        self._clock = clock or SystemClock()
        self._socket: Websocket | None = None
        self._keeping: asyncio.Task[None] | None = None
        """Makes the connection, again and again."""
        self._living: asyncio.Task[None] | None = None
        """Of the connection that is."""
        self._pending: dict[int, asyncio.Future[SocketReply | str]] = {}
        """What was written, by number: the answer, or why there is none."""
        self._number = 0
        self._is_leaving = self._was_denied = False
        self.ready = asyncio.Event()
        """Set while orders can be sent."""

    def start(self) -> None:
        """Connect, and stay connected. Once more does nothing."""
        if self._socket is not None:
            return
        url = self._speaking.url(self._line.api)
        ping_s = None if self._speaking.ping else PING_S
        self._socket = Websocket(url, self, self._clock, ping_s, SILENCE_S, self._may_connect)
        self._keeping = asyncio.create_task(self._socket.run())

    async def close(self) -> None:
        """End the connection."""
        self.ready.clear()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self.closed("the desk is closed")

    async def act(self, call: Call, read: Callable[[Any], Verdict]) -> Verdict:
        """Make a call that does something, once: here, or by REST when it cannot be sent here.
        ``read`` makes a receipt of the answer."""
        if call.operation and self.ready.is_set():
            account = spending()
            if account is None:
                return await self._act(call, read)
            try:
                async with account.budget.turn(account.priority):
                    # The socket may have been cut while this call waited for its turn.
                    if self.ready.is_set():
                        return await self._act(call, read)
            except RateLimited as error:
                return Rejected(orders_pb2.REJECT_REASON_RATE_LIMIT, error.message)
        return await self._line.act(call, read)

    def opened(self, socket: Websocket) -> None:
        """Connected."""
        self._is_leaving = False
        self._living = asyncio.create_task(self._live(socket))

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        """The venue has said something."""
        for payload in payloads:
            try:
                said = self._speaking.hear(exact.decode(payload)) if payload[:1] == b"{" else None
            except UNREADABLE as error:
                text = payload[:WORDS_MAX].decode(errors="replace")
                _log.warning("not understood", extra={"detail": repr(error), "text": text})
                continue
            match said:
                case SocketReply():
                    self._end(said.number, said)
                case SocketRequest():
                    self._enter()
                case LoginRejected():
                    self._was_denied = True
                    self._leave(said.words)
                case StreamClosed():
                    self._leave(said.words)

    def closed(self, reason: str) -> None:
        """Cut: what has no answer gets none."""
        if self.ready.is_set():
            _log.warning("lost", extra={"venue": self._line.venue_id, "reason": reason})
        self.ready.clear()
        if self._living is not None:
            self._living.cancel()
        for number in list(self._pending):
            self._end(number, f"the connection was cut before the answer came: {reason}")

    async def _act(self, call: Call, read: Callable[[Any], Verdict]) -> Verdict:
        assert self._socket is not None
        if len(self._pending) >= PENDING_MAX:
            return Rejected(orders_pb2.REJECT_REASON_RATE_LIMIT, "too many calls have no answer")
        self._number = number = self._number + 1
        params = call.params if call.said is None else call.said
        try:
            text = self._speaking.say(self._line.api, number, call.operation, params)
        except UNREADABLE as error:
            return Rejected(orders_pb2.REJECT_REASON_OTHER, f"not sent: {error!r}"[:WORDS_MAX])
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[SocketReply | str] = loop.create_future()
        self._pending[number] = answered
        expires = loop.call_later(TIMEOUT_S, self._end, number, f"no answer in {TIMEOUT_S:g} s")
        self._socket.send(text)
        try:
            answer = await answered
        finally:
            expires.cancel()
            self._pending.pop(number, None)
            if self._is_leaving and not self._pending:
                self._socket.drop()
        return OutcomeUnknown(answer) if isinstance(answer, str) else self._receipt(answer, read)

    def _end(self, number: int, answer: SocketReply | str) -> None:
        answered = self._pending.pop(number, None)
        if answered is not None and not answered.done():
            answered.set_result(answer)

    def _receipt(self, answer: SocketReply, read: Callable[[Any], Verdict]) -> Verdict:
        """An error is judged as it would be over REST."""
        try:
            said = self._line.errors.said(answer.body)
            if said is None and answer.status < ERROR_STATUS:
                return read(answer.body)
        except UNREADABLE as error:
            return OutcomeUnknown(f"an answer that cannot be read: {error!r}"[:WORDS_MAX])
        retry_s = {"Retry-After": str(math.ceil(answer.retry_after_s))}
        retry_after.heard(answer.status, retry_s if answer.retry_after_s else {})
        receipt = self._line.verdict(answer.status, answer.body)
        if isinstance(receipt, Rejected) and receipt.reason == orders_pb2.REJECT_REASON_RATE_LIMIT:
            retry_after.left_alone_s()
        return receipt

    async def _live(self, socket: Websocket) -> None:
        """Sign in, and keep the connection alive until it is old."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                words = await self._speaking.enter(self._line)
                for text in words:
                    socket.send(text)
                if not words:
                    self._enter()
                await self.ready.wait()
        except (VenuemeshError, TimeoutError, *UNREADABLE) as error:
            self._leave(f"not signed in: {error!r}"[:WORDS_MAX])
        for _ in range(round(LIFETIME_S / PING_S)):
            await self._clock.sleep(PING_S)
            if self._speaking.ping:
                socket.send(self._speaking.ping)
        self._leave("it is old")

    def _enter(self) -> None:
        if not self._is_leaving:
            _log.info("open", extra={"venue": self._line.venue_id})
            self._was_denied = False
            self.ready.set()

    def _leave(self, words: str) -> None:
        """Write nothing more; what has no answer may still get it."""
        _log.warning("left", extra={"venue": self._line.venue_id, "reason": words})
        self.ready.clear()
        self._is_leaving = True
        if not self._pending and self._socket is not None:
            self._socket.drop()

    async def _may_connect(self) -> None:
        if self._was_denied:
            await self._clock.sleep(DENIED_S)
