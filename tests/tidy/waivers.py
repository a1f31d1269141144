"""Findings that are forgiven, with a reason each, and by no more than is needed."""

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.tidy.project import Finding

WAIVERS_FILE = Path(__file__).with_name("waivers.toml")
REASON_CHARACTERS_MIN = 20


@dataclass(frozen=True)
class Waiver:
    """Forgives findings of one rule in one file, by an exact amount."""

    rule: str
    path: str
    amount: int
    reason: str

    def __post_init__(self) -> None:
        if len(self.reason) < REASON_CHARACTERS_MIN or self.amount < 1:
            raise ValueError(f"a waiver needs an amount and a reason in a sentence: {self}")


def read_waivers(file: Path = WAIVERS_FILE) -> list[Waiver]:
    """The waivers of the project."""
    found = tomllib.loads(file.read_text()).get("waiver", [])
    return [Waiver(**waiver) for waiver in found]


def complaints(findings: Iterable[Finding], waivers: Iterable[Waiver]) -> list[str]:
    """What is wrong after the waivers: findings beyond them, and waivers beyond findings."""
    grouped: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        grouped[finding.rule, finding.path].append(finding)
    lines: list[str] = []
    for waiver in waivers:
        forgiven = grouped.pop((waiver.rule, waiver.path), [])
        amount = sum(finding.amount for finding in forgiven)
        if amount > waiver.amount:
            lines += [f"{finding} beyond the waiver of {waiver.amount}" for finding in forgiven]
        elif amount < waiver.amount:
            lines.append(
                f"{WAIVERS_FILE.name}: {waiver.rule} in {waiver.path} forgives {waiver.amount}, "
                f"{amount} is needed: lower or remove it"
            )
    return lines + [str(finding) for group in grouped.values() for finding in group]
