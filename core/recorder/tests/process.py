"""The recorder as a separate process."""

import os
import subprocess
import sys
from typing import Any

from conftest import free_port

MAIN = "from core.recorder.app import main; raise SystemExit(main())"
PORTS_MAX = 50_000
"""Metrics are served on the port plus 10000, which must be a port, too."""


class RecorderProcess:
    """Starts it on a free port, and kills it."""

    def __init__(self, valkey_url: str, postgres_url: str) -> None:
        self.port = next(port for port in iter(free_port, None) if port < PORTS_MAX)
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "VENUEMESH_REDIS_URL": valkey_url,
            "VENUEMESH_DATABASE_URL": postgres_url,
            "VENUEMESH_REGISTRY": "127.0.0.1:1",
            "VENUEMESH_SUPERVISOR_PID": str(os.getpid()),
            "VENUEMESH_RECORDER_PORT": str(self.port),
            "VENUEMESH_RECORDER_CHUNK_ROWS_MAX": "50",
            "VENUEMESH_RECORDER_CHUNK_AGE_MS": "2",
            "VENUEMESH_RECORDER_BLOCK_AGE_MS": "10",
        }

    def start(self, **options: Any) -> None:
        """With options of Popen."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN], env=self._environment, **options
        )

    def kill(self) -> None:
        """As with kill -9: it has no time for anything."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end. Returns its exit code."""
        self.process.terminate()
        return self.process.wait(30)
