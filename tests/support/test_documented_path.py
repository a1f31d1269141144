"""A documented path differs from a trace in both directions."""

import pytest

from tests.support.call_trace import Call, CallTrace
from tests.support.documented_path import DocumentedPath

SUBMITTER, JOURNAL, NUMBERS, CLOCK = "submitter.py", "journal.py", "numbers.py", "clock.py"


def differences(entries: list[tuple[str, str]], helpers: tuple[str, ...] = (NUMBERS,)) -> list[str]:
    """The differences from a trace of a submitter and a journal that use numbers."""
    trace = CallTrace()
    for file, function in ((SUBMITTER, "submit"), (JOURNAL, "commit"), (NUMBERS, "add")):
        trace.calls[Call("venue", file, function)] = None
    trace.calls[Call("exchange", "engine.py", "place")] = None
    return DocumentedPath({"venue": entries}, set(helpers), {CLOCK}).differences(trace)


def test_a_path_that_runs_as_documented_has_no_differences():
    assert differences([(SUBMITTER, "submit"), (JOURNAL, "commit")]) == []


def test_a_file_that_is_not_listed_is_a_difference():
    assert differences([(SUBMITTER, "submit")]) == [
        "venue: journal.py ran and is not documented: commit"
    ]


def test_a_function_that_did_not_run_is_a_difference():
    assert differences([(SUBMITTER, "submit"), (JOURNAL, "commits")]) == [
        "venue: journal.py did not run commits"
    ]


def test_a_helper_that_did_not_run_is_a_difference():
    listed = [(SUBMITTER, "submit"), (JOURNAL, "commit")]
    assert differences(listed, (NUMBERS, "text.py")) == ["the helper text.py did not run"]


@pytest.mark.parametrize(
    "heading", ["The way of a tick", "The way of an order", "The way of an event"]
)
def test_every_part_of_a_documented_path_has_functions_and_files_beside_it(heading):
    path = DocumentedPath.read(heading)
    assert "" not in path.functions
    assert all(path.functions.values())
    assert path.helpers
    assert path.background
