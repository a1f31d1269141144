"""History as a separate process."""

import os
import subprocess
import sys

from conftest import free_port

MAIN = "from core.history.app import main; raise SystemExit(main())"
PORTS_MAX = 50_000
"""Metrics are served on the port plus 10000, which must be a port, too."""


class HistoryProcess:
    """Starts it on a free port, and stops it."""

    def __init__(self, postgres_url: str) -> None:
        self.port = next(port for port in iter(free_port, None) if port < PORTS_MAX)
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VENUEMESH_DATABASE_URL": postgres_url,
            "VENUEMESH_REGISTRY": "127.0.0.1:1",
            "VENUEMESH_SUPERVISOR_PID": str(os.getpid()),
            "VENUEMESH_HISTORY_PORT": str(self.port),
        }

    @property
    def address(self) -> str:
        """host:port of its gRPC server."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", MAIN], env=self._environment)

    def kill(self) -> None:
        """As with kill -9: it has no time for anything."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end. Returns its exit code."""
        self.process.terminate()
        return self.process.wait(30)
