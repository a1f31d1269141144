"""The program of a process with strategies: ``python -m core.detector.workers.worker_main``.

Its standard input is a socket to the detector, and the only thing that it has. All that it needs is
imported before it gives up its rights; what a strategy imports besides may be read from Python's
own folders only.
"""

import os
import resource
import sys
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from core.detector.workers import restrictions
from core.detector.workers.messages import LENGTH_BYTES, Batch, Limits, frame
from core.detector.workers.request_handler import RequestHandler

SOCKET = 0
READ_BYTES = 1 << 20
SIZE_BYTES = 128
LINUX = sys.platform == "linux"


def main() -> None:
    """Answer requests until the detector closes the socket."""
    with suppress(EOFError):
        limits = msgspec.msgpack.decode(_read(SOCKET), type=Limits)
        size_file = os.open("/proc/self/statm", os.O_RDONLY) if LINUX else -1
        size = partial(_memory_bytes, size_file)
        handler = RequestHandler(limits.instance_memory_bytes_max, size)
        _write(SOCKET, restrictions.apply(limits.memory_bytes_max))
        serve(SOCKET, handler)
    # No code of a strategy may run at exit.
    os._exit(0)


def serve(descriptor: int, handler: RequestHandler) -> None:
    """Answer batches of requests. Raises EOFError when the socket is closed."""
    decoder = msgspec.msgpack.Decoder(Batch)
    while True:
        for request in decoder.decode(_read(descriptor)).requests:
            _write(descriptor, handler.answer(request))


def _memory_bytes(size_file: int) -> int:
    """What it has in memory now; elsewhere than on Linux the most that it had."""
    if not LINUX:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, resident, *_ = os.pread(size_file, SIZE_BYTES, 0).split()
    return int(resident) * resource.getpagesize()


def _read(descriptor: int) -> bytes:
    length = int.from_bytes(_exactly(descriptor, LENGTH_BYTES), "big")
    return _exactly(descriptor, length)


def _exactly(descriptor: int, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        part = os.read(descriptor, min(length, READ_BYTES))
        if not part:
            raise EOFError("the detector has closed the socket")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _write(descriptor: int, message: Any) -> None:
    left = memoryview(frame(msgspec.msgpack.encode(message)))
    while left:
        left = left[os.write(descriptor, left) :]


if __name__ == "__main__":
    main()
