"""Starts the first venue before the others, together with the simulator if there is one.

Starting a process needs much CPU. If all start at once on few cores, the simulator is late, and
every venue waits for it. A head start makes the first prices available earlier.
"""

import socket
import time

from ops.embedded.server_command import LOOPBACK

SECONDS_MAX = 4.0
"""After this time the others start in any case."""
CONNECT_SECONDS_MAX = 0.1


class StartupPriority:
    """``port`` is the loopback port of the process that starts first."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends_s: float | None = None

    def is_over(self) -> bool:
        """Return whether the others may start. The time starts with the first call."""
        now_s = time.monotonic()
        if self._ends_s is None:
            self._ends_s = now_s + SECONDS_MAX
        return now_s >= self._ends_s or self._listens()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(CONNECT_SECONDS_MAX)
            return probe.connect_ex((LOOPBACK, self._port)) == 0
