"""The event loop of a process."""

import os
import socket
from typing import Any

import uvloop


class EventLoop(uvloop.Loop):
    """uvloop, which closes the socket of a cancelled connection attempt once.

    uvloop itself leaves the descriptor that it has closed to the socket object, which closes it
    again: by then it may belong to another connection. aiohttp connects by such sockets.
    """

    async def create_connection(
        self, *arguments: Any, sock: socket.socket | None = None, **options: Any
    ) -> tuple[Any, Any]:
        try:
            return await super().create_connection(*arguments, sock=sock, **options)
        except BaseException:
            if sock is not None and _is_closed(sock.fileno()):
                sock.detach()
            raise


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False
