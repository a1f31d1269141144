"""What the supervisor sends to the fork server."""

import sys

import msgspec

CLI = (sys.executable, "-m", "ops.cli")
"""How the mesh's own processes are started; the arguments of the command line follow."""
REQUEST_BYTES_MAX = 1 << 20
DESCRIPTORS_MAX = 32


class ForkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A process to be forked. It travels with descriptors: a pipe for the process id, the file for
    the output, and the pipes with secrets."""

    arguments: tuple[str, ...]
    """Of the command line."""
    environment: dict[str, str]
    pipes: tuple[str, ...]
    """The variables in which the process finds the pipes, in the order of the descriptors."""
    stop_signal: int
    parent_pid: int
    """The supervisor, which becomes its parent."""
