"""Landlock: closes all files of the system to this process but some that it may read.

Structures and numbers are those of linux/landlock.h.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""System calls, the same ones on every architecture."""
VERSION_FLAG = 1
RULE_PATH_BENEATH = 1
READ_FILE, READ_DIRECTORY = 1 << 2, 1 << 3
FILE_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 5: 0xFFFF}
"""All rights on files, from this version on."""
TCP_VERSION, TCP_RIGHTS = 4, 3
SCOPE_VERSION, SCOPES = 6, 3
"""No abstract Unix socket and no signal to a process outside."""


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    ]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("rights", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def allow_reading(paths: Iterable[Path]) -> str:
    """Close everything but these files and folders, which may be read. Returns why not; empty: it
    is done. Raises OSError."""
    if sys.platform != "linux":
        return "this is not Linux"
    libc = ctypes.CDLL(None, use_errno=True)
    version = kernel_version(libc)
    if version < 1:
        return f"this kernel has no Landlock: {os.strerror(ctypes.get_errno())}"
    rights = FILE_RIGHTS[max(known for known in FILE_RIGHTS if known <= version)]
    ruleset, size = _Ruleset(files=rights), ctypes.sizeof(ctypes.c_uint64)
    if version >= TCP_VERSION:
        ruleset.network, size = TCP_RIGHTS, 2 * size
    if version >= SCOPE_VERSION:
        ruleset.scopes, size = SCOPES, ctypes.sizeof(_Ruleset)
    rules = _called(libc, CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0)
    try:
        for path in paths:
            _allow(libc, rules, path)
        _called(libc, RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
    return ""


def kernel_version(libc: ctypes.CDLL) -> int:
    """Of Landlock; less than 1: there is none."""
    return int(libc.syscall(CREATE_RULESET, None, 0, VERSION_FLAG))


def _allow(libc: ctypes.CDLL, rules: int, path: Path) -> None:
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = READ_FILE | READ_DIRECTORY if path.is_dir() else READ_FILE
        rule = _PathBeneath(rights=rights, folder=folder)
        _called(libc, ADD_RULE, rules, RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(folder)


def _called(libc: ctypes.CDLL, number: int, *arguments: object) -> int:
    result: int = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
