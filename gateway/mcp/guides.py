"""Documents that a model can read: runbooks, the schema of the database, guides to strategies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.service_contracts import ROOT

SCHEME = "venuemesh://"
MARKDOWN = "text/markdown"
CHARACTERS_MAX = 100_000
URI_LENGTH_MAX = 128
FOLDERS: Mapping[str, str] = {
    "runbooks": "ops/runbooks",
    "strategies": "docs/strategies",
}
"""Each Markdown file of a folder is a document."""
FILES: Mapping[str, str] = {
    "guides/schema": "docs/SCHEMA.md",
    "guides/strategies": "docs/STRATEGIES.md",
}


@dataclass(frozen=True, slots=True)
class Guide:
    """One document."""

    uri: str
    title: str
    """Its first heading."""
    file: Path

    def read(self) -> str:
        """The text. Raises OSError."""
        return self.file.read_text()[:CHARACTERS_MAX]


def guides(root: Path = ROOT) -> dict[str, Guide]:
    """The documents that are there, by their URIs. An image need not have them."""
    files = {name: root / path for name, path in FILES.items()}
    for group, folder in FOLDERS.items():
        files |= {
            f"{group}/{file.stem}": file
            for file in sorted((root / folder).glob("*.md"))
            if file.stem != "README"
        }
    found = (Guide(f"{SCHEME}{name}", _title(file), file) for name, file in files.items())
    return {guide.uri: guide for guide in found if guide.title}


def _title(file: Path) -> str:
    try:
        with file.open() as text:
            return text.readline().removeprefix("#").strip()
    except FileNotFoundError:
        return ""
