"""Documentation and assertions: what code owes to its reader."""

import ast
import re
from collections.abc import Iterable, Iterator

from tests.tidy.project import File, Finding

Function = ast.FunctionDef | ast.AsyncFunctionDef
EMPTY_WORDS_MAX = 4
ADDS_SOMETHING = re.compile(
    r"[`{}\"0-9<>_=/]|Raises|None|Metadata|Section|POST|GET|UTC|HMAC|Unix|RFC|\b(ns|ms)\b"
)
CHECKING = re.compile(r"_*(raises|warns|fail|(assert|check|expect)(_\w+)?)")
"""Names of functions that fail a test. ``checkpoint``, ``expected`` and ``failed`` are none."""


def docstrings(files: Iterable[File]) -> Iterator[Finding]:
    """Modules and public classes have a docstring.

    Functions and methods have one only if it adds something to the name and the types.
    """
    for file in files:
        if not file.is_python or file.is_test or not file.text.strip():
            continue
        if ast.get_docstring(file.tree) is None:
            yield Finding("docstrings", file.path, 1, "module has no docstring")
        for node in file.tree.body:
            is_public_class = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
            if is_public_class and ast.get_docstring(node) is None:
                text = f"{node.name} has no docstring"
                yield Finding("docstrings", file.path, node.lineno, text)


def empty_docstring(file: File) -> Iterator[Finding]:
    """No docstring of a function is a few plain words that only repeat its name.

    Shapes, units, errors, values and literals add something, however short. A docstring that is the
    whole body of a Protocol's method stays.
    """
    for node in file.nodes if not file.is_test else ():
        if not isinstance(node, Function) or len(node.body) == 1:
            continue
        text = ast.get_docstring(node) or ""
        if text and len(text.split()) <= EMPTY_WORDS_MAX and not ADDS_SOMETHING.search(text):
            finding = f"{node.name}: {text!r} adds nothing; say more, or nothing"
            yield Finding("empty_docstring", file.path, node.lineno, finding)


def assertions(file: File) -> Iterator[Finding]:
    """A test that checks nothing proves nothing.

    Counted are assert of more than a constant, pytest.raises and the like, and helpers named
    check_…, assert_… or expect_….
    """
    if not file.is_python or not file.path.rpartition("/")[2].startswith("test_"):
        return
    for node in file.nodes:
        if not isinstance(node, Function) or not node.name.startswith("test_"):
            continue
        if not any(map(_checks, ast.walk(node))):
            text = f"{node.name} asserts nothing"
            yield Finding("assertions", file.path, node.lineno, text)


def _checks(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant)
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return CHECKING.fullmatch(name) is not None
