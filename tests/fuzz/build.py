"""Compiles the fuzz targets, with AddressSanitizer and UndefinedBehaviorSanitizer."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from kit.marketdata import native
from tests.fuzz import schemas

SOURCES = Path(native.__file__).parent / "fuzz"
TARGETS = ("frames", "classify", "copy", "books", "columns")
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fno-omit-frame-pointer", "-Wall", "-Wextra")
# Generated schemas leave out what is zero.
WARNINGS = ("-Werror", "-Wno-missing-field-initializers")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ENGINE = ("-fsanitize=fuzzer",)
COVERAGE = ("-fprofile-instr-generate", "-fcoverage-mapping")
# The readers allocate nothing, and leaks cannot be looked for in every container.
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=32"}
PROBE = "int LLVMFuzzerTestOneInput(const char *a, long b) { return a == 0 && b; }\n"
PROBE_MAIN = PROBE + "int main(void) { return LLVMFuzzerTestOneInput(0, 0); }\n"


def sanitizing_compiler(folder: Path) -> str | None:
    """A compiler whose programs run with both sanitizers."""
    named = [os.environ[name] for name in ("CC",) if os.environ.get(name)]
    return _first_that_runs([*named, "cc", "gcc", "clang"], PROBE_MAIN, SANITIZERS, folder)


def fuzzing_compiler(folder: Path) -> str | None:
    """A clang that has libFuzzer too."""
    flags = (*SANITIZERS, *ENGINE)
    return _first_that_runs(_clangs(), PROBE, flags, folder, "-runs=1")


def build_replayer(target: str, compiler: str, folder: Path, *flags: str) -> Path:
    """A program that runs files of inputs through a target; see fuzz/replay.c."""
    return _build(target, compiler, folder / f"{target}-replay", flags or SANITIZERS, "replay.c")


def build_fuzzer(target: str, compiler: str, folder: Path) -> Path:
    return _build(target, compiler, folder / f"{target}-fuzz", (*SANITIZERS, *ENGINE))


def pack(inputs: list[bytes]) -> bytes:
    """Inputs as a file for the replayer."""
    return b"".join(len(data).to_bytes(4, "little") + data for data in inputs)


def _build(target: str, compiler: str, program: Path, flags: tuple[str, ...], *more: str) -> Path:
    program.parent.mkdir(parents=True, exist_ok=True)
    (program.parent / "schemas.h").write_text(_schemas())
    sources = [str(SOURCES / name) for name in (f"{target}.c", *more)]
    include = f"-I{program.parent}"
    command = [compiler, *FLAGS, *WARNINGS, *flags, include, "-o", str(program), *sources]
    subprocess.run(command, check=True)
    return program


@cache
def _schemas() -> str:
    return schemas.header()


def _clangs() -> list[str]:
    """Names of all clangs on PATH, as Debian names them too: clang-16."""
    folders = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    versioned = {path.name for folder in folders for path in folder.glob("clang-[0-9]*")}
    return ["clang", *sorted(versioned, reverse=True)]


def _first_that_runs(
    compilers: list[str], source: str, flags: tuple[str, ...], folder: Path, *arguments: str
) -> str | None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "probe.c").write_text(source)
    program = folder / "probe"
    for compiler in compilers:
        if shutil.which(compiler) is None:
            continue
        command = [compiler, *flags, "-o", str(program), str(folder / "probe.c")]
        if _runs(command) and _runs([str(program), *arguments]):
            return compiler
    return None


def _runs(command: list[str]) -> bool:
    environment = os.environ | ENVIRONMENT
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    return done.returncode == 0
