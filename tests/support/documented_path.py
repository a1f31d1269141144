"""Reads a path from ARCHITECTURE.md: the functions that a tick, an order or an event passes.

A path is a section with lists under headings that name a part of the mesh. An entry is
"- [`file:function`](file) what it does". A paragraph "Helpers: ..." names files that others on the
path call, and "Background tasks ...: ..." files that may run at the same time.
"""

import re
from dataclasses import dataclass, field

from tests.support.call_trace import ROOT, CallTrace

ENTRY = re.compile(r"- \[`(?P<file>[^`:]+):(?P<function>[^`]+)`\]\((?P=file)\) \S.*")
FILE = re.compile(r"`([^`]+\.py)`")


@dataclass(slots=True)
class DocumentedPath:
    """A path as it is documented."""

    functions: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """File and function of each entry, by part."""
    helpers: set[str] = field(default_factory=set)
    """Files that any part may call."""
    background: set[str] = field(default_factory=set)
    """Files that may run at the same time and have nothing to do with the path."""

    @classmethod
    def read(cls, heading: str) -> "DocumentedPath":
        """The section of ARCHITECTURE.md with this heading of the second level. Raises ValueError
        for an entry of another form, and for a section without entries."""
        text = (ROOT / "ARCHITECTURE.md").read_text()
        section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        found, part = cls(), ""
        for block in section.split("\n\n"):
            if block.startswith("### "):
                part = block.removeprefix("### ").split(":")[0].strip()
            elif block.startswith("Helpers: "):
                found.helpers.update(FILE.findall(block))
            elif block.startswith("Background tasks "):
                found.background.update(FILE.findall(block))
            for line in block.splitlines():
                if line.startswith("- "):
                    found.functions.setdefault(part, []).append(_entry(line))
        if not found.functions:
            raise ValueError(f"the section {heading!r} lists no functions")
        return found

    def differences(self, trace: CallTrace) -> list[str]:
        """Functions that ran undocumented, and documented functions that did not run."""
        found: list[str] = []
        used: set[str] = set()
        for part, entries in self.functions.items():
            ran = trace.functions(part)
            used |= ran.keys()
            documented = {file for file, _ in entries}
            found += [
                f"{part}: {file} ran and is not documented: {', '.join(ran[file])}"
                for file in ran
                if file not in documented | self.helpers | self.background
            ]
            found += [
                f"{part}: {file} did not run {function}"
                for file, function in entries
                if function not in ran.get(file, ())
            ]
        found += [f"the helper {file} did not run" for file in sorted(self.helpers - used)]
        return found


def _entry(line: str) -> tuple[str, str]:
    """File and function of an entry."""
    match = ENTRY.fullmatch(line)
    if match is None:
        raise ValueError(f"not an entry of a path: {line}")
    return match["file"], match["function"]
