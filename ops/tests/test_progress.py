"""Progress bars are shown on a terminal only."""

import os
import pty
import subprocess
import sys

import pytest

from ops.project import ROOT

PROGRAM = """
import sys
from ops.progress import progress
with progress("export [x]", as_json="--json" in sys.argv) as show:
    show(3, 10, "rows [y]")
    print("result")
"""


def run(*arguments, stderr):
    """What is printed on stdout."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(("arguments", "shown"), [((), True), (("--json",), False)])
def test_a_terminal_shows_how_far_the_work_is(arguments, shown):
    ours, terminal = pty.openpty()
    try:
        assert run(*arguments, stderr=terminal) == "result\n"
        os.write(terminal, b"\0")
        text = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(terminal)
    assert ("export [x]" in text and "3/10" in text and "rows [y]" in text) == shown


def test_a_file_has_no_progress_in_it(tmp_path):
    with (tmp_path / "errors").open("w+") as errors:
        assert run(stderr=errors) == "result\n"
        errors.seek(0)
        assert errors.read() == ""
