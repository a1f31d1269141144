"""Opens connections that say nothing, or only begin to, and holds them until its input ends.

Run as ``python -m tests.integration.many_connections HOST PORT SOURCE COUNT``. It says how many
it has opened, and for each line of its input how many of them the other side has closed.
"""

import contextlib
import resource
import socket
import sys
from collections.abc import Sequence

CONNECT_SECONDS_MAX = 30.0
BEGUN = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
"""The first lines of a request whose end never comes."""
SPARE_DESCRIPTORS = 64
READ_BYTES = 4_096


def opened(address: tuple[str, int], source: str, count: int) -> list[socket.socket]:
    """Connections from an address of the loopback. One that is refused is left out."""
    found = []
    for number in range(count):
        with contextlib.suppress(OSError):
            one = socket.create_connection(address, CONNECT_SECONDS_MAX, (source, 0))
            found.append(one)
            if number % 2:
                one.sendall(BEGUN)
    return found


def is_closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        # An answer may come first: that the request took too long.
        while one.recv(READ_BYTES):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def say(count: int) -> None:
    sys.stdout.write(f"{count}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    host, port, source, count = arguments
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, int(count) + SPARE_DESCRIPTORS), most))
    held = opened((host, int(port)), source, int(count))
    say(len(held))
    for _ in sys.stdin:
        say(sum(map(is_closed, held)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
