"""A relay between a client and the exchange that records the times of orders."""

import asyncio
import time
from typing import Self

UPGRADE = b"upgrade: websocket"
"""Text in the first bytes of a websocket, in lower case."""
REST_MARK, SOCKET_MARK = b"POST /binance/api/v3/order", b"order.place"
LENGTH_IN_TWO_BYTES = 126


class Relay:
    """Passes bytes between clients and the exchange."""

    def __init__(self, exchange_port: int, port: int, answer_delay_s: float = 0) -> None:
        """``answer_delay_s``: so long the exchange's answers are held back."""
        self.rest: list[float] = []
        """When each order came over REST, by the performance counter."""
        self.socket: list[float] = []
        """The same over a websocket."""
        self._exchange_port = exchange_port
        self._port = port
        self._answer_delay_s = answer_delay_s
        self._expected: dict[tuple[bytes, ...], asyncio.Future[float]] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()

    def expect(self, *marks: bytes) -> asyncio.Future[float]:
        """Return when the next message with one of these texts arrives, by the performance
        counter."""
        arrival: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._expected[marks] = arrival
        return arrival

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._exchange_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            self._pass(reader, forth, watched=True), self._pass(back, writer, watched=False)
        )

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watched: bool
    ) -> None:
        is_socket = False
        try:
            while data := await reader.read(65_536):
                now = time.perf_counter()
                if not watched:
                    await asyncio.sleep(self._answer_delay_s)
                writer.write(data)
                if not watched:
                    continue
                message = unmasked(data) if is_socket else data
                if is_socket and SOCKET_MARK in message:
                    self.socket.append(now)
                elif REST_MARK in data:
                    self.rest.append(now)
                self._record(message, now)
                is_socket = is_socket or UPGRADE in data.lower()
        except OSError:
            pass
        writer.close()

    def _record(self, message: bytes, now: float) -> None:
        for marks, arrival in list(self._expected.items()):
            if any(mark in message for mark in marks):
                del self._expected[marks]
                arrival.set_result(now)


def unmasked(data: bytes) -> bytes:
    """The payload of a client's websocket frame, unmasked with its four-byte key (RFC 6455, 5.3).
    Supports frames of up to 64 KiB at the start of the data."""
    if len(data) < 2:
        return b""
    start = 4 if data[1] & 0x7F == LENGTH_IN_TWO_BYTES else 2
    key, body = data[start : start + 4], data[start + 4 :]
    return bytes(byte ^ key[place % 4] for place, byte in enumerate(body)) if len(key) == 4 else b""
