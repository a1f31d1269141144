"""Reads a path from ARCHITECTURE.md: which functions do what to a tick or an order, part by part.

A path is a section with tables of three columns (file, function, what it does) under headings that
name a part of the mesh. A paragraph "Helpers: ..." names files that others on the path call, and
"Background tasks ...: ..." files that may run at the same time.
"""

import re
from dataclasses import dataclass, field

from tests.support.call_trace import ROOT, CallTrace

ROW = re.compile(r"\| \[`(?P<file>[^`]+)`\]\((?P=file)\) \| `(?P<function>[^`]+)` \| \S.* \|")
FILE = re.compile(r"`([^`]+\.py)`")


@dataclass(slots=True)
class DocumentedPath:
    """A path as it is documented."""

    functions: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """File and function of each row, by part."""
    helpers: set[str] = field(default_factory=set)
    """Files that any part may call."""
    background: set[str] = field(default_factory=set)
    """Files that may run at the same time and have nothing to do with the path."""

    @classmethod
    def read(cls, heading: str) -> "DocumentedPath":
        """The section of ARCHITECTURE.md with this heading of the second level."""
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
            for row in ROW.finditer(block):
                found.functions.setdefault(part, []).append((row["file"], row["function"]))
        return found

    def differences(self, trace: CallTrace) -> list[str]:
        """What ran and is not documented, and what is documented and did not run."""
        found: list[str] = []
        used: set[str] = set()
        for part, rows in self.functions.items():
            ran = trace.functions(part)
            used |= ran.keys()
            documented = {file for file, _ in rows}
            found += [
                f"{part}: {file} ran and is not documented: {', '.join(ran[file])}"
                for file in ran
                if file not in documented | self.helpers | self.background
            ]
            found += [
                f"{part}: {file} did not run {function}"
                for file, function in rows
                if function not in ran.get(file, ())
            ]
        found += [f"the helper {file} did not run" for file in sorted(self.helpers - used)]
        return found
