"""Documentation and assertions: what code owes to its reader."""

import ast
from collections.abc import Iterable, Iterator

from tests.tidy.project import File, Finding

Function = ast.FunctionDef | ast.AsyncFunctionDef
CHECK_PREFIXES = ("assert", "check", "expect", "raises", "warns", "fail")


def docstrings(files: Iterable[File]) -> Iterator[Finding]:
    """Public modules, classes and functions say what they are.

    A method needs no words of its own where a Protocol documents it, or a base class does: gRPC
    servicers are documented in the contract.
    """
    sources = [file for file in files if file.is_python and not file.is_test]
    documented = {name for file in sources for name in _protocol_methods(file.tree)}
    for file in sources:
        if not file.text.strip():
            continue
        if ast.get_docstring(file.tree) is None:
            yield _undocumented(file, 1, "module")
        for node in _public(file.tree.body):
            if ast.get_docstring(node) is None:
                yield _undocumented(file, node.lineno, node.name)
            if isinstance(node, ast.ClassDef) and not _inherits(node):
                for method in _public(node.body):
                    if method.name not in documented and ast.get_docstring(method) is None:
                        yield _undocumented(file, method.lineno, f"{node.name}.{method.name}")


def assertions(file: File) -> Iterator[Finding]:
    """A test that checks nothing proves nothing.

    Counted are assert, pytest.raises and the like, and helpers named check_… or assert_….
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
        return True
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name.lstrip("_").startswith(CHECK_PREFIXES)


def _public(body: Iterable[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def _inherits(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base) not in ("Protocol", "msgspec.Struct") for base in node.bases)


def _protocol_methods(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and "Protocol" in map(_base_name, node.bases):
            for method in _public(node.body):
                if ast.get_docstring(method) is not None:
                    yield method.name


def _base_name(base: ast.expr) -> str:
    return ast.unparse(base.value if isinstance(base, ast.Subscript) else base)


def _undocumented(file: File, line: int, name: str) -> Finding:
    return Finding("docstrings", file.path, line, f"{name} has no docstring")
