import pytest

from core.bars.settings import BarsSettings
from kit.base.errors import SettingError
from kit.base.settings import load


def test_kinds_are_for_all_instruments_unless_one_has_its_own(tmp_path) -> None:
    file = tmp_path / "venuemesh.toml"
    file.write_text(
        '[bars]\nkinds = ["tick:1000"]\n'
        '[bars.kinds_of]\n"binance/BTCUSDT" = ["volume:50", "renko:25"]\n"okx/BTC-USDT" = []\n'
    )
    settings = load(BarsSettings, "bars", {}, file)
    found = [
        [spec.text for spec in settings.specs(venue_id, symbol)]
        for venue_id, symbol in (("okx", "X"), ("binance", "BTCUSDT"), ("okx", "BTC-USDT"))
    ]
    assert found == [["tick:1000"], ["volume:50", "renko:25"], []]


def test_kinds_and_names_come_from_the_environment() -> None:
    environment = {"VENUEMESH_BARS_KINDS": "tick:5, runs:20", "VENUEMESH_BARS_INSTANCE": "2"}
    settings = load(BarsSettings, "bars", environment)
    assert (settings.kinds, settings.instance) == (("tick:5", "runs:20"), "2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": ("tick:0",)},
        {"kinds_of": {"binance/BTCUSDT": ("candle:1",)}},
        {"instance": "Two"},
        {"lease_seconds": 0.1},
        {"store_interval_ms": 0},
    ],
)
def test_unusable_settings_are_rejected(wrong) -> None:
    with pytest.raises(SettingError):
        BarsSettings(**wrong)
