"""What a strategy can reach from its process: nothing of the mesh."""

import ast
import ctypes
import platform
import socket
import sys

import pytest

from core.detector.evaluation import StrategyFault, StrategySource
from core.detector.workers import landlock, system_calls
from core.detector.workers.tests.bad_strategies import BAD
from core.detector.workers.tests.test_pool import begun, made, seen

SECRET = "VENUEMESH_DATABASE_PASSWORD"
ATTEMPTS = """\
import ctypes, os, socket, sys, tempfile
from kit.features.indicators import close
from kit.strategy.strategy import PositionSize, Rule, Strategy

PARENT = os.getppid()

def connect(family, address):
    with socket.socket(family) as client:
        client.connect(address)

def trace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, PARENT, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")

LIBC = ctypes.CDLL(None, use_errno=True)

def called(name, *arguments):
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
    return name

def system_call(number, *arguments):
    # These numbers are the same on every architecture.
    return called("syscall", ctypes.c_long(number), *map(ctypes.c_long, arguments))

BUFFER = ctypes.create_string_buffer(64)

ATTEMPTS = {{
    "the other processes": lambda: os.listdir("/proc"),
    "the command of the parent": lambda: open(f"/proc/{{PARENT}}/cmdline").read(),
    "the connections of others": lambda: open("/proc/net/tcp").read(),
    "the mounts": lambda: open("/proc/self/mounts").read(),
    "its own memory as a file": lambda: open("/proc/self/mem", "rb"),
    "the program of the parent": lambda: os.readlink(f"/proc/{{PARENT}}/exe"),
    "a descriptor of the parent": lambda: system_call(438, 3, 0, 0),
    "a handle of the parent": lambda: system_call(434, PARENT, 0),
    "copying memory of the parent": lambda: called(
        "process_vm_readv", PARENT, BUFFER, 1, BUFFER, 1, 0
    ),
    "limits of the parent": lambda: called("prlimit", PARENT, 7, None, BUFFER),
    "a file in memory": lambda: called("memfd_create", b"x", 0),
    "shared memory": lambda: called("shmget", 0, 4096, 0o1600),
    "a queue of system calls": lambda: system_call(425, 8, 0),
    "opening in another way": lambda: system_call(437, -100, 0, 0, 24),
    "a handle of a file": lambda: called("open_by_handle_at", -1, BUFFER, 0),
    "another namespace": lambda: called("unshare", 0x10000000),
    "a mount": lambda: called("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "a hard link of a key": lambda: os.link({key!r}, {data!r} + "/copy"),
    "renaming a key": lambda: os.rename({key!r}, {key!r} + "2"),
    "a descriptor through its socket": lambda: called("recvmsg", 0, BUFFER, 0),
    "messages of its socket": lambda: called("recvfrom", 0, BUFFER, 9, 2, None, None),
    "a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "a netlink socket": lambda: socket.socket(16, socket.SOCK_RAW),
    "UDP": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "a pair of sockets": socket.socketpair,
    "a name of a host": lambda: socket.getaddrinfo("localhost", {port}),
    "a signal to a thread of the parent": lambda: called("tgkill", PARENT, PARENT, 9),
    "own environment": lambda: open("/proc/self/environ").read(),
    "environment of the parent": lambda: open(f"/proc/{{PARENT}}/environ").read(),
    "memory of the parent": lambda: open(f"/proc/{{PARENT}}/mem", "rb"),
    "descriptors of the parent": lambda: os.listdir(f"/proc/{{PARENT}}/fd"),
    "tracing the parent": trace,
    "a key": lambda: open({key!r}).read(),
    "the folder of keys": lambda: os.listdir({folder!r}),
    "the data folder": lambda: os.listdir({data!r}),
    "passwords of the system": lambda: open("/etc/passwd").read(),
    "writing a key": lambda: open({key!r}, "a"),
    "removing a key": lambda: os.remove({key!r}),
    "a new file": lambda: open({data!r} + "/new", "w"),
    "a new file elsewhere": lambda: open(tempfile.gettempdir() + "/new", "w"),
    "other rights of a key": lambda: os.chmod({key!r}, 0o777),
    "changing the code": lambda: open(sys.modules[Rule.__module__].__file__, "a"),
    "TCP": lambda: connect(socket.AF_INET, ("127.0.0.1", {port})),
    "TCP over IPv6": lambda: connect(socket.AF_INET6, ("::1", {port})),
    "a Unix socket": lambda: connect(socket.AF_UNIX, {socket!r}),
    "an abstract socket": lambda: connect(socket.AF_UNIX, "\\0venuemesh"),
    "ending the parent": lambda: os.kill(PARENT, 9),
    "asking for the parent": lambda: os.kill(PARENT, 0),
    "ending all": lambda: os.kill(-1, 9),
    "a process": os.fork,
    "a program": lambda: os.execv("/bin/sh", ["sh"]),
    "more memory": lambda: __import__("resource").setrlimit(9, (1 << 40, 1 << 40)),
    "another user": lambda: os.setuid(0),
    "another root": lambda: os.chroot("/"),
    "a descriptor": lambda: [number for number in range(4, 64) if is_open(number)] or 1 / 0,
}}

def is_open(number):
    try:
        return os.fstat(number)
    except OSError:
        return None

def outcome(attempt):
    try:
        return f"done: {{attempt()!r}}"[:60]
    except ZeroDivisionError:
        return "refused: there is none"
    except Exception as error:
        return f"refused: {{type(error).__name__}}"

def condition(bar):
    found = {{name: outcome(attempt) for name, attempt in ATTEMPTS.items()}}
    done = [f"{{name}}: {{said}}" for name, said in found.items() if "refused: " not in said]
    raise RuntimeError(repr([len(found), sorted(os.environ), done]))

"""
REST = BAD[BAD.index("bad = Strategy(") :].format(name="curious", code="", time_ns=0)


def is_missing():
    """Why this machine cannot show it; empty: it can."""
    if sys.platform != "linux" or platform.machine() not in system_calls.ARCHITECTURES:
        return "no list of system calls for this machine"
    version = landlock.kernel_version(ctypes.CDLL(None, use_errno=True))
    return "" if version >= 1 else "this kernel has no Landlock"


@pytest.mark.skipif(bool(is_missing()), reason=is_missing())
async def test_nothing_of_the_mesh_is_reached(tmp_path, monkeypatch):
    monkeypatch.setenv(SECRET, "open sesame")
    keys = tmp_path / "keys"
    keys.mkdir()
    key = keys / "orders"
    key.write_text("open sesame")
    key.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        unix.listen()
        text = ATTEMPTS.format(
            key=str(key),
            folder=str(keys),
            data=str(tmp_path),
            port=tcp.getsockname()[1],
            socket=str(tmp_path / "socket"),
        )
        pool = made()
        try:
            instance = await begun(pool, StrategySource((text + REST).encode(), "c.py", "", {}))
            with pytest.raises(StrategyFault) as caught:
                await seen(instance, 0)
        finally:
            await pool.close()
    said = str(caught.value).partition("RuntimeError: ")[2].rpartition(", at the bar")[0]
    attempts, variables, done = ast.literal_eval(said)
    assert SECRET not in variables
    assert done == []
    assert attempts == text.count('": ')
    assert key.read_text() == "open sesame"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["keys", "socket"]
