"""Runs a fuzz target for some processor time, and compares its corpus with the references."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import build, schemas
from tests.fuzz.references import Difference, check_agreement

INPUT_BYTES_MAX = 4_096
NICENESS = 10
EXECUTIONS = re.compile(r"number_of_executed_units: (\d+)")
BRANCHES = re.compile(r"cov: (\d+)")
SHORTEST_RUN_S = 2


@dataclass(frozen=True)
class Result:
    """What a campaign has done."""

    seconds: float
    """Processor time."""
    executions: int
    edges: int
    """Edges of the compiled code that the corpus reaches, the target's own included."""
    inputs: int
    findings: list[str]

    def text(self) -> str:
        return (
            f"{self.seconds:.0f} s of processor time, {self.executions:,} executions,"
            f" {self.edges} edges, {self.inputs:,} inputs in the corpus,"
            f" {len(self.findings)} findings"
        )


class Campaign:
    """One target with its corpus. A finding is an input in the folder ``findings``."""

    def __init__(self, target: str, compiler: str, programs: Path, folder: Path) -> None:
        self.target, self.compiler, self.programs = target, compiler, programs
        self.corpus = folder / target / "corpus"
        self.findings = folder / target / "findings"
        for made in (self.corpus, self.findings):
            made.mkdir(parents=True, exist_ok=True)
        self._log = folder / target / "log.txt"

    def add(self, inputs: list[bytes]) -> None:
        for data in inputs:
            self._keep(self.corpus, data)

    def inputs(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.corpus.iterdir())]

    def run(self, seconds: float) -> Result:
        """Fuzz for so much processor time, or until the first finding, then compare."""
        program = build.build_fuzzer(self.target, self.compiler, self.programs)
        words = self.programs / "frames.dict"
        words.write_text(schemas.dictionary())
        spent, executions, edges, code = 0.0, 0, 0, 0
        while code == 0 and seconds - spent >= SHORTEST_RUN_S:
            options = [
                f"-max_total_time={max(1, round(seconds - spent))}",
                f"-max_len={INPUT_BYTES_MAX}",
                f"-artifact_prefix={self.findings}/",
                "-print_final_stats=1",
            ]
            if self.target in ("frames", "classify"):
                options.append(f"-dict={words}")
            before = os.times()
            code = self._start(program, [*options, str(self.corpus)])
            after = os.times()
            spent += after.children_user - before.children_user
            spent += after.children_system - before.children_system
            log = self._log.read_text(errors="replace")
            executions += int((EXECUTIONS.findall(log) or ["0"])[-1])
            edges = int((BRANCHES.findall(log) or ["0"])[-1])
        found = [] if code == 0 else self._report(log)
        inputs = self.inputs()
        found += self._compare(inputs)
        return Result(spent, executions, edges, len(inputs), found)

    def replay(self, path: Path) -> int:
        """Run one input through the target and the comparison. Returns the exit code."""
        program = build.build_fuzzer(self.target, self.compiler, self.programs)
        code = subprocess.run([str(program), str(path)], check=False).returncode
        if code == 0:
            check_agreement(self.target, path.read_bytes())
        return code

    def _start(self, program: Path, arguments: list[str]) -> int:
        with self._log.open("wb") as log:
            return subprocess.run(
                ["nice", "-n", str(NICENESS), str(program), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                env=os.environ | build.ENVIRONMENT,
            ).returncode

    def _report(self, log: str) -> list[str]:
        """Print why the program ended, and how to see it again."""
        reason = re.findall(r".*(?:ERROR: |runtime error: |not true: ).*", log)
        written = re.findall(r"Test unit written to (\S+)", log)
        text = f"{(reason or ['the program ended'])[0]}\n" + "".join(map(self._how, written))
        sys.stdout.write(f"{text}see {self._log}\n")
        return [text]

    def _compare(self, inputs: list[bytes]) -> list[str]:
        found = []
        for data in inputs:
            try:
                check_agreement(self.target, data)
            except Difference as error:
                path = self._keep(self.findings, data)
                found.append(f"{error}\n{self._how(path)}")
                sys.stdout.write(found[-1])
        return found

    def _how(self, path: object) -> str:
        command = f"python -m tests.fuzz {self.target} --replay {path}"
        return f"again: PYTHONPATH=.:gen .venv/bin/{command}\n"

    def _keep(self, folder: Path, data: bytes) -> Path:
        path = folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()
        path.write_bytes(data)
        return path


def measure_coverage(campaign: Campaign) -> str:
    """The lines of the C file that the corpus runs; "" without llvm-cov."""
    suffix = campaign.compiler.removeprefix("clang")
    tools = [f"llvm-profdata{suffix}", f"llvm-cov{suffix}"]
    if not all(map(shutil.which, tools)):
        return ""
    folder = campaign.programs
    arguments = campaign.target, campaign.compiler, folder / "covered", *build.COVERAGE
    program = build.build_replayer(*arguments)
    packed, raw, merged = (folder / f"covered.{kind}" for kind in ("inputs", "raw", "merged"))
    packed.write_bytes(build.pack(campaign.inputs()))
    environment = os.environ | {"LLVM_PROFILE_FILE": str(raw)}
    subprocess.run([str(program), str(packed)], check=True, env=environment)
    subprocess.run([tools[0], "merge", "-o", str(merged), str(raw)], check=True)
    command = [tools[1], "report", str(program), f"-instr-profile={merged}"]
    report = subprocess.run(
        [*command, *(str(path) for path in build.SOURCES.parent.glob("*.[ch]"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [line.split() for line in report.splitlines() if re.match(r"\S+\.[ch]\s", line)]
    covered = [(Path(row[0]).name, row[9]) for row in rows if row[9] != "0.00%"]
    return ", ".join(f"{name}: {share} of the lines" for name, share in covered)
