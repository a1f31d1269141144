"""The process from which the processes of a mesh are forked.

Run as ``python -m ops.supervisor.fork_server DESCRIPTOR``. It imports what most of them need, once,
and then forks one for each request on the socket ``DESCRIPTOR``: that saves each of them 0.7 s of
processor time at its start, and they share the memory. It holds no secret and runs no thread.
"""

import gc
import importlib
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec
import setproctitle

from kit.base.secret_files import PIPES
from ops.embedded.server_command import die_with_parent
from ops.service_modules import VENUE_APP, services
from ops.supervisor.fork_request import DESCRIPTORS_MAX, REQUEST_BYTES_MAX, ForkRequest

COMMAND_LINE = "ops.cli"
CODE_FAILED = 1


class _Forked(msgspec.Struct, frozen=True):
    """What a new process is to be."""

    request: ForkRequest
    descriptors: list[int]
    parent_pid: int
    """Of the process between, which ends at once."""


def main(descriptor: int) -> int:
    """Serve until the supervisor ends. Returns an exit code, also in each forked process."""
    gc.disable()
    for module in (COMMAND_LINE, VENUE_APP, *services().values()):
        importlib.import_module(module)
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        # A fork takes one thread along and leaves the locks of the others locked.
        print("an imported module has started a thread: nothing is forked", file=sys.stderr)
        return CODE_FAILED
    # It finds its place in memory by the environment, which forked processes replace.
    setproctitle.setproctitle("venuemesh fork-server")
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as requests:
        forked = _serve(requests)
    if forked is None:
        return 0
    gc.enable()
    _become(forked)
    return int(importlib.import_module(COMMAND_LINE).main(forked.request.arguments))


def _serve(requests: socket.socket) -> _Forked | None:
    """Fork for each request. Returns what to be in the new process, and None at the end."""
    decoder = msgspec.json.Decoder(ForkRequest)
    while True:
        content, descriptors, _, _ = socket.recv_fds(requests, REQUEST_BYTES_MAX, DESCRIPTORS_MAX)
        if not content:
            return None
        # The supervisor becomes the parent when the process between ends.
        between = os.fork()
        if between == 0:
            between = os.getpid()
            if os.fork() != 0:
                os._exit(0)
            return _Forked(decoder.decode(content), descriptors, between)
        os.waitpid(between, 0)
        for one in descriptors:
            os.close(one)


def _become(forked: _Forked) -> None:
    """Be a process as if the supervisor had started it, and tell it the process id."""
    request = forked.request
    reply, output, *pipes = forked.descriptors
    while os.getppid() == forked.parent_pid:
        os.sched_yield()
    end_with_parent = die_with_parent(signal.Signals(request.stop_signal), request.parent_pid)
    if end_with_parent is not None:
        end_with_parent()
    os.setsid()
    for standard in (sys.stdout, sys.stderr):
        os.dup2(output, standard.fileno())
    os.close(output)
    os.environ.clear()
    os.environ.update(request.environment)
    for variable, pipe in zip(request.pipes, pipes, strict=True):
        os.environ[variable] = f"{PIPES}{pipe}"
    sys.argv[1:] = request.arguments
    setproctitle.setproctitle(" ".join(("venuemesh", *request.arguments)))
    os.write(reply, str(os.getpid()).encode())
    os.close(reply)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
