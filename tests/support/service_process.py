"""A service of core in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from conftest import free_port

PORTS_MAX = 50_000
"""Metrics are served on the port plus 10000, which must be a port, too."""
NO_REGISTRY = "127.0.0.1:1"
STOP_SECONDS_MAX = 30.0


class ServiceProcess:
    """Starts a service on a free port, and stops it. It may be started again."""

    process: subprocess.Popen[bytes]

    def __init__(
        self, service: str, variables: Mapping[str, str], command: Sequence[str] = ()
    ) -> None:
        """``variables``: settings, named as in the environment after VENUEMESH_. ``command``:
        arguments for Python; by default the service's own ``main``."""
        self.port = next(port for port in iter(free_port, None) if port < PORTS_MAX)
        main = f"from core.{service}.app import main; raise SystemExit(main())"
        self._command = [sys.executable, *(command or ("-c", main))]
        settings = {
            "REGISTRY": NO_REGISTRY,
            "ACCESS_REQUIRED": "false",
            "SUPERVISOR_PID": str(os.getpid()),
            f"{service.upper()}_PORT": str(self.port),
            **variables,
        }
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            **{f"VENUEMESH_{name}": value for name, value in settings.items()},
        }

    @property
    def address(self) -> str:
        """host:port of its gRPC server."""
        return f"127.0.0.1:{self.port}"

    def start(self, **options: Any) -> None:
        """With options of Popen."""
        self.process = subprocess.Popen(self._command, env=self._environment, **options)

    def kill(self) -> None:
        """As with kill -9: it has no time for anything."""
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        """Ask it to end. Returns its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS_MAX)
