"""Build the compiled part of the hot path into gen/, if there is a C compiler.

Run as ``python -m ops.native_build``. Without a compiler everything works, slower; a line says so.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence

from kit.marketdata import native

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O3", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
HARDENING = (
    "-U_FORTIFY_SOURCE",
    "-D_FORTIFY_SOURCE=3",
    "-fstack-protector-strong",
    "-fstack-clash-protection",
    "-Wl,-z,relro",
    "-Wl,-z,now",
    "-Wl,-z,noexecstack",
)
"""Checks of copies and of the stack, and no writable table of addresses; see docs/FUZZING.md."""


def build() -> None:
    """Build the library if its sources have changed. A missing compiler is reported once."""
    marker = native.LIBRARY_PATH.with_suffix(".missing")
    if native.LIBRARY_PATH.exists() or marker.exists():
        return
    native.FOLDER.mkdir(parents=True, exist_ok=True)
    compiler = find_compiler()
    if compiler is None or not (compile_library(compiler, HARDENING) or compile_library(compiler)):
        print("venuemesh: no C compiler: frames are read by Python, more slowly", file=sys.stderr)
        marker.touch()


def find_compiler() -> str | None:
    """The compiler named by CC, or the first one found."""
    if os.environ.get("CC"):
        return os.environ["CC"]
    return next((name for name in COMPILERS if shutil.which(name)), None)


def compile_library(compiler: str, hardening: Sequence[str] = ()) -> bool:
    """Return whether the compiler succeeded. Not every compiler knows every flag of hardening."""
    fresh = native.LIBRARY_PATH.with_suffix(".new")
    command = [
        *shlex.split(compiler),
        *FLAGS,
        *hardening,
        "-o",
        str(fresh),
        *map(str, native.SOURCES),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        how = " with hardening" if hardening else ""
        print(f"venuemesh: {compiler} failed{how}: {done.stderr.strip()[:500]}", file=sys.stderr)
        return False
    fresh.replace(native.LIBRARY_PATH)
    return True


if __name__ == "__main__":
    build()
