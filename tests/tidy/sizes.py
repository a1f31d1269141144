"""Sizes: what can be read at one sitting."""

import ast
from collections.abc import Iterator

from tests.tidy.project import File, Finding

FUNCTION_LINES_MAX = 60
CONSTRUCTOR_PARAMETERS_MAX = 6
FILE_LINES_MAX = 400
LINE_CHARACTERS_MAX = 100
FILE_BYTES_MAX = 256 * 1024
DOCUMENT_WORDS_MAX = {"ARCHITECTURE.md": 1_500}
"""By path. What is reference belongs into docs/."""
SOURCES = ("*.py", "*.proto", "*.sql", "*.c", "*.h", "*.ts", "*.tsx")
COPIED = ("proto/buf/*", "proto/google/*")
"""From others, unchanged: see proto/README.md."""


def function_length(file: File) -> Iterator[Finding]:
    """A function does one thing, in at most FUNCTION_LINES_MAX lines."""
    for node in file.nodes:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            text = f"{node.name} has {lines} lines, more than {FUNCTION_LINES_MAX}"
            excess = lines - FUNCTION_LINES_MAX
            yield Finding("function_length", file.path, node.lineno, text, excess)


def constructor_parameters(file: File) -> Iterator[Finding]:
    """A class is made from at most CONSTRUCTOR_PARAMETERS_MAX parts."""
    for node in file.nodes:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            excess = len(named) - 1 - CONSTRUCTOR_PARAMETERS_MAX
            if excess > 0:
                text = f"{len(named) - 1} parameters, more than {CONSTRUCTOR_PARAMETERS_MAX}"
                yield Finding("constructor_parameters", file.path, node.lineno, text, excess)


def file_length(file: File) -> Iterator[Finding]:
    """A file has one subject, in at most FILE_LINES_MAX lines."""
    lines = len(file.lines)
    if _is_source(file) and lines > FILE_LINES_MAX:
        text = f"{lines} lines, more than {FILE_LINES_MAX}"
        yield Finding("file_length", file.path, lines, text, lines - FILE_LINES_MAX)


def line_length(file: File) -> Iterator[Finding]:
    """A line fits beside another file on one screen."""
    for number, line in enumerate(file.lines, 1) if _is_source(file) else ():
        if len(line) > LINE_CHARACTERS_MAX:
            text = f"{len(line)} characters, more than {LINE_CHARACTERS_MAX}"
            yield Finding("line_length", file.path, number, text)


def file_size(file: File) -> Iterator[Finding]:
    """The repository holds what people write, not data."""
    if len(file.content) > FILE_BYTES_MAX:
        text = f"{len(file.content)} bytes, more than {FILE_BYTES_MAX}"
        yield Finding("file_size", file.path, 1, text)


def document_length(file: File) -> Iterator[Finding]:
    """A document that everybody reads first has at most DOCUMENT_WORDS_MAX words."""
    words_max = DOCUMENT_WORDS_MAX.get(file.path)
    words = len(file.text.split()) if words_max is not None else 0
    if words_max is not None and words > words_max:
        text = f"{words} words, more than {words_max}: move reference into docs/"
        yield Finding("document_length", file.path, 1, text, words - words_max)


def generated_code(file: File) -> Iterator[Finding]:
    """Generated code is made from its source, not kept."""
    if any(mark in line for line in file.lines[:5] for mark in ("DO NOT EDIT", "@generated")):
        yield Finding("generated_code", file.path, 1, "generated code; git must not keep it")


def _is_source(file: File) -> bool:
    return file.matches(SOURCES) and not file.matches(COPIED)
