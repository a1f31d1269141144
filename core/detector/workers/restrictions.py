"""Drops the rights of a worker process before it loads code."""

import ctypes
import os
import resource
import stat
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

from core.detector.workers import landlock, system_calls
from core.detector.workers.messages import Restrictions

NOBODY = 65_534
ROOT = Path(__file__).resolve().parents[3]
CODE = ("core", "gen", "kit")
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
DESCRIPTORS_MAX = 64
STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
CAPABILITY_VERSION, CAPABILITIES_MAX = 0x20080522, 64
SIGKILL = 9


def apply(memory_bytes_max: int) -> Restrictions:
    """Give up what this process does not need, for ever. ``memory_bytes_max``: more than it has
    now. Returns what could not be given up, and why."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_WRONLY)
    _limit_resources(memory_bytes_max)
    folders = readable_folders()
    user = _tried(lambda: _leave_root(folders))
    _tried(_end_with_parent)
    files = _tried(lambda: landlock.allow_reading(folders))
    for output in (STANDARD_OUTPUT, STANDARD_ERROR):
        os.dup2(null, output)
    os.close(null)
    return Restrictions(files, _tried(system_calls.allow_few), user)


def readable_folders() -> list[Path]:
    """Python, its packages, the libraries of the system, and the code of this project."""
    bases = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    python = [
        sysconfig.get_path(name, vars=variables)
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        for variables in ({}, bases)
    ]
    native = Path(sys.base_prefix) / "lib"
    libraries = [str(one) for one in native.glob("libpython*")]
    found = [*python, *libraries, *LIBRARIES, *(str(ROOT / name) for name in CODE)]
    return [Path(one) for one in dict.fromkeys(found) if Path(one).exists()]


def _tried(step: Callable[[], str]) -> str:
    """Why a step was not done; empty: it was."""
    try:
        return step()
    except OSError as error:
        return error.strerror or str(error)


def _limit_resources(memory_bytes_max: int) -> None:
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: DESCRIPTORS_MAX,
    }
    if sys.platform == "linux":
        pages, *_ = Path("/proc/self/statm").read_text().split()
        limits[resource.RLIMIT_AS] = int(pages) * resource.getpagesize() + memory_bytes_max
        limits[resource.RLIMIT_MEMLOCK] = 0
    for limit, most in limits.items():
        resource.setrlimit(limit, (most, most))


def _leave_root(folders: Iterable[Path]) -> str:
    """Switch to the user nobody, who owns no file; otherwise drop root's capabilities."""
    if os.geteuid() != 0:
        return "it was started by an ordinary user, and stays this user"
    closed = next((one for one in folders if not _is_open(one)), None)
    if closed is None:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return ""
    if sys.platform == "linux":
        _drop_capabilities()
    return f"only its owner may read {closed}: it stays root, without capabilities"


def _is_open(folder: Path) -> bool:
    """Whether everybody may read it."""
    places = [folder.resolve(), *folder.resolve().parents]
    return all(place.stat().st_mode & stat.S_IXOTH for place in places if place.is_dir()) and bool(
        folder.stat().st_mode & stat.S_IROTH
    )


def _drop_capabilities() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(CAPABILITIES_MAX):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing) != 0:
        raise OSError(ctypes.get_errno(), "the capabilities of root could not be given up")


def _end_with_parent() -> str:
    """Make the process end with the detector, untraceable, and unable to regain rights."""
    if sys.platform != "linux":
        return "this is not Linux"
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in (
        (PR_SET_PDEATHSIG, SIGKILL),
        (PR_SET_DUMPABLE, 0),
        (PR_SET_NO_NEW_PRIVS, 1),
    ):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return ""
