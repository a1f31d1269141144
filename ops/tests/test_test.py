"""What ``./venuemesh test`` makes of how its parts have ended."""

import subprocess

import pytest

from ops.commands import test
from ops.commands.test import AGAIN_MAX, TESTS_FAILED, _Played

WHOLE = _Played(0, [])
ONE_FAILED = _Played(TESTS_FAILED, ["tests/a.py::test_b"])


@pytest.fixture
def second_time(monkeypatch):
    """What is played once more, and how that ends."""

    class SecondTime:
        def __init__(self):
            self.code, self.played = 0, []

        def run(self, command, check):
            self.played = [word for word in command if "::" in word]
            return subprocess.CompletedProcess(command, self.code)

    found = SecondTime()
    monkeypatch.setattr(test.subprocess, "run", found.run)
    return found


def test_nothing_is_played_again_when_all_passed(second_time):
    assert test._judge([WHOLE, WHOLE]) == 0
    assert second_time.played == []


def test_what_passes_the_second_time_is_named(second_time, capsys):
    assert test._judge([WHOLE, ONE_FAILED]) == 0
    assert second_time.played == ONE_FAILED.failed
    assert "UNSTEADY, passed the second time: tests/a.py::test_b" in capsys.readouterr().out


def test_what_fails_twice_has_failed(second_time):
    second_time.code = TESTS_FAILED
    assert test._judge([ONE_FAILED, WHOLE]) == TESTS_FAILED


def test_many_that_fail_do_not_fail_by_the_weather(second_time):
    half = _Played(TESTS_FAILED, [f"tests/a.py::test_{n}" for n in range(AGAIN_MAX)])
    assert test._judge([half, ONE_FAILED]) == TESTS_FAILED
    assert second_time.played == []


@pytest.mark.parametrize("code", [-9, 2, 5])
def test_a_part_that_did_not_come_to_its_end_has_failed(second_time, code):
    assert test._judge([ONE_FAILED, _Played(code, [])]) != 0
    assert second_time.played == []
