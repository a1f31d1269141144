"""Start command of a server, its secrets, and a child process that ends with its parent."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kit.base.secret_files import PIPES

LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1
SECRET_BYTES_MAX = 4096
"""What every system's pipe takes without a reader."""


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """A program that runs in the foreground until it gets a stop signal."""

    arguments: tuple[str, ...]
    user: str | None = None
    """System user to run as; None: the current user."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Signal for a clean stop."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of the parent."""
    secrets: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    """By the environment variable in which the child finds the file to read the secret from, once
    (``kit.base.secret_files``). Asked for at each start; "": there is none."""

    @contextmanager
    def spawning(self) -> Iterator[dict[str, Any]]:
        """``spawn_options`` with a pipe for each secret, open until the end of the context.

        Only the child has a pipe: no command line, no file and no other child has its secret.
        """
        options = self.spawn_options()
        pipes = {}
        try:
            for variable, secret in self.secrets.items():
                if text := secret():
                    pipes[variable] = _filled_pipe(text)
            files = {variable: f"{PIPES}{pipe}" for variable, pipe in pipes.items()}
            yield options | {"env": options["env"] | files, "pass_fds": tuple(pipes.values())}
        finally:
            for pipe in pipes.values():
                os.close(pipe)

    def spawn_options(self) -> dict[str, Any]:
        """Keyword arguments for subprocess.Popen and asyncio's create_subprocess_exec, without
        secrets."""
        options: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "env": {**os.environ, **self.environment},
            # Ctrl-C in the terminal reaches the parent only, which stops its children in order.
            "start_new_session": True,
            "preexec_fn": die_with_parent(self.stop_signal),
        }
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            options |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
        return options


def _filled_pipe(secret: str) -> int:
    """The end of a pipe from which the secret can be read."""
    content = secret.encode()
    if len(content) > SECRET_BYTES_MAX:
        raise RuntimeError(f"a secret has {len(content)} bytes; allowed are {SECRET_BYTES_MAX}")
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


def package_folder(package: str) -> Path:
    """Folder of an installed package, without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{package} is not installed: run ./venuemesh")
    return Path(spec.origin).parent


def die_with_parent(
    stop_signal: signal.Signals, parent_pid: int | None = None
) -> Callable[[], None] | None:
    """Before a child's program starts: ask Linux to stop the child when its parent ends, which is
    this process unless another one is named.

    Also a parent that was killed with SIGKILL takes its children along in this way. Nothing on
    other systems.
    """
    if sys.platform != "linux":
        return None
    # Looked up before the fork: little may happen between fork and exec.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid() if parent_pid is None else parent_pid

    def before_exec() -> None:
        prctl(PR_SET_PDEATHSIG, int(stop_signal))
        if os.getppid() != parent:
            os._exit(1)

    return before_exec
