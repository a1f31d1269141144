"""Words that have no place here, each with what to write instead and why."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.tidy.project import File, Finding

THIS_FOLDER = "tests/tidy/*"
"""Names the words in order to ban them."""

TEST_SLEEP_SECONDS_MAX = 0.05
STOPWATCHES = frozenset(
    {
        "time.process_time",
        "time.process_time_ns",
        "time.thread_time",
        "time.thread_time_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
    }
)
"""Clocks that only measure durations."""


@dataclass(frozen=True)
class Word:
    """A text that must not stand in any file, code or prose."""

    pattern: re.Pattern[str]
    instead: str
    why: str
    but: tuple[str, ...] = ()
    """Files that may have it."""


@dataclass(frozen=True)
class Name:
    """A dotted name that code must not use, and where that is so."""

    names: frozenset[str]
    within: tuple[str, ...]
    but: tuple[str, ...]
    instead: str
    why: str


TESTS = ("*/tests/*", "tests/*", "conftest.py")
RECORDS = ("docs/decisions/*", "CHANGELOG.md")
"""They are not written again."""

WORDS = (
    Word(
        re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"),
        "do it, or say in the docs what is not done",
        "a note to oneself is read by nobody",
    ),
    Word(
        re.compile(r"(?<![\w.])/(work|root|tmp)/\w"),
        "a path relative to the project, or a temporary folder asked of the system",
        "no other machine has this path",
    ),
    Word(
        re.compile(r"(?i)(?<!emit-)(index-url|find-links)|\"resolved\": ?\"http|registry ?= ?http"),
        "leave addresses to the machine's own configuration",
        "a mirror's address breaks the build of everyone else",
    ),
    Word(
        re.compile(r"(?i)\bissue #?\d+\b"),
        "say what the matter is",
        "the reader does not have our tracker",
    ),
    Word(
        re.compile(r"(?i)(?<!-)\banew\b|_anew\b|\bhears\b"),
        "again, rebuilt, restarted; gets, receives",
        "a process does not hear, and plain words are read once",
        but=("docs/decisions/*", "kit/execution/*"),
    ),
    Word(
        re.compile(r"(?i)\btold\b(?! (to|apart)\b)"),
        "reported, published, sent, known",
        "it does not say who does what",
        but=("docs/decisions/*", "kit/execution/*", "schema/*", "studio/*", *TESTS),
    ),
    Word(
        re.compile(r"(?i)\b(what|nothing) (has |have )?(came|comes?|becomes?) of\b"),
        "the outcome, the result, the state",
        "it has to be read twice",
        but=(*RECORDS, "schema/*"),
    ),
    Word(
        re.compile(r"(?i)\ball the same\b"),
        "still, nevertheless; equal",
        "it has two meanings",
        but=RECORDS,
    ),
)

CLOCK_NAMES = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
        "datetime.now",
        "datetime.datetime.now",
    }
)
MONEY_PATHS = (
    "kit/base/number_columns.py",
    "kit/base/numbers.py",
    "kit/marketdata/model/columns.py",
    "kit/marketdata/book/*",
    "venues/*/parse.py",
    "venues/*/history.py",
    "venues/*/instruments.py",
    "core/recorder/*",
    "core/bars/*",
    "core/history/*",
    "clients/python/venuemesh_client/*",
    "kit/storage/reader/*",
    "ops/data_files/*",
)
PROCESS_CODE = ("kit/*", "venues/*", "core/*", "gateway/*")
ANY_PEER = ("kit/storage/reader/*", *TESTS)
"""The address of a reader is that of the gateway, or of any process."""
SUPPRESS_NAMES = ("suppress", "contextlib.suppress")

NAMES = (
    Name(
        frozenset({"print"}),
        ("*.py",),
        (
            "ops/*",
            "benchmarks/*",
            "clients/python/examples/*",
            "kit/base/runtime.py",
            "tests/tidy/imports.py",
        ),
        "kit.base.telemetry.logger",
        "what a process says is a structured log line",
    ),
    Name(
        CLOCK_NAMES,
        PROCESS_CODE,
        ("kit/base/clock.py", "kit/base/telemetry.py", "kit/base/runtime.py", *TESTS),
        "the Clock that was passed in",
        "a test must be able to set the time",
    ),
    Name(
        frozenset({"float", "np.float64", "np.float32", "numpy.float64", "numpy.float32"}),
        MONEY_PATHS,
        TESTS,
        "scaled integers or decimal.Decimal",
        "0.1 + 0.2 is not 0.3, and this is money",
    ),
    Name(
        frozenset({"datetime.utcnow", "datetime.datetime.utcnow", "datetime.utcfromtimestamp"}),
        ("*.py",),
        (),
        "datetime.now(tz=UTC)",
        "it has no time zone and compares wrongly",
    ),
    Name(
        frozenset({"grpc.insecure_channel", "grpc.aio.insecure_channel"}),
        PROCESS_CODE,
        ("kit/base/rpc.py", "kit/base/tracing/exporter.py", *TESTS),
        "rpc.channel",
        "processes call each other by TLS where it is required",
    ),
    Name(
        frozenset({"NotImplementedError"}),
        ("*.py",),
        (),
        "a Protocol, or kit.base.errors.NotSupported",
        "nothing unfinished is called done",
    ),
    Name(
        frozenset({"asyncio.get_event_loop"}),
        ("*.py",),
        (),
        "asyncio.get_running_loop",
        "it may make a loop that nobody runs",
    ),
)


def banned_word(file: File) -> Iterator[Finding]:
    """No file holds one of WORDS."""
    if file.matches([THIS_FOLDER]):
        return
    for word in WORDS:
        if file.matches(word.but):
            continue
        for match in word.pattern.finditer(file.text):
            line = file.text.count("\n", 0, match.start()) + 1
            text = f"{match.group()!r}: {word.instead}; {word.why}"
            yield Finding("banned_word", file.path, line, text)


def banned_name(file: File) -> Iterator[Finding]:
    """No code uses one of NAMES where it may not."""
    if not file.is_python:
        return
    rules = [name for name in NAMES if file.matches(name.within) and not file.matches(name.but)]
    if not rules:
        return
    for line, used in _names_used(file.tree):
        for rule in rules:
            if used in rule.names:
                text = f"{used}: use {rule.instead}; {rule.why}"
                yield Finding("banned_name", file.path, line, text)


def swallowed_error(file: File) -> Iterator[Finding]:
    """No handler catches everything and says nothing."""
    for node in file.nodes:
        if isinstance(node, ast.ExceptHandler) and _is_silent(node):
            text = "catches everything: name the errors, or log what came"
            yield Finding("swallowed_error", file.path, node.lineno, text)
        if isinstance(node, ast.Call) and _suppresses_all(node):
            text = "suppresses everything: name the errors"
            yield Finding("swallowed_error", file.path, node.lineno, text)


def sleeping_test(file: File) -> Iterator[Finding]:
    """A test waits for a condition, not for time to pass."""
    for node in file.nodes if file.is_test else ():
        if not isinstance(node, ast.Call) or not node.args:
            continue
        length = node.args[0]
        if (
            _dotted(node.func) in ("asyncio.sleep", "time.sleep")
            and isinstance(length, ast.Constant)
            and isinstance(length.value, int | float)
            and length.value > TEST_SLEEP_SECONDS_MAX
        ):
            text = f"sleeps {length.value} s: wait for what it waits for, with a timeout"
            yield Finding("sleeping_test", file.path, node.lineno, text)


def unnamed_peer(file: File) -> Iterator[Finding]:
    """A call to a process of the mesh names the service that must answer."""
    if not file.matches((*PROCESS_CODE, "ops/*")) or file.matches(ANY_PEER):
        return
    for node in file.nodes:
        if not isinstance(node, ast.Call) or _dotted(node.func) != "rpc.channel":
            continue
        if len(node.args) < 3 and "service_id" not in {one.arg for one in node.keywords}:
            text = "names no service_id: with TLS any process of the mesh could answer"
            yield Finding("unnamed_peer", file.path, node.lineno, text)


def timed_test(file: File) -> Iterator[Finding]:
    """A test asserts no duration, which differs on a busy machine."""
    if not (file.is_test and file.is_python):
        return
    for node in file.nodes:
        if isinstance(node, ast.Assert) and any(map(_is_duration, ast.walk(node.test))):
            text = "asserts a duration: assert an effect, an order or a count of calls"
            yield Finding("timed_test", file.path, node.lineno, text)
    for line, used in _names_used(file.tree):
        if used in STOPWATCHES:
            text = f"{used}: count operations; only benchmarks measure time"
            yield Finding("timed_test", file.path, line, text)


def _is_duration(node: ast.AST) -> bool:
    """Whether the expression is ``clock() - before``."""
    is_difference = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)
    called = node.left if is_difference else None
    if not isinstance(called, ast.Call):
        return False
    return _dotted(called.func) in CLOCK_NAMES or _dotted(called.func).endswith("loop.time")


def _names_used(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Dotted names that are read, without those in annotations."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        name = _dotted(node)
        if isinstance(node, ast.Name | ast.Attribute) and name:
            yield node.lineno, name
            continue
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns"):
                children = value if isinstance(value, list) else [value]
                waiting += [child for child in children if isinstance(child, ast.AST)]


def _dotted(node: ast.AST | None) -> str:
    """The name as a text, for example a.b.c; empty for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def _is_silent(handler: ast.ExceptHandler) -> bool:
    says_nothing = all(isinstance(line, ast.Pass | ast.Continue) for line in handler.body)
    return handler.type is None or (says_nothing and _catches_all(handler.type))


def _suppresses_all(call: ast.Call) -> bool:
    return _dotted(call.func) in SUPPRESS_NAMES and any(map(_catches_all, call.args))


def _catches_all(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(_catches_all, caught.elts))
    return caught is None or _dotted(caught) in ("Exception", "BaseException")
