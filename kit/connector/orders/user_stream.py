"""What happens to an account, over the sockets of ccxt.pro.

ccxt connects, signs in, subscribes and answers pings. What the venue then tells is taken off the
wire before ccxt sees it: ccxt would make floats of the amounts, keep caches that lose what comes in
a burst, tell of a change only while somebody waits for it, and stop receiving in silence when it
does not understand a message. A message that it cannot handle ends the socket here, in the open.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from kit.base import backoff, telemetry
from kit.connector.orders.rest_session import UNREADABLE, RestSession, classes_of, exact
from kit.execution.contract import AccountEvent, StreamInterrupted

EVENTS_MAX = 10_000
"""That may wait for whoever follows. What is too much ends the connection, which says Lost."""
READY_S = 20.0
"""For all subscriptions of a connection to be taken."""

Watch = Callable[[], Coroutine[Any, Any, Any]]

_log = telemetry.logger("kit.connector.orders.user_stream")


@dataclass(frozen=True, slots=True)
class Taken:
    """A subscription was taken; ``name`` says which, so that one that is told twice counts once."""

    name: str


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The venue has given the connection up, or the subscription."""

    words: str


@dataclass(frozen=True, slots=True)
class LoginRejected:
    """The venue does not take the key."""

    words: str


Heard = Sequence[AccountEvent] | Taken | StreamClosed | LoginRejected | None
"""None: nothing about the account; it is for ccxt."""


class UserStreamDecoder(Protocol):
    """How a venue tells what happens to an account."""

    @property
    def subscriptions(self) -> int:
        """How many are Taken before all is heard; 0: all is from the connection on."""

    def watches(self, api: Any) -> Sequence[Watch]:
        """Methods of ccxt.pro that subscribe. They are called at once, and never answer."""

    def hear(self, message: Any) -> Heard:
        """What a message says. Raises LookupError, ValueError and the like where it is broken."""


@dataclass(slots=True)
class _Connection:
    """One time that all sockets were made."""

    taken: set[str]
    ready: asyncio.Event
    broken: asyncio.Future[str]
    denied: str = ""

    def end(self, words: str) -> None:
        if not self.broken.done():
            self.broken.set_result(words)


class UserStream:
    """The events of one account."""

    def __init__(self, line: RestSession, hearing: UserStreamDecoder) -> None:
        self._line = line
        self._hearing = hearing
        self._connection: _Connection | None = None
        self._words = "the stream begins"
        """Why what was before this connection may not have been heard."""
        self._queue: asyncio.Queue[AccountEvent] = asyncio.Queue()

    async def events(self) -> AsyncIterator[AccountEvent]:
        """Endless. Each connection begins with Lost, the first one too: what was before it was
        not heard. Raises CredentialsRefused."""
        _guard(self._line.api, self._take)
        keeping = asyncio.create_task(self._keep())
        getting: asyncio.Future[AccountEvent] | None = None
        try:
            while True:
                getting = asyncio.ensure_future(self._queue.get())
                waited: set[asyncio.Future[Any]] = {getting, keeping}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    yield getting.result()
                else:
                    keeping.result()
        finally:
            if getting is not None:
                getting.cancel()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self) -> None:
        """Connect again and again. Raises CredentialsRefused."""
        waits = backoff.delays()
        while True:
            connection = _Connection(set(), asyncio.Event(), asyncio.Future())
            self._connection = connection
            watching = [
                asyncio.create_task(self._watch(watch, connection))
                for watch in self._hearing.watches(self._line.api)
            ]
            try:
                if await self._become_ready(connection):
                    waits = backoff.delays()
                words = await connection.broken
            finally:
                self._connection = None
                _break_all(self._line.api, "begun anew")
                for task in watching:
                    task.cancel()
                results = await asyncio.gather(*watching, return_exceptions=True)
            for result in results:
                if "AuthenticationError" in classes_of(_exception(result)):
                    raise self._line.refused(str(result))
            if connection.denied:
                raise self._line.refused(connection.denied)
            _log.warning("lost", extra={"venue": self._line.venue_id, "reason": words})
            self._words = words
            await asyncio.sleep(next(waits))

    async def _become_ready(self, connection: _Connection) -> bool:
        ready = asyncio.ensure_future(connection.ready.wait())
        waited: set[asyncio.Future[Any]] = {ready, connection.broken}
        await asyncio.wait(waited, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not connection.ready.is_set():
            connection.end("the subscriptions were not taken")
        return connection.ready.is_set()

    async def _watch(self, watch: Watch, connection: _Connection) -> None:
        try:
            await watch()
            connection.end("ccxt has stopped to watch")
        except asyncio.CancelledError:
            connection.end("ccxt has closed the socket")
            raise
        except Exception as error:
            connection.end(repr(error)[:300])
            raise

    def _take(self, client: Any, data: str | None) -> bool:
        """A text has come (None: a connection). Returns whether that was all that it is for."""
        connection = self._connection
        if connection is None:
            return False
        heard = self._hear(data)
        if isinstance(heard, StreamClosed | LoginRejected):
            connection.denied = heard.words if isinstance(heard, LoginRejected) else ""
            _break_socket(client, heard.words)
            connection.end(heard.words)
            return True
        if isinstance(heard, Taken):
            connection.taken.add(heard.name)
        complete = len(connection.taken) >= self._hearing.subscriptions
        if complete and not connection.ready.is_set():
            connection.ready.set()
            self._queue.put_nowait(StreamInterrupted(self._words))
        if heard is None or isinstance(heard, Taken):
            return False
        for event in heard:
            self._queue.put_nowait(event)
        if self._queue.qsize() > EVENTS_MAX:
            connection.end("nobody reads what happens")
        return True

    def _hear(self, data: str | None) -> Heard:
        if not data or data[0] not in "{[":
            return None
        try:
            return self._hearing.hear(exact.decode(data))
        except UNREADABLE as error:
            return StreamClosed(f"a message that cannot be read: {error!r}"[:300])


Take = Callable[[Any, str | None], bool]


def _guard(api: Any, take: Take) -> None:
    """Have every socket of ccxt tell what comes."""
    made = type(api).client

    def client(url: str) -> Any:
        socket = made(api, url)
        if "handle_text_or_binary_message" not in vars(socket):
            handle = socket.handle_text_or_binary_message
            socket.handle_text_or_binary_message = partial(_handle, socket, handle, take)
        return socket

    def connected(socket: Any, message: Any = None) -> None:
        type(api).on_connected(api, socket, message)
        take(socket, None)

    api.client = client
    api.on_connected = connected


def _handle(client: Any, handle: Callable[[Any], None], take: Take, data: Any) -> None:
    if client.error is not None:
        return
    text = data.decode() if isinstance(data, bytes) else data
    try:
        if not take(client, text):
            handle(data)
    except Exception as error:  # whatever ccxt's handlers raise
        _break_socket(client, f"a message could not be handled: {error!r}"[:300])


def _break_all(api: Any, words: str) -> None:
    for client in list((api.clients or {}).values()):
        _break_socket(client, words)


def _break_socket(client: Any, words: str) -> None:
    """End a socket, so that everyone who waits for it hears of it. ccxt's own ``close`` would
    cancel them instead."""
    from ccxt.base.errors import NetworkError

    if client.error is None:
        waiting = list(client.futures.values())
        client.on_error(NetworkError(words))
        for future in waiting:
            if future.done() and not future.cancelled():
                future.exception()  # some have nobody who waits, of which asyncio would complain


def _exception(result: object) -> BaseException | None:
    return result if isinstance(result, BaseException) else None
