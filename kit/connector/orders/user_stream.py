"""The events of an account, over the sockets of ccxt.pro.

ccxt connects, logs in, subscribes and answers pings. The venue's messages are taken off the wire
before ccxt sees them: ccxt would turn amounts into floats, keep caches that lose part of a burst,
report a change only while somebody waits for it, and stop receiving without an error when it cannot
parse a message. A message that cannot be handled here closes the socket with a logged reason.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from kit.base import backoff, telemetry
from kit.connector.orders.rest_session import UNREADABLE, RestSession, class_names, exact
from kit.execution.contract import AccountEvent, StreamInterrupted

EVENTS_MAX = 10_000
"""Events that may wait for the reader. More of them end the connection, and StreamInterrupted
follows."""
READY_S = 20.0
"""Time for the venue to confirm all subscriptions of a connection."""

Subscription = Callable[[], Coroutine[Any, Any, Any]]

_log = telemetry.logger("kit.connector.orders.user_stream")


@dataclass(frozen=True, slots=True)
class SubscriptionConfirmed:
    """The venue confirmed a subscription. One that is confirmed twice counts once, by ``name``."""

    name: str


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The venue has ended the connection, or the subscription."""

    reason: str


@dataclass(frozen=True, slots=True)
class LoginRejected:
    """The venue rejects the key."""

    reason: str


StreamMessage = Sequence[AccountEvent] | SubscriptionConfirmed | StreamClosed | LoginRejected | None
"""None: no account event; the message is for ccxt."""


class UserStreamDecoder(Protocol):
    """The messages of a venue's account stream."""

    @property
    def subscription_count(self) -> int:
        """Subscribed messages before the stream is complete; 0: it is complete when connected."""

    def subscriptions(self, exchange: Any) -> Sequence[Subscription]:
        """Return calls of ccxt.pro that subscribe. They are made at once, and never return."""

    def decode(self, message: Any) -> StreamMessage:
        """Return what a message means. Raises LookupError, ValueError and the like for a message
        that is not as it should be."""


@dataclass(slots=True)
class _Connection:
    """All sockets of one attempt to follow the account."""

    subscribed: set[str]
    ready: asyncio.Event
    broken: asyncio.Future[str]
    login_rejected: str = ""

    def end(self, reason: str) -> None:
        if not self.broken.done():
            self.broken.set_result(reason)


class UserStream:
    """The events of one account."""

    def __init__(self, session: RestSession, decoder: UserStreamDecoder) -> None:
        self._session = session
        self._decoder = decoder
        self._connection: _Connection | None = None
        self._interrupted_by = "the stream starts"
        """Why events from before this connection may have been missed."""
        self._queue: asyncio.Queue[AccountEvent] = asyncio.Queue()

    async def events(self) -> AsyncIterator[AccountEvent]:
        """Yield events endlessly. Each connection begins with StreamInterrupted, the first one too.
        Raises CredentialsRejected."""
        _intercept(self._session.exchange, self._handle)
        connecting = asyncio.create_task(self._stay_connected())
        getting: asyncio.Future[AccountEvent] | None = None
        try:
            while True:
                getting = asyncio.ensure_future(self._queue.get())
                waited: set[asyncio.Future[Any]] = {getting, connecting}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                else:
                    connecting.result()
        finally:
            if getting is not None:
                getting.cancel()
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    async def _stay_connected(self) -> None:
        """Connect again and again. Raises CredentialsRejected."""
        delays = backoff.delays()
        while True:
            if self._session.budget is not None:
                await self._session.budget.ban_ended()
            connection = _Connection(set(), asyncio.Event(), asyncio.Future())
            self._connection = connection
            subscribing = [
                asyncio.create_task(self._subscribe(subscription, connection))
                for subscription in self._decoder.subscriptions(self._session.exchange)
            ]
            try:
                if await self._become_ready(connection):
                    delays = backoff.delays()
                reason = await connection.broken
            finally:
                self._connection = None
                _break_all(self._session.exchange, "reconnecting")
                for task in subscribing:
                    task.cancel()
                results = await asyncio.gather(*subscribing, return_exceptions=True)
            for result in results:
                if "AuthenticationError" in class_names(_exception(result)):
                    raise self._session.credentials_rejected(str(result))
            if connection.login_rejected:
                raise self._session.credentials_rejected(connection.login_rejected)
            _log.warning(
                "stream interrupted", extra={"venue": self._session.venue_id, "reason": reason}
            )
            self._interrupted_by = reason
            await asyncio.sleep(next(delays))

    async def _become_ready(self, connection: _Connection) -> bool:
        ready = asyncio.ensure_future(connection.ready.wait())
        waited: set[asyncio.Future[Any]] = {ready, connection.broken}
        await asyncio.wait(waited, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not connection.ready.is_set():
            connection.end("the venue did not confirm the subscriptions")
        return connection.ready.is_set()

    async def _subscribe(self, subscription: Subscription, connection: _Connection) -> None:
        try:
            await subscription()
            connection.end("ccxt ended the subscription")
        except asyncio.CancelledError:
            connection.end("ccxt closed the socket")
            raise
        except Exception as error:
            connection.end(repr(error)[:300])
            raise

    def _handle(self, client: Any, text: str | None) -> bool:
        """Handle a message (None: a new connection). Returns False when ccxt must handle it."""
        connection = self._connection
        if connection is None:
            return False
        message = self._decode(text)
        if isinstance(message, StreamClosed | LoginRejected):
            connection.login_rejected = message.reason if isinstance(message, LoginRejected) else ""
            _break_socket(client, message.reason)
            connection.end(message.reason)
            return True
        if isinstance(message, SubscriptionConfirmed):
            connection.subscribed.add(message.name)
        complete = len(connection.subscribed) >= self._decoder.subscription_count
        if complete and not connection.ready.is_set():
            connection.ready.set()
            self._queue.put_nowait(StreamInterrupted(self._interrupted_by))
        if message is None or isinstance(message, SubscriptionConfirmed):
            return False
        for event in message:
            self._queue.put_nowait(event)
        if self._queue.qsize() > EVENTS_MAX:
            connection.end(f"more than {EVENTS_MAX} events wait to be read")
        return True

    def _decode(self, text: str | None) -> StreamMessage:
        if not text or text[0] not in "{[":
            return None
        try:
            return self._decoder.decode(exact.decode(text))
        except UNREADABLE as error:
            return StreamClosed(f"unreadable message: {error!r}"[:300])


MessageHandler = Callable[[Any, str | None], bool]


def _intercept(exchange: Any, handle: MessageHandler) -> None:
    """Have every socket of ccxt give its messages to ``handle`` first."""
    make_client = type(exchange).client

    def client(url: str) -> Any:
        socket = make_client(exchange, url)
        if "handle_text_or_binary_message" not in vars(socket):
            ccxt_handler = socket.handle_text_or_binary_message
            socket.handle_text_or_binary_message = partial(
                _handle_first, socket, ccxt_handler, handle
            )
        return socket

    def connected(socket: Any, message: Any = None) -> None:
        type(exchange).on_connected(exchange, socket, message)
        handle(socket, None)

    exchange.client = client
    exchange.on_connected = connected


def _handle_first(
    client: Any, ccxt_handler: Callable[[Any], None], handle: MessageHandler, data: Any
) -> None:
    if client.error is not None:
        return
    text = data.decode() if isinstance(data, bytes) else data
    try:
        if not handle(client, text):
            ccxt_handler(data)
    except Exception as error:  # any that ccxt's handlers raise
        _break_socket(client, f"a message could not be handled: {error!r}"[:300])


def _break_all(exchange: Any, reason: str) -> None:
    for client in list((exchange.clients or {}).values()):
        _break_socket(client, reason)


def _break_socket(client: Any, reason: str) -> None:
    """End a socket with an error for everyone who waits for it. ccxt's own ``close`` would cancel
    them instead."""
    from ccxt.base.errors import NetworkError

    if client.error is None:
        waiting = list(client.futures.values())
        client.on_error(NetworkError(reason))
        for future in waiting:
            if future.done() and not future.cancelled():
                future.exception()  # asyncio would report futures that nobody awaits


def _exception(result: object) -> BaseException | None:
    return result if isinstance(result, BaseException) else None
