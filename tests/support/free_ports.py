"""Ports of the loopback that nobody uses."""

import socket

from kit.base.runtime import METRICS_PORT_OFFSET


def is_free(port: int) -> bool:
    """Whether a process can listen on this port, and on the one of its metrics."""
    return all(map(_can_listen, (port, port + METRICS_PORT_OFFSET)))


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True
