"""A seccomp filter: the system calls that a process with strategies may still use.

Not among them: sockets, processes, threads, signals, timers, and whatever changes a file. A refused
call fails with EPERM, which Python raises as PermissionError. Structures and numbers are those of
linux/filter.h, linux/seccomp.h and of the tables of system calls.
"""

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, EQUALS, HAS_BITS, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
NUMBER_OFFSET, ARCHITECTURE_OFFSET, ARGUMENTS_OFFSET, ARGUMENT_BYTES = 0, 4, 16, 8
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
"""Bits of the flags of a file that is opened to change it."""


class Architecture(NamedTuple):
    """The system calls of a machine."""

    audit: int
    """Its number in a filter."""
    allowed: Mapping[str, int]
    opens: Mapping[int, int]
    """Which argument of a call that opens a file has the flags, by the number of the call."""


_X86_64 = Architecture(
    0xC000003E,
    {
        "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "lseek": 8,
        "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigreturn": 15, "pread64": 17,
        "access": 21, "sched_yield": 24, "mremap": 25, "madvise": 28, "getpid": 39, "exit": 60,
        "uname": 63, "getcwd": 79, "readlink": 89, "gettimeofday": 96, "getrusage": 98,
        "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107,
        "getegid": 108, "getppid": 110, "gettid": 186, "time": 201, "futex": 202,
        "sched_getaffinity": 204, "getdents64": 217, "restart_syscall": 219,
        "clock_gettime": 228, "clock_getres": 229, "exit_group": 231, "newfstatat": 262,
        "readlinkat": 267, "faccessat": 269, "set_robust_list": 273, "getrandom": 318,
        "membarrier": 324, "statx": 332, "rseq": 334, "faccessat2": 439,
    },
    {2: 1, 257: 2},
)  # fmt: skip
_AARCH64 = Architecture(
    0xC00000B7,
    {
        "getcwd": 17, "faccessat": 48, "close": 57, "getdents64": 61, "lseek": 62, "read": 63,
        "write": 64, "pread64": 67, "readlinkat": 78, "newfstatat": 79, "fstat": 80, "exit": 93,
        "exit_group": 94, "futex": 98, "set_robust_list": 99, "clock_gettime": 113,
        "clock_getres": 114, "sched_getaffinity": 123, "sched_yield": 124,
        "restart_syscall": 128, "rt_sigreturn": 139, "times": 153, "uname": 160,
        "getrusage": 165, "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174,
        "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178, "sysinfo": 179,
        "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233,
        "getrandom": 278, "membarrier": 283, "statx": 291, "rseq": 293, "faccessat2": 439,
    },
    {56: 2},
)  # fmt: skip
ARCHITECTURES: Mapping[str, Architecture] = {"x86_64": _X86_64, "aarch64": _AARCH64}


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction))]


def allow_few() -> str:
    """Refuse all other system calls of this thread, and of what it starts. Returns why not; empty:
    it is done. Raises OSError."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ARCHITECTURES or sys.byteorder != "little":
        return f"no list of system calls for {sys.platform} on {machine}"
    instructions = list(_filter(ARCHITECTURES[machine]))
    made = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), made)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        return f"this kernel has no seccomp filters: {os.strerror(ctypes.get_errno())}"
    return ""


def _filter(machine: Architecture) -> Iterable[_Instruction]:
    """Each step returns or continues with the next one; a jump counts the steps to skip."""
    yield _Instruction(LOAD, 0, 0, ARCHITECTURE_OFFSET)
    yield _Instruction(EQUALS, 1, 0, machine.audit)
    yield _Instruction(RETURN, 0, 0, KILL)
    yield _Instruction(LOAD, 0, 0, NUMBER_OFFSET)
    for number in machine.allowed.values():
        yield _Instruction(EQUALS, 0, 1, number)
        yield _Instruction(RETURN, 0, 0, ALLOW)
    for number, argument in machine.opens.items():
        yield _Instruction(EQUALS, 0, 4, number)
        yield _Instruction(LOAD, 0, 0, ARGUMENTS_OFFSET + argument * ARGUMENT_BYTES)
        yield _Instruction(HAS_BITS, 0, 1, WRITES)
        yield _Instruction(RETURN, 0, 0, REFUSE)
        yield _Instruction(RETURN, 0, 0, ALLOW)
    yield _Instruction(RETURN, 0, 0, REFUSE)
