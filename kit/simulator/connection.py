"""One client's websocket: frames out in big writes, with back-pressure.

aiohttp makes the handshake, reads, and keeps the closing rules. Data frames are put together here,
many in one write: a server's frames are not masked, so each is only a short header and its text.
The last frame of each write goes through aiohttp, which waits while the client does not read.
"""

import asyncio
import socket
import struct
from collections.abc import Iterable, Sequence

from aiohttp import WSCloseCode, WSMsgType, web

from kit.base import telemetry
from kit.simulator.dialect import ExchangeStream, WebsocketSession
from kit.simulator.outgoing_frames import OutgoingFrame, OutgoingFrameQueue

WRITE_WAIT_S_MAX = 120.0
"""A client that reads nothing for so long is cut off."""
UNSENT_BYTES_MAX = 64 * 1024 * 1024
TEXT_FRAME = 0x81
USUAL_LENGTH_MAX = 4096
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


_log = telemetry.logger("simulator.connection")


class _Headers(dict[int, bytes]):
    """The header of an unfragmented, unmasked text frame, by payload length (RFC 6455, 5.2).
    Headers of usual lengths are made once."""

    def __missing__(self, length: int) -> bytes:
        if length < 126:
            header = bytes((TEXT_FRAME, length))
        elif length < 65536:
            header = struct.pack(">BBH", TEXT_FRAME, 126, length)
        else:
            header = struct.pack(">BBQ", TEXT_FRAME, 127, length)
        if length < USUAL_LENGTH_MAX:
            self[length] = header
        return header


_headers = _Headers()


class ClientConnection:
    """A client that is connected."""

    def __init__(
        self,
        websocket: web.WebSocketResponse,
        transport: asyncio.Transport,
        session: WebsocketSession,
        now_ns: int,
    ) -> None:
        self.session = session
        self.frames_sent = 0
        self.opened_ns = self.last_pong_ns = self.last_message_ns = now_ns
        """When it was opened, answered a ping last, and sent a message last."""
        self.stalled = False
        """True: nothing is sent or read any more, without a closing frame."""
        self.subscribed = bool(session.streams)
        """Whether it has ever subscribed to anything."""
        self.muted: set[ExchangeStream] = set()
        """Streams that it is subscribed to, but gets nothing of."""
        self._queue = OutgoingFrameQueue()
        self._websocket = websocket
        self._transport = transport

    @property
    def open(self) -> bool:
        """Whether frames can still reach the client."""
        return not self._websocket.closed and not self._transport.is_closing()

    async def send(self, payloads: Sequence[bytes], wait: bool) -> None:
        """Send one frame each. With ``wait`` it returns when the client is ready for more; without,
        a client that is UNSENT_BYTES_MAX behind is cut off."""
        shape = self.session.shape
        await self._write(payloads if shape is None else list(map(shape, payloads)), wait)

    async def send_outgoing(self, outgoing_frames: Iterable[OutgoingFrame], wait: bool) -> None:
        """The same for frames that faults have changed."""
        await self._write(self._queue.open(outgoing_frames, self.session.shape), wait)

    def post(self, outgoing_frames: Iterable[OutgoingFrame]) -> None:
        pending = self._queue.open(outgoing_frames, self.session.shape)
        if not self.stalled and self.open:
            self._send_now(pending)

    async def send_held(self) -> None:
        """Send the frames that a fault has held back."""
        await self._write(self._queue.empty(), wait=True)

    def reply(self, payload: bytes) -> None:
        """Send one frame at once."""
        shape = self.session.shape
        text = payload if shape is None else shape(payload)
        if not self.stalled and self.open:
            self._transport.write(_headers[len(text)] + text)

    async def ping(self, payload: bytes) -> None:
        if not self.stalled and self.open:
            await self._websocket.ping(payload)

    async def close(self, code: int = WSCloseCode.OK, reason: str = "") -> None:
        """Close the connection with a closing frame."""
        # Whoever asked may be cancelled by the connection's own end; the closing frame must go out.
        await asyncio.shield(self._websocket.close(code=code, message=reason.encode()))

    def reset(self) -> None:
        """Abort the connection as a crash does: a TCP RST, no closing frame."""
        found = self._transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self._transport.abort()

    def stall(self) -> None:
        """Stop sending and reading without closing, as when the network is gone."""
        self.stalled = True
        self._transport.pause_reading()

    async def _write(self, payloads: Sequence[bytes], wait: bool) -> None:
        if self.stalled or not self.open:
            return
        if not wait or not payloads:
            self._send_now(payloads)
            return
        *before, last = payloads
        self.frames_sent += len(payloads)
        if before:
            self._transport.write(b"".join([_headers[len(one)] + one for one in before]))
        await self._send_and_drain(last)

    def _send_now(self, payloads: Sequence[bytes]) -> None:
        self.frames_sent += len(payloads)
        if payloads:
            self._transport.write(b"".join([_headers[len(one)] + one for one in payloads]))
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            _log.warning("a client reads too slowly, it is cut off")
            self._transport.abort()

    async def _send_and_drain(self, payload: bytes) -> None:
        try:
            async with asyncio.timeout(WRITE_WAIT_S_MAX):
                await self._websocket.send_frame(payload, WSMsgType.TEXT)
        except TimeoutError:
            _log.warning("a client reads nothing, it is cut off")
            self._transport.abort()
        except ConnectionError:
            return
