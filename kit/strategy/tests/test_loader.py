"""Files of strategies, and what is said of wrong ones."""

from pathlib import Path

import pytest

from kit.strategy.loader import StrategyFileError, load_file, load_folder

ROOT = Path(__file__).parents[3]
RIGHT = """\
from kit.features.indicators import close, ema
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

mine = Strategy(
    name="mine",
    instruments=("binance/BTCUSDT",),
    interval="1s",
    account="paper",
    rules=(Rule(name="up", condition=close > ema(3)),),
    threshold=0.5,
    position=PositionSize(notional="25", stop_distance=close * 0.01),
    expiry_s=15,
)
"""


def load(tmp_path, text):
    file = tmp_path / "mine.py"
    file.write_text(text)
    return load_file(file)


def test_a_file_is_loaded_and_its_version_is_its_content(tmp_path):
    (first,) = load(tmp_path, RIGHT)
    assert (first.strategy.name, first.strategy.cooldown_s) == ("mine", 60)
    (second,) = load(tmp_path, RIGHT + "\n")
    assert first.version != second.version
    (again,) = load(tmp_path, RIGHT)
    assert again.version == first.version


@pytest.mark.parametrize(
    ("before", "after", "line", "reason"),
    [
        ("close > ema(3)", "close > * 3", 9, "invalid syntax"),
        ("close > ema(3)", "close > emma(3)", 9, "NameError: name 'emma' is not defined"),
        ("close > ema(3)", "close > ema(0)", 9, "a period of 0 bars; allowed are 1 to 100000"),
        ("close > ema(3)", "close > ema(100_000)", 4, "sum of all periods is"),
        ("close > ema(3)", "'up'", 9, "condition is 'up'; allowed: an expression"),
        ("close > ema(3)", "close > 1 and close > 2", 9, "TypeError: (1 < close) has no value"),
        ('"1s"', '"2s"', 4, "interval is '2s'; allowed: 1s, 5s"),
        ('"binance/BTCUSDT"', '"BTCUSDT"', 4, "instruments is 'BTCUSDT'; allowed: venue id"),
        ('("binance/BTCUSDT",)', "()", 4, "instruments is (); allowed: a tuple, not empty"),
        ("threshold=0.5", "threshold=1.5", 4, "threshold is 1.5; allowed: above 0, up to 1"),
        ("expiry_s=15", "expiry_s=0", 4, "expiry_s is 0; allowed: a whole number from 1"),
        ("    expiry_s=15,\n", "", 4, "missing 1 required keyword-only argument: 'expiry_s'"),
        ("expiry_s", "expire_s", 4, "unexpected keyword argument 'expire_s'"),
        ('notional="25"', 'notional="much"', 11, "'much' is no decimal number"),
        ('notional="25"', 'notional="-1"', 11, "notional is '-1'; allowed: decimal text above 0"),
        ('notional="25"', 'notional="NaN"', 11, "notional is 'NaN'"),
        ('notional="25", ', "", 11, "notional and risk_fraction are both empty"),
        ('name="up"', 'name="Up!"', 9, "name is 'Up!'; allowed: up to 48 lower-case letters"),
        ('name="up", ', 'name="up", score=2, ', 9, "score is 2; allowed: -1 to 1, not 0"),
        ('name="up", ', 'name="up", veto=True, ', 4, "each is a veto"),
        (
            "    position",
            '    exits=(Exit(name="part", condition=close > 1, fraction="1.5"),),\n    position',
            11,
            "fraction is '1.5'; allowed: decimal text above 0, up to 1",
        ),
        ("mine = ", "", 1, "no name of the file is a Strategy"),
        ("mine = ", "raise SystemExit(3)\nmine = ", 4, "SystemExit: 3"),
    ],
)
def test_an_error_names_the_line_and_the_reason(tmp_path, before, after, line, reason):
    assert before in RIGHT
    with pytest.raises(StrategyFileError) as caught:
        load(tmp_path, RIGHT.replace(before, after, 1))
    assert reason in caught.value.reason
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{tmp_path / 'mine.py'}:{line}: ")


def test_a_file_that_is_not_there_is_an_error_of_the_file(tmp_path):
    with pytest.raises(StrategyFileError, match=r"none\.py:1: No such file"):
        load_file(tmp_path / "none.py")


def test_a_wrong_file_does_not_keep_the_others_from_being_used(tmp_path):
    (tmp_path / "a.py").write_text(RIGHT)
    (tmp_path / "b.py").write_text("1 / 0")
    (tmp_path / "c.py").write_text(RIGHT)
    (tmp_path / "d.py").write_text(RIGHT.replace('"mine"', '"yours"'))
    (tmp_path / "e.txt").write_text("no strategy")
    found = load_folder(tmp_path)
    assert [(one.strategy.name, one.file.name) for one in found.strategies] == [
        ("mine", "a.py"),
        ("yours", "d.py"),
    ]
    assert [error.file.name for error in found.errors] == ["b.py", "c.py"]
    assert found.errors[1].reason == "a.py has a strategy of the name 'mine' already"


def test_the_example_of_a_new_mesh_is_right():
    found = load_folder(ROOT / "strategies")
    assert [one.strategy.name for one in found.strategies] == ["ema_cross"]
    assert not found.errors
