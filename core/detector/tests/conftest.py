import pytest

from core.detector import bar_feed


@pytest.fixture(autouse=True)
def _bars_are_recorded_at_once(monkeypatch):
    monkeypatch.setattr(bar_feed, "STORED_SECONDS", 0.0)
