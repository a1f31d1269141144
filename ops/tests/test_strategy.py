"""``./venuemesh strategy check``."""

import json
from pathlib import Path

from ops import cli

EXAMPLE = Path(__file__).parents[2] / "strategies" / "ema_cross.py"


def test_a_right_file_is_told_of(capsys):
    assert cli.main(["strategy", "check", str(EXAMPLE)]) == 0
    said = capsys.readouterr().out
    assert "ema_cross: 2 rules on 1s bars of binance/BTCUSDT" in said
    assert f"next, while a mesh runs: ./venuemesh strategy run {EXAMPLE}" in said
    assert cli.main(["strategy", "check", str(EXAMPLE), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["problems"], found["strategies"][0]["exits"]) == ([], ["cross_back"])


def test_a_wrong_file_ends_with_1_its_line_and_the_reason(tmp_path, capsys):
    file = tmp_path / "wrong.py"
    file.write_text(EXAMPLE.read_text().replace("ema(5)", "ema(0)"))
    line = EXAMPLE.read_text().splitlines().index("fast, slow = ema(5), ema(13)") + 1
    reason = "ema: a period of 0 bars; allowed are 1 to 100000"
    assert cli.main(["strategy", "check", str(file)]) == 1
    assert capsys.readouterr().out == f"{file}:{line}: {reason}\n"
    assert cli.main(["strategy", "check", str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == [{"line": line, "reason": reason}]


def test_a_new_file_is_right_and_has_parameters(tmp_path, capsys):
    file = tmp_path / "trend.py"
    assert cli.main(["strategy", "new", str(file)]) == 0
    assert cli.main(["strategy", "check", str(file)]) == 0
    assert "trend: 2 rules on 1s bars" in capsys.readouterr().out
    assert cli.main(["strategy", "check", str(file), "--set", "fast=8", "--json"]) == 0
    faster = json.loads(capsys.readouterr().out)["strategies"][0]["version"]
    assert cli.main(["strategy", "check", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["strategies"][0]["version"] != faster
    assert cli.main(["strategy", "check", str(file), "--set", "fats=8"]) == 1
    assert "there is no parameter 'fats'" in capsys.readouterr().out
    for wrong in ([str(file)], [str(tmp_path / "Trend.py")], [str(tmp_path / "trend.txt")]):
        assert cli.main(["strategy", "new", *wrong]) == 2
