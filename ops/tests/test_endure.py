"""The table that ``./venuemesh endure`` prints."""

import pytest

from kit.conformance.endurance import EnduranceResult
from ops import cli
from ops.commands import endure


def test_the_table_is_whole_where_the_output_is_narrow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(venue_id: str, *arguments: object, **options: object) -> list[EnduranceResult]:
        doubts = (0.25, 1.5, 12.75)
        return [EnduranceResult(venue_id, "duplicate", 333_333, 123_456, [], 1_234, 5_678, doubts)]

    monkeypatch.setattr(endure, "endure", play)
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["endure", "binance_futures"]) == 0
    head, row, *_ = capsys.readouterr().out.splitlines()
    assert head.split() == " ".join(endure.COLUMNS).split()
    figures = ["333,333", "123,456", "0", "1,234", "5,678", "3", "1.50", "12.75"]
    assert row.split() == ["binance_futures", "duplicate", *figures]
