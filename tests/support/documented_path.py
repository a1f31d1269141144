"""Reads the documented path of a tick, an order or an event.

A path is a section of ARCHITECTURE.md with tables under headings that name a part of the mesh. A
row is "|[`file:function`](file)|role|". The section of docs/TRACES.md with the same heading has a
paragraph "Helpers: ...", the files that functions of the path call, and a paragraph "Background
tasks ...: ...", the files that may run at the same time.
"""

import re
from dataclasses import dataclass, field

from tests.support.call_trace import ROOT, CallTrace

ROW = re.compile(r"\|\[`(?P<file>[^`:]+):(?P<function>[^`]+)`\]\((?P=file)\)\|\S.*\|")
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
        """The sections with this heading of the second level. Raises ValueError for a row of
        another form, and for a section without rows."""
        found, part = cls(), ""
        for line in _section("ARCHITECTURE.md", heading).splitlines():
            if line.startswith("### "):
                part = line.removeprefix("### ").split(":")[0].strip()
            elif line.startswith("|["):
                found.functions.setdefault(part, []).append(_row(line))
        for block in _section("docs/TRACES.md", heading).split("\n\n"):
            if block.startswith("Helpers: "):
                found.helpers.update(FILE.findall(block))
            elif block.startswith("Background tasks "):
                found.background.update(FILE.findall(block))
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


def _section(document: str, heading: str) -> str:
    text = (ROOT / document).read_text()
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0].strip()


def _row(line: str) -> tuple[str, str]:
    """File and function of a row."""
    match = ROW.fullmatch(line)
    if match is None:
        raise ValueError(f"not a row of a path: {line}")
    return match["file"], match["function"]
