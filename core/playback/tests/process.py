"""A playback as a separate process."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import free_port
from tests.support.waiting import WAIT_SECONDS_MAX

PORTS_MAX = 50_000
"""Metrics are served on the port plus 10000, which must be a port, too."""


class PlaybackProcess:
    """Starts it on a free port, and stops it."""

    def __init__(self, database_url: str, data: Path, **settings: str) -> None:
        self.port = next(port for port in iter(free_port, None) if port < PORTS_MAX)
        variables = {
            "port": str(self.port),
            "venue": "binance",
            "database_url": database_url,
            **settings,
        }
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VENUEMESH_DATA_DIR": str(data),
            "VENUEMESH_WORLD": "replay",
            "VENUEMESH_REGISTRY": "127.0.0.1:1",
            "VENUEMESH_SUPERVISOR_PID": str(os.getpid()),
            "VENUEMESH_ORDERS_PAPER_LATENCY_MS": "0",
            "VENUEMESH_ORDERS_PAPER_JITTER_MS": "0",
            **{f"VENUEMESH_PLAYBACK_{name.upper()}": value for name, value in variables.items()},
        }

    @property
    def address(self) -> str:
        """host:port of its gRPC server."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ops.cli", "run", "playback"],
            env=self._environment,
            stderr=subprocess.PIPE,
        )

    def kill(self) -> None:
        """As with kill -9: it has no time for anything."""
        self.process.kill()
        self.process.communicate()

    def refusal(self) -> tuple[int, str]:
        """Exit code and the error line of a process that does not start."""
        _, said = self.process.communicate(timeout=WAIT_SECONDS_MAX)
        own = [line for line in said.decode().splitlines() if line.startswith("venuemesh: ")]
        return self.process.returncode, "\n".join(own)
