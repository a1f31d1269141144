"""The figures of a process."""

from kit.base.telemetry import Meter


def test_less_than_none_waiting_is_none():
    meter = Meter("bars")
    meter.waiting(-1)
    assert meter.status().lag_entries == 0
    meter.waiting(3)
    assert meter.status().lag_entries == 3
