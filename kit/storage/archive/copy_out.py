"""Reads the response to a COPY directly from the connection's socket.

libpq returns one row at a time, which takes several times as long as all other work on the row. So
between two statements of psycopg its socket is read here: the messages of the server are documented
and few (https://www.postgresql.org/docs/current/protocol-flow.html, COPY). Where the connection is
encrypted, the rows come from libpq.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Iterator

import psycopg
from psycopg import errors

from kit.base.database import Connection
from kit.marketdata.native import library
from kit.storage.archive.compiled_copy_decoder import CompiledCopyDecoder
from kit.storage.archive.copy_layout import MESSAGE_HEAD_BYTES, Layout, framed
from kit.storage.archive.copy_rows import CopyDecoder, CopyRows
from kit.storage.archive.reference_copy_decoder import ReferenceCopyDecoder

READ_BYTES_MAX = 512 * 1024
GATHER_BYTES_MIN = 128 * 1024
GATHER_SECONDS = 0.001
"""The server sends 8 KiB at a time. Waking up for each costs more than decoding it, so after fewer
than GATHER_BYTES_MIN bytes the reader waits this long for more."""
SETTINGS = "SET LOCAL synchronize_seqscans = off; SET LOCAL max_parallel_workers_per_gather = 0; "
"""Rows come in the order in which they are stored. Otherwise the order could differ between two
reads."""


class ResponseTooLarge(Exception):
    """The response exceeds the allowed bytes; the connection is closed."""


def decoder_for(layout: Layout) -> CopyDecoder:
    """The compiled decoder where it is available, otherwise the reference."""
    return ReferenceCopyDecoder(layout) if library is None else CompiledCopyDecoder(layout)


async def copy_out(connection: Connection, query: str, layout: Layout, bytes_max: int) -> CopyRows:
    """All rows of a query with the columns of the layout, in a transaction of the caller.

    Raises ResponseTooLarge, MalformedCopy, and errors of psycopg. After any of them the connection
    is closed.
    """
    statement = f"{SETTINGS}COPY ({query}) TO STDOUT (FORMAT BINARY)"
    decoder = decoder_for(layout)
    try:
        if connection.pgconn.ssl_in_use:
            await _from_libpq(connection, statement, decoder, bytes_max)
        else:
            await _from_socket(connection, statement, decoder, bytes_max)
    except BaseException:
        await connection.close()
        raise
    return decoder.table()


async def _from_libpq(
    connection: Connection, statement: str, decoder: CopyDecoder, bytes_max: int
) -> None:
    settings, _, copy = statement.rpartition("; ")
    await connection.execute(settings.encode())
    async with connection.cursor().copy(copy.encode()) as rows:
        async for row in rows:
            bytes_max -= decoder.feed(framed(row))
            _check_room(bytes_max)


async def _from_socket(
    connection: Connection, statement: str, decoder: CopyDecoder, bytes_max: int
) -> None:
    loop = asyncio.get_running_loop()
    answer = _Answer(decoder)
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
        wire.setblocking(False)
        await loop.sock_sendall(wire, _query_message(statement))
        room = bytearray(READ_BYTES_MAX)
        waiting = b""
        while not answer.ended:
            count = await loop.sock_recv_into(wire, room)
            if not count:
                raise psycopg.OperationalError("the server closed the connection")
            data = waiting + bytes(memoryview(room)[:count])
            waiting = data[answer.feed(data) :]
            bytes_max -= count
            _check_room(bytes_max)
            if count < GATHER_BYTES_MIN and not answer.ended:
                await asyncio.sleep(GATHER_SECONDS)
    answer.raise_error()


def _check_room(bytes_left: int) -> None:
    if bytes_left < 0:
        raise ResponseTooLarge("the response exceeds the allowed bytes")


def _query_message(statement: str) -> bytes:
    text = statement.encode() + b"\0"
    return b"Q" + struct.pack(">i", len(text) + 4) + text


class _Answer:
    """Reads the messages of the server's response to a simple query."""

    def __init__(self, decoder: CopyDecoder) -> None:
        self._decoder = decoder
        self._error: dict[str, str] | None = None
        self.ended = False

    def feed(self, data: bytes) -> int:
        """Read whole messages. Returns the number of bytes read."""
        at = 0
        while True:
            at += self._decoder.feed(data[at:] if at else data)
            size = self._other_message(data, at)
            if not size:
                return at
            at += size

    def _other_message(self, data: bytes, at: int) -> int:
        """Read a message that is not a row. Returns its size, or 0 when it is incomplete."""
        if len(data) - at < MESSAGE_HEAD_BYTES:
            return 0
        kind, length = struct.unpack_from(">ci", data, at)
        if at + 1 + length > len(data):
            return 0
        if kind == b"E":
            body = data[at + MESSAGE_HEAD_BYTES : at + 1 + length]
            self._error = self._error or dict(_error_fields(body))
        self.ended = kind == b"Z"
        return int(1 + length)

    def raise_error(self) -> None:
        """Raise the error that the server reported, if any."""
        if self._error is not None:
            kind = _error_kind(self._error.get("C", ""))
            raise kind(self._error.get("M", "an error without a message"))


def _error_fields(body: bytes) -> Iterator[tuple[str, str]]:
    for field in body.split(b"\0"):
        if field:
            yield field[:1].decode(), field[1:].decode(errors="replace")


def _error_kind(code: str) -> type[psycopg.Error]:
    try:
        return errors.lookup(code)
    except KeyError:
        return psycopg.DatabaseError
