"""Documents point at what exists: links, their anchors, and paths in code letters."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from tests.tidy.project import File, Finding

LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
PATH = re.compile(r"`((?:kit|core|venues|gateway|ops|proto|schema|docs|benchmarks)/[\w./-]*[\w-])`")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
HISTORY = ("CHANGELOG.md", "docs/decisions/*")
"""They tell of files as they were."""
NUMBERED = re.compile(r"(?:docs/decisions|schema)/(\d{4})[-_]")


def dead_links(files: Iterable[File]) -> Iterator[Finding]:
    """No document points at a file, a folder or a heading that is not there."""
    texts = {file.path: file.text for file in files}
    known = {*texts, *(folder for path in texts for folder in _parents(path))}
    for file in files:
        if not file.path.endswith(".md") or file.matches(HISTORY):
            continue
        for number, line in enumerate(file.lines, 1):
            for target in _dead(file.path, line, known, texts):
                yield Finding("dead_links", file.path, number, f"{target} does not exist")


def repeated_numbers(files: Iterable[File]) -> Iterator[Finding]:
    """A decision, and a migration, has a number of its own."""
    first: dict[str, str] = {}
    for path in sorted(file.path for file in files):
        match = NUMBERED.match(path)
        other = first.setdefault(match[0], path) if match else path
        if other != path:
            yield Finding("repeated_numbers", path, 1, f"{other} has the same number")


def _dead(path: str, line: str, known: Iterable[str], texts: Mapping[str, str]) -> Iterator[str]:
    folder = posixpath.dirname(path)
    for match in LINK.finditer(line):
        if "://" in match[1]:
            continue
        target = posixpath.normpath(posixpath.join(folder, match[1])) if match[1] else path
        if target not in known:
            yield match[1]
        elif match[2] and match[2] not in _anchors(texts.get(target, "")):
            yield f"{match[1]}#{match[2]}"
    for match in PATH.finditer(line):
        if not {match[1], posixpath.join(folder, match[1])} & set(known):
            yield match[1]


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    slugs = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(text))
    return {slug.replace(" ", "-") for slug in slugs}
