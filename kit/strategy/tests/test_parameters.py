"""Parameters of strategy files."""

import pytest

from kit.strategy.loader import StrategyFileError, load_file, load_instance

TEXT = """\
from kit.features.indicators import close, ema
from kit.strategy.parameters import flag_parameter, parameter, text_parameter
from kit.strategy.strategy import PositionSize, Rule, Strategy

mine = Strategy(
    name="mine",
    instruments=(text_parameter("instrument", "binance/BTCUSDT"),),
    interval="1s",
    account="paper",
    rules=(Rule(name="up", condition=close > ema(parameter("period", 3, least=2, most=9))),),
    threshold=parameter("threshold", 0.5),
    position=PositionSize(notional="25", stop_distance=close * 0.01),
    expiry_s=15,
    acts_on_incomplete_bars=flag_parameter("incomplete", default=False),
)
"""


@pytest.fixture
def file(tmp_path):
    found = tmp_path / "mine.py"
    found.write_text(TEXT)
    return found


def test_each_kind_of_parameter_has_its_default_or_what_is_given(file):
    (default,) = load_file(file)
    given = {"instrument": "okx/BTC-USDT", "threshold": "0.75", "incomplete": "true"}
    (other,) = load_file(file, given)
    assert (default.strategy.threshold, other.strategy.threshold) == (0.5, 0.75)
    assert other.strategy.instruments == ("okx/BTC-USDT",)
    assert other.strategy.acts_on_incomplete_bars
    assert not default.strategy.acts_on_incomplete_bars


def test_other_values_are_another_version(file):
    versions = [load_file(file, given)[0].version for given in ({}, {"period": "3"}, {})]
    assert versions[0] == versions[2] != versions[1]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"period": "1"}, "parameter period is 1; allowed: at least 2 and at most 9"),
        ({"period": "10"}, "parameter period is 10; allowed: at least 2 and at most 9"),
        ({"period": "3.5"}, "parameter period is '3.5'; allowed: a whole number"),
        ({"threshold": "much"}, "parameter threshold is 'much'; allowed: a number"),
        ({"threshold": "nan"}, "parameter threshold is 'nan'; allowed: a finite number"),
        ({"incomplete": "yes"}, "parameter incomplete is 'yes'; allowed: true, false"),
        ({"perod": "3"}, "there is no parameter 'perod'"),
    ],
)
def test_a_wrong_value_is_an_error_of_the_file(file, given, reason):
    with pytest.raises(StrategyFileError, match=r"mine\.py") as caught:
        load_file(file, given)
    assert reason in caught.value.reason


def test_a_name_that_is_there_twice_is_an_error(file):
    file.write_text(TEXT.replace('"threshold", 0.5', '"period", 0.5'))
    with pytest.raises(StrategyFileError, match="parameter 'period' is there twice"):
        load_file(file)


def test_an_instance_has_a_name_of_its_own(file):
    source = file.read_bytes()
    assert load_instance(file, source, {}, "", "other").strategy.name == "other"
    assert load_instance(file, source, {}, "mine", "").strategy.name == "mine"
    for content, strategy, reason in (
        (source, "yours", "the file has no strategy 'yours'; it has: mine"),
        (source, "", "name is 'Wrong!'"),
    ):
        with pytest.raises(StrategyFileError) as caught:
            load_instance(file, content, {}, strategy, "" if strategy else "Wrong!")
        assert reason in caught.value.reason
