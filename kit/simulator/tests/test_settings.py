"""Settings of the simulator."""

from pathlib import Path

import pytest

from kit.base import settings
from kit.base.errors import SettingError
from kit.simulator.settings import SimulatorSettings, parse_speed


def load(**environment: str) -> SimulatorSettings:
    variables = {f"VENUEMESH_SIMULATOR_{key.upper()}": text for key, text in environment.items()}
    return settings.load(SimulatorSettings, "simulator", variables, Path("/no/such/file"))


def test_captures_are_by_venue_in_their_order():
    chosen = load(replay="binance=/a/one.jsonl,kraken=/b.gz,binance=/a/two.jsonl")
    assert chosen.captures() == {
        "binance": [Path("/a/one.jsonl"), Path("/a/two.jsonl")],
        "kraken": [Path("/b.gz")],
    }


@pytest.mark.parametrize(
    ("text", "speed"), [("1", 1.0), ("0.5", 0.5), ("100", 100.0), ("max", None)]
)
def test_speeds(text: str, speed: float | None):
    assert parse_speed(text) == speed


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("speed", "0"),
        ("speed", "-1"),
        ("speed", "nan"),
        ("speed", "inf"),
        ("speed", "fast"),
        ("replay", "/a/file"),
        ("replay", "binance="),
        ("events_per_second", "0"),
        ("funding_interval_s", "0"),
    ],
)
def test_a_wrong_setting_is_rejected_with_its_key(key: str, text: str):
    with pytest.raises(SettingError) as refused:
        load(**{key: text})
    assert refused.value.key == f"simulator.{key}"
