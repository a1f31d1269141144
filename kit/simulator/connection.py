"""One client's websocket: frames out in big writes, with back-pressure.

aiohttp makes the handshake, reads, and keeps the closing rules. Data frames are put together here,
many in one write: a server's frames are not masked, so each is only a short header and its text.
The last frame of each write goes through aiohttp, which waits while the client does not read.
"""

import asyncio
import socket
import struct

from aiohttp import WSCloseCode, WSMsgType, web

from kit.simulator.dialect import Session, Stream

WRITE_WAIT_S_MAX = 120.0
"""A client that reads nothing for so long is cut off."""
TEXT_FRAME = 0x81
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def frame_header(length: int) -> bytes:
    """What stands before the payload of an unfragmented, unmasked text frame (RFC 6455, 5.2)."""
    if length < 126:
        return bytes((TEXT_FRAME, length))
    if length < 65536:
        return struct.pack(">BBH", TEXT_FRAME, 126, length)
    return struct.pack(">BBQ", TEXT_FRAME, 127, length)


HEADERS = [frame_header(length) for length in range(4096)]
"""Of the usual lengths, made once."""


def text_frame(payload: bytes) -> bytes:
    """A whole frame as it goes over the wire."""
    length = len(payload)
    return (HEADERS[length] if length < 4096 else frame_header(length)) + payload


class Connection:
    """A client that is connected."""

    def __init__(
        self, websocket: web.WebSocketResponse, transport: asyncio.Transport, session: Session
    ) -> None:
        self.session = session
        self.frames_sent = 0
        self.last_pong_ns = 0
        self.stalled = False
        """True: nothing is sent or read any more, and the other side is not told."""
        self._websocket = websocket
        self._transport = transport
        self._pending: list[bytes] = []

    @property
    def open(self) -> bool:
        """Whether frames can still reach the client."""
        return not self._websocket.closed and not self._transport.is_closing()

    @property
    def unsent_bytes(self) -> int:
        """What the client has not taken yet, beside what the system's sockets hold."""
        return self._transport.get_write_buffer_size()

    def add(self, stream: Stream, payload: bytes) -> None:
        """Put a frame behind those that wait for ``flush``."""
        shape = self.session.shape
        self._pending.append(payload if shape is None else shape(stream, payload))

    async def flush(self) -> None:
        """Send what waits; returns when the client reads fast enough for more."""
        pending, self._pending = self._pending, []
        if not pending or self.stalled or not self.open:
            return
        self.frames_sent += len(pending)
        last = pending.pop()
        if pending:
            self._transport.write(b"".join([text_frame(payload) for payload in pending]))
        try:
            async with asyncio.timeout(WRITE_WAIT_S_MAX):
                await self._websocket.send_frame(last, WSMsgType.TEXT)
        except TimeoutError:
            self._transport.abort()
        except ConnectionError:
            return

    def reply(self, payload: bytes) -> None:
        """Send one frame at once, before all that wait."""
        if not self.stalled and self.open:
            self._transport.write(text_frame(payload))

    async def ping(self, payload: bytes) -> None:
        """Send a ping frame."""
        if not self.stalled and self.open:
            await self._websocket.ping(payload)

    async def close(self, code: int = WSCloseCode.OK, reason: str = "") -> None:
        """End the connection as the websocket's rules say."""
        await self._websocket.close(code=code, message=reason.encode())

    def reset(self) -> None:
        """End the connection as a crash would: a TCP RST, no closing frame."""
        found = self._transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self._transport.abort()

    def stall(self) -> None:
        """Fall silent without a word, as when the network between is gone."""
        self.stalled = True
        self._transport.pause_reading()
