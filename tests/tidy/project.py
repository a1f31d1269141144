"""The files that the rules look at: everything of ours that git would keep."""

import ast
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class File:
    """One file. Its path is relative to the root, with slashes."""

    path: str
    content: bytes = field(repr=False)

    @cached_property
    def text(self) -> str:
        """The content as text; empty when it is not text."""
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            return ""

    @cached_property
    def lines(self) -> list[str]:
        """The text in lines."""
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree of a Python file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree of a Python file; of another file, none."""
        return list(ast.walk(self.tree)) if self.is_python else []

    @property
    def is_python(self) -> bool:
        """Whether it is Python of ours."""
        return self.path.endswith(".py")

    @property
    def is_test(self) -> bool:
        """Whether it is a test, or helps one."""
        parts = self.path.split("/")
        return "tests" in parts[:-1] or parts[-1] == "conftest.py"

    def matches(self, patterns: Iterable[str]) -> bool:
        """Whether its path is among these patterns, in which * also goes over slashes."""
        return any(fnmatch(self.path, pattern) for pattern in patterns)


@dataclass(frozen=True)
class Finding:
    """Something that a rule does not allow."""

    rule: str
    path: str
    line: int
    text: str
    amount: int = 1
    """How much is wrong: lines too many, or 1. Waivers are measured in it."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text} [{self.rule}]"


def read_project(root: Path = ROOT) -> list[File]:
    """Every file under root but links and what the .gitignore files name, by path."""
    files: list[File] = []
    ignored: list[str] = [".git"]
    for folder, names, file_names in os.walk(root):
        base = Path(folder).relative_to(root).as_posix().removeprefix(".")
        prefix = f"{base}/" if base else ""
        if ".gitignore" in file_names:
            ignored += _patterns(Path(folder, ".gitignore"), prefix)
        names[:] = [name for name in names if not _is_ignored(prefix, name, ignored)]
        files += [
            File(prefix + name, Path(folder, name).read_bytes())
            for name in file_names
            if not _is_ignored(prefix, name, ignored) and not Path(folder, name).is_symlink()
        ]
    return sorted(files, key=lambda file: file.path)


def _patterns(gitignore: Path, prefix: str) -> list[str]:
    """Names, and paths that hold a slash; the rest of git's pattern language is not used here."""
    lines = (line.strip().rstrip("/") for line in gitignore.read_text().splitlines())
    wanted = (line for line in lines if line and not line.startswith("#"))
    return [prefix + line.removeprefix("/") if "/" in line else line for line in wanted]


def _is_ignored(prefix: str, name: str, ignored: list[str]) -> bool:
    return any(fnmatch(prefix + name if "/" in line else name, line) for line in ignored)
