"""Each rule bites, and only where it should."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.tidy import links, prose, retired_names, siblings, sizes, words
from tests.tidy.project import File, Finding, read_project
from tests.tidy.waivers import Waiver, complaints

REASON = "the venue's own word, which has no other name"


def python(text: str, path: str = "kit/example.py") -> File:
    return File(path, text.encode())


def folder(parent: str, names: Iterable[str]) -> list[File]:
    return [File(f"{parent}/{name}", b"") for name in names]


def function_of(lines: int) -> str:
    return "def long() -> None:\n" + "    work()\n" * (lines - 1)


def test_a_function_may_have_sixty_lines_and_no_more() -> None:
    assert not list(sizes.function_length(python(function_of(60))))
    (finding,) = sizes.function_length(python("\n" + function_of(63)))
    assert (finding.line, finding.amount) == (2, 3)


def test_a_constructor_may_have_six_parameters_and_no_more() -> None:
    def made(count: int) -> File:
        names = ", ".join(f"p{number}" for number in range(count - 1))
        return python(f"class A:\n    def __init__(self, {names}, *, last):\n        pass\n")

    assert not list(sizes.constructor_parameters(made(6)))
    (finding,) = sizes.constructor_parameters(made(8))
    assert (finding.line, finding.amount) == (2, 2)


def test_an_inner_function_is_measured_too() -> None:
    inner = "".join(f"    {line}\n" for line in function_of(61).splitlines())
    found = list(sizes.function_length(python(f"def outer() -> None:\n{inner}")))
    assert [finding.text.split()[0] for finding in found] == ["outer", "long"]


@pytest.mark.parametrize("path", ["kit/a.py", "proto/a.proto", "kit/a.c", "studio/a.tsx"])
def test_files_and_lines_have_a_length(path: str) -> None:
    long_line = File(path, b"x" * 101)
    long_file = File(path, b"x\n" * 402)
    assert [finding.line for finding in sizes.line_length(long_line)] == [1]
    assert [finding.amount for finding in sizes.file_length(long_file)] == [2]
    assert not list(sizes.line_length(File(path, "é".encode() * 100)))
    assert not list(sizes.file_length(File(path, b"x\n" * 400)))


def test_data_and_generated_code_are_not_kept() -> None:
    assert list(sizes.file_size(File("docs/picture.png", b"\xff" * (256 * 1024 + 1))))
    assert list(sizes.generated_code(File("kit/a_pb2.py", b"# Generated. DO NOT EDIT!")))
    assert not list(sizes.file_size(File("docs/picture.png", b"\xff" * 256 * 1024)))


def test_a_first_document_has_a_length() -> None:
    (finding,) = sizes.document_length(File("ARCHITECTURE.md", b"word " * 1_503))
    assert finding.amount == 3
    assert not list(sizes.document_length(File("ARCHITECTURE.md", b"word " * 1_500)))
    assert not list(sizes.document_length(File("docs/ORDERS.md", b"word " * 1_503)))


@pytest.mark.parametrize(
    "text",
    [
        "# TODO later",
        "cp x " + "/".join(("", "work", "x")),
        "cd " + "/".join(("", "root", "x")),
        'open("/tmp/x")',
        "--index-url https://mirror",
        '"resolved": "https://mirror/x.tgz"',
        "see issue #12",
        "What came of an order",
        "nothing has become of it",
        "It is booked all the same.",
        "as issue 3 says",
    ],
)
def test_banned_words_bite_in_any_file(text: str) -> None:
    for path in ("docs/a.md", "kit/a.py", "Dockerfile"):
        assert len(list(words.banned_word(File(path, f"fine\n{text}\n".encode())))) == 1


@pytest.mark.parametrize(
    "text",
    ["no issue here", "venues/workers/x", "--no-emit-index-url", "the todo list", "a/tmp/x"],
)
def test_harmless_words_pass(text: str) -> None:
    assert not list(words.banned_word(File("docs/a.md", text.encode())))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("kit/a.py", "print(1)"),
        ("core/bars/a.py", "from decimal import Decimal\nx = float(1)"),
        ("venues/x/parse.py", "values.astype(float)"),
        ("venues/x/parse.py", "np.array(values, dtype=np.float64)"),
        ("core/ingest/a.py", "at = time.time_ns()"),
        ("gateway/a.py", "clock = time.monotonic"),
        ("ops/a.py", "datetime.utcnow()"),
        ("kit/a.py", "raise NotImplementedError"),
    ],
)
def test_banned_names_bite(path: str, code: str) -> None:
    assert len(list(words.banned_name(python(code, path)))) == 1


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("ops/a.py", "print(1)"),
        ("kit/a.py", "# print(1)\ntext = 'print(1)'"),
        ("core/bars/a.py", "def f(timeout_s: float) -> float:\n    wait_s: float = g()"),
        ("core/bars/tests/test_a.py", "assert float('1') == 1"),
        ("kit/statistics.py", "float(1)"),
        ("kit/base/clock.py", "time.time_ns()"),
        ("core/bars/a.py", "clock.time_ns()"),
    ],
)
def test_allowed_names_pass(path: str, code: str) -> None:
    assert not list(words.banned_name(python(code, path)))


@pytest.mark.parametrize(
    ("code", "amount"),
    [
        ("try:\n    f()\nexcept:\n    log()", 1),
        ("try:\n    f()\nexcept Exception:\n    pass", 1),
        (
            "while x:\n    try:\n        f()\n    except (OSError, Exception):\n        continue",
            1,
        ),
        ("with contextlib.suppress(Exception):\n    f()", 1),
        ("try:\n    f()\nexcept OSError:\n    pass", 0),
        ("try:\n    f()\nexcept Exception:\n    log()", 0),
        ("with suppress(OSError):\n    f()", 0),
    ],
)
def test_errors_are_not_swallowed(code: str, amount: int) -> None:
    assert len(list(words.swallowed_error(python(code)))) == amount


def test_tests_do_not_sleep() -> None:
    code = "await asyncio.sleep(0.2)\nawait asyncio.sleep(0.01)\ntime.sleep(1)\ntime.sleep(step)"
    found = words.sleeping_test(python(code, "kit/tests/test_a.py"))
    assert sorted(finding.line for finding in found) == [1, 3]
    assert not list(words.sleeping_test(python(code, "kit/a.py")))


def test_tests_assert_no_durations() -> None:
    code = (
        "assert time.monotonic() - began < 1\nassert loop.time() - began > 0.1\n"
        "began = time.process_time()\nassert time.monotonic() < deadline\n"
        "record(time.monotonic() - began)"
    )
    found = words.timed_test(python(code, "kit/tests/test_a.py"))
    assert [finding.line for finding in found] == [1, 2, 3]
    assert not list(words.timed_test(python(code, "benchmarks/a.py")))


def test_calls_of_processes_name_the_service() -> None:
    code = "rpc.channel(a)\nrpc.channel(a, service_id=b)\nrpc.channel(a, c, b)\nrpc.channel(a, c)"
    found = words.unnamed_peer(python(code, "core/bars/a.py"))
    assert [finding.line for finding in found] == [1, 4]
    assert not list(words.unnamed_peer(python(code, "core/bars/tests/test_a.py")))


def test_modules_and_public_classes_have_docstrings() -> None:
    code = '"""Module."""\nclass Public: ...\nclass _Private: ...\ndef function(): ...\n'
    found = [finding.text.split()[0] for finding in prose.docstrings([python(code)])]
    assert found == ["Public"]
    assert [f.text for f in prose.docstrings([python("a = 1")])] == ["module has no docstring"]
    assert not list(prose.docstrings([python(code, "kit/tests/test_a.py")]))


@pytest.mark.parametrize(
    ("docstring", "is_empty"),
    [
        ("The orders.", True),
        ("Return all orders.", True),
        ("Raises OrderRejected.", False),
        ("The time, ns.", False),
        ("``BTCUSDT``", False),
        ("Return the orders that are open, oldest first.", False),
    ],
)
def test_a_docstring_that_repeats_the_name_is_found(docstring: str, is_empty: bool) -> None:
    code = f'def orders():\n    """{docstring}"""\n    return 1\n'
    assert bool(list(prose.empty_docstring(python(code)))) is is_empty
    assert not list(prose.empty_docstring(python(f'def orders():\n    """{docstring}"""\n')))


def test_services_are_alike() -> None:
    whole = folder("core/bars", ["__init__.py", "app.py", "settings.py", "tests/test_a.py"])
    assert not list(siblings.service_folders(whole))
    assert [finding.text for finding in siblings.service_folders(whole[:2])] == [
        "settings.py is missing",
        "tests is missing",
    ]


def test_a_servicer_stands_in_service_py() -> None:
    code = "class Bars(bars_pb2_grpc.BarsServicer):\n    pass"
    whole = folder("core/bars", ["__init__.py", "app.py", "settings.py", "tests/test_a.py"])
    wrong = siblings.service_folders([*whole, python(code, "core/bars/answers.py")])
    right = siblings.service_folders([*whole, python(code, "core/bars/service.py")])
    assert [finding.path for finding in wrong] == ["core/bars/answers.py"]
    assert not list(right)


def test_venues_are_alike() -> None:
    whole = folder("venues/x", siblings.VENUE_ROLES)
    assert not list(siblings.venue_folders(whole))
    assert [f.text for f in siblings.venue_folders(whole[1:])] == ["__init__.py is missing"]
    trades = folder("venues/x", (*siblings.VENUE_ROLES, *siblings.ORDER_ROLES))
    assert not list(siblings.venue_folders(trades))
    texts = [finding.text for finding in siblings.venue_folders(trades[:-1])]
    assert texts == [f"{siblings.ORDER_ROLES[-1]} is missing"]
    order_socket = File("venues/x/order_socket.py", b"")
    assert not list(siblings.venue_folders([*trades, order_socket]))
    assert len(list(siblings.venue_folders([*whole, order_socket]))) == 1
    more = [*whole, File("venues/x/helpers.py", b"")]
    assert [f.text for f in siblings.venue_folders(more)] == [
        "helpers.py is in no other venue folder"
    ]


def test_simulators_are_alike() -> None:
    whole = folder("venues/x/simulator", siblings.SIMULATOR_ROLES)
    assert not list(siblings.simulator_folders(whole))
    assert [one.text for one in siblings.simulator_folders(whole[1:])] == ["__init__.py is missing"]
    trades = [*whole, *folder("venues/x/simulator", siblings.SIMULATOR_ORDER_ROLES)]
    assert not list(siblings.simulator_folders(trades))
    missing = [one.text for one in siblings.simulator_folders(trades[:-1])]
    assert missing == [f"{siblings.SIMULATOR_ORDER_ROLES[-1]} is missing"]
    faults = File("venues/x/simulator/faults.py", b"")
    assert not list(siblings.simulator_folders([*whole, faults]))
    more = [*whole, File("venues/x/simulator/pairs.py", b"")]
    texts = [one.text for one in siblings.simulator_folders(more)]
    assert texts == ["pairs.py is in no other simulator"]


def test_tests_folders_are_packages_with_tests() -> None:
    assert not list(siblings.tests_beside_code(folder("kit/tests", ["__init__.py", "test_a.py"])))
    assert len(list(siblings.tests_beside_code(folder("kit/tests", ["help.py"])))) == 2


@pytest.mark.parametrize(
    ("waived", "said"),
    [(3, ""), (2, "beyond the waiver of 2"), (4, "lower or remove it")],
)
def test_a_waiver_forgives_exactly_what_is_there(waived: int, said: str) -> None:
    found = [Finding("r", "kit/a.py", 1, "long", 2), Finding("r", "kit/a.py", 9, "long", 1)]
    left = complaints(found, [Waiver("r", "kit/a.py", waived, REASON)])
    assert bool(left) == bool(said)
    assert all(said in line for line in left)


def test_a_waiver_for_nothing_is_a_complaint() -> None:
    (line,) = complaints([], [Waiver("r", "kit/a.py", 1, REASON)])
    assert "0 is needed" in line


def test_a_waiver_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        Waiver("r", "kit/a.py", 1, "because")


def test_ignored_files_and_links_are_not_read(tmp_path: Path) -> None:
    for path in (".gitignore", "a.py", "gen/b.py", "web/.gitignore", "web/src/made/c.ts", "d.pyc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / ".gitignore").write_text("gen/\n*.pyc\n")
    (tmp_path / "web/.gitignore").write_text("src/made/\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    assert [file.path for file in read_project(tmp_path)] == [
        ".gitignore",
        "a.py",
        "web/.gitignore",
    ]


def test_a_link_to_nothing_is_found() -> None:
    there = File("docs/there.md", b"# A heading, with `code`\n")
    text = b"[a](there.md#a-heading-with-code) [b](http://x/y) `docs/there.md`"
    assert not list(links.dead_links([there, File("docs/page.md", text)]))
    for text in (b"[a](gone.md)", b"[a](there.md#gone)", b"`docs/gone.md`", b"[a](#gone)"):
        assert list(links.dead_links([there, File("docs/page.md", text)]))


def test_a_number_that_two_records_have_is_found() -> None:
    def found(*paths: str) -> list[Finding]:
        return list(links.repeated_numbers(File(path, b"") for path in paths))

    assert not found("docs/decisions/0001-a.md", "docs/decisions/0002-b.md", "schema/0001_a.sql")
    assert found("docs/decisions/0001-a.md", "docs/decisions/0001-b.md")
    assert found("schema/0001_a.sql", "schema/0001_b.sql")


def test_a_retired_name_is_found_where_it_says_nothing() -> None:
    found = retired_names.retired_name
    assert list(found(python("class Pilot: ...", "kit/execution/a.py")))
    assert list(found(python("class Entry: ...", "kit/execution/a.py")))
    assert not list(found(python("class Entry: ...", "core/ledger/a.py")))
    assert list(found(python("batch.twin_cursor", "core/ingest/a.py")))
    assert list(found(File("ops/alerts.yml", b"venuemesh_twin_covers == 0")))
    assert not list(found(File("docs/decisions/0001-a.md", b"twin_cursor")))
    assert list(found(File("venues/x/hearing.py", b"")))
    assert list(found(File("proto/venuemesh/history/v1/a.proto", b"enum Order {\n")))
    assert not list(found(File("proto/venuemesh/tradeflow/v1/a.proto", b"message Fill {\n")))


@pytest.mark.parametrize(
    ("line", "has_check"),
    [
        ("assert found == 1", True),
        ("with pytest.raises(ValueError): f()", True),
        ("await rig.check_sent(3)", True),
        ("venue.check()", True),
        ("assert True", False),
        ("found = checkpoint_signed(3)", False),
        ("found = expected(3)", False),
        ("answer = failed(3)", False),
        ("f()", False),
    ],
)
def test_a_test_without_a_check_is_found(line: str, has_check: bool) -> None:
    code = f"async def test_it():\n    {line}\n"
    assert bool(list(prose.assertions(python(code, "kit/tests/test_a.py")))) is not has_check
