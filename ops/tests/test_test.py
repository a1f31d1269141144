"""What ``./venuemesh test`` makes of how its parts have ended."""

import subprocess

import pytest

from ops.commands import test
from ops.commands.test import AGAIN_MAX, TESTS_FAILED, _Played

WHOLE = _Played(0, [])
ONE_FAILED = _Played(TESTS_FAILED, ["tests/a.py::test_b"])


@pytest.fixture
def second_time(monkeypatch, tmp_path):
    """The second run of failed tests, and its exit code."""

    class SecondTime:
        def __init__(self):
            self.code, self.played = 0, []

        def run(self, command, check):
            self.played = [word for word in command if "::" in word]
            return subprocess.CompletedProcess(command, self.code)

    found = SecondTime()
    unsteady = tmp_path / "unsteady.toml"
    unsteady.write_text('[unsteady]\n"tests/a.py::test_known" = "a reason"\n')
    monkeypatch.setattr(test, "UNSTEADY", unsteady)
    monkeypatch.setattr(test.subprocess, "run", found.run)
    return found


def test_nothing_is_played_again_if_all_passed(second_time):
    assert test._judge([WHOLE, WHOLE]) == 0
    assert second_time.played == []


def test_an_unsteady_test_fails_the_run_and_is_named(second_time, capsys):
    assert test._judge([WHOLE, ONE_FAILED]) == TESTS_FAILED
    assert second_time.played == ONE_FAILED.failed
    assert "UNSTEADY, passed the second time: tests/a.py::test_b (not in" in capsys.readouterr().out


def test_an_unsteady_test_on_the_list_is_named_with_its_reason(second_time, capsys):
    known = _Played(TESTS_FAILED, ["tests/a.py::test_known"])
    assert test._judge([WHOLE, known]) == 0
    assert "tests/a.py::test_known (a reason)" in capsys.readouterr().out
    assert test._judge([ONE_FAILED, known]) == TESTS_FAILED


def test_the_list_of_unsteady_tests_can_be_read():
    assert all(len(reason) >= 20 for reason in test._known_unsteady().values())


def test_a_test_that_fails_twice_has_failed(second_time):
    second_time.code = TESTS_FAILED
    assert test._judge([ONE_FAILED, WHOLE]) == TESTS_FAILED


def test_many_failures_are_not_played_again(second_time):
    half = _Played(TESTS_FAILED, [f"tests/a.py::test_{n}" for n in range(AGAIN_MAX)])
    assert test._judge([half, ONE_FAILED]) == TESTS_FAILED
    assert second_time.played == []


@pytest.mark.parametrize("code", [-9, 2, 5])
def test_a_part_that_was_cut_short_has_failed(second_time, code):
    assert test._judge([ONE_FAILED, _Played(code, [])]) != 0
    assert second_time.played == []
