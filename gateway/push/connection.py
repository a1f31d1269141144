"""One client: its requests, its subscriptions, and what waits for its socket."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import grpc
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from gateway.push import messages
from gateway.push.channels import (
    CHANNELS,
    TopicKey,
    position_of,
    require_access,
    topic_key,
)
from gateway.push.encoding import Encoding
from gateway.push.messages import CLOSE_REASON_BYTES_MAX, ErrorFields, Message
from gateway.push.metrics import PushMetrics
from gateway.push.requests import Subscribe, Subscription, Unsubscribe, decode
from gateway.push.settings import PushSettings
from gateway.push.subscription import TopicReader
from gateway.push.topics import Topics
from gateway.push.updates import Position
from kit.base import telemetry
from kit.base.access.tokens import Caller
from kit.base.errors import (
    BadRequest,
    CallerLimited,
    InternalError,
    TooManySubscribers,
    VenuemeshError,
)

REFUSED = WSCloseCode.POLICY_VIOLATION
REQUESTS_WAITING_MAX = 32
REPLIES_WAITING_MAX = 1_000
"""Of a client that sends requests and does not read the answers."""

_log = telemetry.logger("push")


@dataclass(frozen=True, slots=True)
class ConnectionTerms:
    """What all connections of the process share."""

    topics: Topics
    settings: PushSettings
    metrics: PushMetrics


class Connection(WSListener):
    """The websocket of one client."""

    def __init__(
        self,
        terms: ConnectionTerms,
        caller: Caller,
        encoding: Encoding,
        serve: Callable[["Connection"], None],
    ) -> None:
        """``serve`` is called when the websocket is open."""
        self.caller = caller
        self.encoding = encoding
        self.is_writable = False
        self._terms = terms
        self._serve = serve
        self._transport: WSTransport | None = None
        self._write: Callable[[bytes], None] = lambda frame: None
        self._replies: deque[bytes] = deque()
        """What was to be written while the socket took nothing: answers and endings."""
        self._parts = bytearray()
        self._parts_encoding = Encoding.JSON
        self._requests: deque[Subscribe | Unsubscribe | VenuemeshError] = deque()
        self._arrived = asyncio.Event()
        self._readers: dict[TopicKey, TopicReader] = {}
        self.closed = asyncio.Event()

    def on_ws_connected(self, transport: WSTransport) -> None:
        settings = self._terms.settings
        self._transport = transport
        socket = transport.underlying_transport
        socket.set_write_buffer_limits(high=settings.write_buffer_bytes)
        self._write = socket.write
        self.is_writable = True
        interval_ms = int(settings.heartbeat_interval_s * 1000)
        self.send(messages.welcome(CHANNELS, interval_ms))
        self._serve(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        match frame.msg_type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.CONTINUATION:
                self._take_part(frame)
            case WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_writable = False
        self._write = lambda frame: None
        self._leave(tuple(self._readers.values()))
        self.closed.set()
        self._arrived.set()

    def pause_writing(self) -> None:
        self.is_writable = False

    def resume_writing(self) -> None:
        self.is_writable = True
        while self._replies and self.is_writable:
            self._write(self._replies.popleft())
        for reader in tuple(self._readers.values()):
            if not self.is_writable:
                return
            reader.wake()

    def write(self, frame: bytes) -> None:
        """Write a message of a topic. Only while the socket takes bytes."""
        self._write(frame)
        self._terms.metrics.sent()

    def send(self, message: Message) -> None:
        """Write an answer, or keep it until the socket takes bytes."""
        frame = self.encoding.frame(message)
        if self.is_writable and not self._replies:
            self._write(frame)
            return
        self._replies.append(frame)
        if len(self._replies) > REPLIES_WAITING_MAX:
            text = "the client does not read its answers"
            self.close(CallerLimited(text, limit=REPLIES_WAITING_MAX))

    def heartbeat(self, frame: bytes) -> None:
        """Write the heartbeat, unless the socket takes no bytes."""
        if self.is_writable:
            self._write(frame)

    def close(self, error: VenuemeshError, code: WSCloseCode = REFUSED) -> None:
        """End the connection. The reason of the websocket is that of the error."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        if self.is_writable:
            self._write(self.encoding.frame(messages.failure(messages.error_fields(error))))
        reason = f"{error.reason}: {error.message}".encode()[:CLOSE_REASON_BYTES_MAX]
        transport.send_close(code, reason.decode(errors="ignore").encode())
        transport.disconnect()

    async def serve(self) -> None:
        """Do what the client asks for, one request after the other, until it is gone."""
        while not self.closed.is_set():
            await self._arrived.wait()
            self._arrived.clear()
            while self._requests:
                await self._answer(self._requests.popleft())

    def ended(self, reader: TopicReader, position: Position | None, error: ErrorFields) -> None:
        """A subscription has ended by itself."""
        self._readers.pop(reader.key, None)
        self._terms.metrics.subscription_ended(error["details"][0]["reason"])
        self.send(messages.ended(reader.key.name, position, error))

    def _take_part(self, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.CONTINUATION:
            is_text = frame.msg_type is WSMsgType.TEXT
            self._parts_encoding = Encoding.JSON if is_text else Encoding.MSGPACK
            self._parts.clear()
        self._parts += frame.get_payload_as_memoryview()
        most = self._terms.settings.message_bytes_max
        if len(self._parts) > most:
            text = f"a message of {len(self._parts)} bytes: allowed are {most}"
            error = BadRequest(text, field="", value=len(self._parts), allowed=most)
            self.close(error, WSCloseCode.MESSAGE_TOO_BIG)
        elif frame.fin:
            self._take(bytes(self._parts))
            self._parts.clear()

    def _take(self, payload: bytes) -> None:
        request: Subscribe | Unsubscribe | VenuemeshError
        try:
            request = decode(payload, self._parts_encoding)
        except BadRequest as error:
            request = error
        self._requests.append(request)
        self._arrived.set()
        if len(self._requests) > REQUESTS_WAITING_MAX:
            text = f"{REQUESTS_WAITING_MAX} requests wait for their answers: send fewer at a time"
            self.close(CallerLimited(text, limit=REQUESTS_WAITING_MAX))

    async def _answer(self, request: Subscribe | Unsubscribe | VenuemeshError) -> None:
        try:
            match request:
                case Subscribe():
                    await self._subscribe(request)
                case Unsubscribe():
                    self._unsubscribe(request)
                case _:
                    self.send(messages.failure(messages.error_fields(request)))
        except (VenuemeshError, grpc.aio.AioRpcError) as error:
            self.send(messages.failure(messages.error_fields(error), _id_of(request)))
        except Exception:
            _log.exception("request failed")
            fault = messages.error_fields(InternalError("the request failed"))
            self.send(messages.failure(fault, _id_of(request)))

    async def _subscribe(self, request: Subscribe) -> None:
        wanted = [(one, topic_key(one)) for one in request.subscriptions]
        self._check(wanted)
        begun = [(key, position_of(one)) for one, key in wanted]
        readers: list[TopicReader] = []
        try:
            for key, position in begun:
                reader = await self._reader(key, position)
                readers.append(reader)
                self._readers[key] = reader
        except BaseException:
            self._leave(readers)
            raise
        if self.closed.is_set():
            self._leave(readers)
            return
        self.send(messages.subscribed(request.request_id, [key.name for key, _ in begun]))
        for reader in readers:
            reader.begin()

    def _leave(self, readers: Iterable[TopicReader]) -> None:
        for reader in readers:
            self._readers.pop(reader.key, None)
            reader.leave()

    def _check(self, wanted: Sequence[tuple[Subscription, TopicKey]]) -> None:
        """Raise for subscriptions that may not begin: all of a request begin, or none."""
        keys = [key for _, key in wanted]
        for key in keys:
            require_access(self.caller, key)
            if key in self._readers or keys.count(key) > 1:
                text = f"{key.name} is subscribed already: unsubscribe first"
                raise BadRequest(text, field="subscriptions", value=key.name, allowed="each once")
        most = self._terms.settings.subscriptions_max
        if len(self._readers) + len(keys) > most:
            raise TooManySubscribers(f"{most} subscriptions of one connection", limit=most)

    async def _reader(self, key: TopicKey, position: Position | None) -> TopicReader:
        topics = self._terms.topics
        first = None
        if position is None:
            first = await topics.shared(key).feed.snapshot()
            position = None if first is None else first.position
        if position is None:
            return TopicReader(self, topics.shared(key).topic)
        frame = None
        if first is not None:
            message = messages.snapshot(key.name, first.rows, position)
            frame = self.encoding.frame(message)
        return TopicReader(self, topics.resumed(key, position), position, frame)

    def _unsubscribe(self, request: Unsubscribe) -> None:
        names = {key.name: key for key in self._readers}
        for name in request.topics:
            if name not in names:
                allowed = "a topic of this connection"
                text = f"{name!r} is not subscribed"
                raise BadRequest(text, field="topics", value=name, allowed=allowed)
        for name in dict.fromkeys(request.topics):
            self._leave([self._readers[names[name]]])
        self.send(messages.unsubscribed(request.request_id, request.topics))


def _id_of(request: Subscribe | Unsubscribe | VenuemeshError) -> str:
    return "" if isinstance(request, VenuemeshError) else request.request_id
