"""Fuzzes the compiled readers, guided by coverage, with inputs made from captures.

python -m tests.fuzz                        every target, ten minutes of processor time each
python -m tests.fuzz frames --minutes 1     one of them
python -m tests.fuzz frames --replay FILE   run one input again
"""

import argparse
import os
import sys
from pathlib import Path

from tests.fuzz import build, seeds
from tests.fuzz.campaign import Campaign, measure_coverage

ROOT = Path(__file__).resolve().parents[2]
NO_COMPILER = "no clang with libFuzzer: install clang-16, libclang-rt-16-dev and llvm-16"


def main() -> int:
    """Run the command line. Returns the exit code: 1 with findings."""
    arguments = _arguments()
    folder: Path = arguments.folder
    compiler = build.fuzzing_compiler(folder / "programs")
    if compiler is None:
        sys.stderr.write(f"venuemesh: {NO_COMPILER}\n")
        return 2
    programs = folder / "programs"
    if arguments.replay is not None:
        return Campaign(arguments.targets[0], compiler, programs, folder).replay(arguments.replay)
    made = [seeds.samples()]
    if arguments.captures.is_dir():
        made.append(seeds.from_captures(arguments.captures))
    else:
        _print("no captures: set VENUEMESH_CAPTURES to their folder; only made-up seeds are used")
    failed = 0
    for target in arguments.targets or build.TARGETS:
        campaign = Campaign(target, compiler, programs, folder)
        campaign.add([seed for group in made for seed in group[target]])
        result = campaign.run(round(60 * arguments.minutes))
        covered = measure_coverage(campaign)
        _print(f"{target}: {result.text()}{f', {covered}' if covered else ''}")
        failed += bool(result.findings)
    return bool(failed)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    captures = os.environ.get("VENUEMESH_CAPTURES", ROOT.parent / "shared" / "captures")
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(build.TARGETS))
    parser.add_argument("--minutes", type=float, default=10, help="processor time of a target")
    parser.add_argument("--replay", type=Path, help="run this input alone")
    parser.add_argument("--captures", type=Path, default=captures, help="folder of captures")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "data" / "fuzz", help="corpora, findings, programs"
    )
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.targets) - set(build.TARGETS))
    if unknown:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(build.TARGETS)}")
    if arguments.replay is not None and len(arguments.targets) != 1:
        parser.error("--replay needs the one target that the input is for")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
