"""How to start one server, and how a child process is tied to the life of its parent."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Command:
    """A program that runs in the foreground until it is told to stop."""

    arguments: tuple[str, ...]
    user: str | None = None
    """System user to run as. None: the one who starts it."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks for a clean stop."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of the parent."""

    def spawn_options(self) -> dict[str, Any]:
        """The keyword arguments that subprocess.Popen and asyncio's create_subprocess_exec take."""
        options: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "env": {**os.environ, **self.environment},
            # A Ctrl-C in the terminal is for the parent alone, which then stops us in order.
            "start_new_session": True,
            "preexec_fn": die_with_parent(self.stop_signal),
        }
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            options |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
        return options


def package_folder(package: str) -> Path:
    """Where pip put a package; it is not imported, as only its files are of use here."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{package} is not installed: run ./venuemesh")
    return Path(spec.origin).parent


def die_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """What a child runs before its program starts: ask Linux to stop it when its parent is gone.

    Also a parent that was killed with SIGKILL takes its children along in this way. Nothing on
    other systems.
    """
    if sys.platform != "linux":
        return None
    # Looked up here, as little as possible may happen between fork and exec.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_exec() -> None:
        prctl(PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() != parent:
            os._exit(1)

    return before_exec
