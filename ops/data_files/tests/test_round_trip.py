"""Export, and import of what was exported, as the commands do it."""

import asyncio

import pyarrow.parquet as parquet
import pytest

from ops.cli import main
from ops.data_files.tests.files import (
    START_MS,
    SYMBOL,
    csv_file,
    kline_lines,
    rows,
    take_file,
    trade_lines,
)

ALL = "SELECT * FROM trade_rows ORDER BY venue_time_ns, trade_id, trade_id_text"
TEXT_TRADE = (
    "INSERT INTO trade_rows (instrument_id, venue_time_ns, received_time_ns, trade_id_text, side,"
    " price, size) VALUES (1, 1722470400000000001, 1722470400000000007, 'a-ß', 0, -5.25,"
    " 0.00000001) RETURNING 1"
)


@pytest.fixture
async def url(postgres_url, tmp_path):
    await take_file(postgres_url, csv_file(tmp_path, trade_lines(1, 250)))
    assert rows(postgres_url, TEXT_TRADE) == [(1,)]
    return postgres_url


def export(url, file, *more):
    names = ["--venue", "binance", "--symbol", SYMBOL, "--database", url]
    return main(["export", str(file), *names, *more])


@pytest.mark.parametrize("kind", ["parquet", "csv"])
async def test_what_was_exported_comes_back_equal(url, tmp_path, kind, capsys):
    file = tmp_path / f"trades.{kind}"
    before = rows(url, ALL)
    assert await run(export, url, file, "--channel", "trades", "--format", kind) == 0
    assert "251 rows" in capsys.readouterr().out
    rows(url, "DELETE FROM trade_rows RETURNING 1")
    outcome = await take_file(url, file, kind)
    assert outcome.added == 251
    assert rows(url, ALL) == before
    assert (await take_file(url, file, kind)).added == 0


async def test_a_range_and_no_rows_at_all(url, tmp_path):
    file = tmp_path / "trades.parquet"
    trades = ("--channel", "trades", "--format", "parquet")
    times = ("--from", "2024-08-01T00:01:00Z", "--to", "2024-08-01T00:02:00")
    assert await run(export, url, file, *trades, *times) == 0
    assert parquet.read_table(file).num_rows == 60
    assert await run(export, url, file, *trades, "--to", "2020-01-01") == 0
    assert parquet.read_table(file).schema.names[:3] == ["symbol", "price", "size"]


async def test_candles_and_bars_are_exported_too(url, tmp_path):
    await take_file(url, csv_file(tmp_path, kline_lines(5)))
    file = tmp_path / "candles.csv"
    assert await run(export, url, file, "--channel", "candles", "--format", "csv") == 0
    header, first, *_ = file.read_text().splitlines()
    assert header.startswith("symbol,interval_s,open_time_ns,open,high,low,close,volume,closed")
    assert first.startswith("BTCUSDT,60,1722470400000000000,1.5,2.5,1,2,10.5,true")
    bars = ("--channel", "bars", "--interval", "1m", "--format", "csv")
    assert await run(export, url, tmp_path / "bars.csv", *bars) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--channel", "bars", "--format", "csv"), "--interval"),
        (("--channel", "trades", "--format", "csv", "--from", "soon"), "not a time"),
        (
            (
                "--channel",
                "trades",
                "--format",
                "csv",
                "--from",
                "2024-08-02",
                "--to",
                "2024-08-01",
            ),
            "before",
        ),
        (("--channel", "trades", "--format", "csv", "--venue", "mars"), "recorded"),
    ],
)
async def test_a_refused_export_leaves_the_file_that_was_there(url, tmp_path, more, words, capsys):
    folder = tmp_path / "out"
    folder.mkdir()
    file = folder / "kept.csv"
    file.write_text("kept")
    assert await run(export, url, file, *more) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert file.read_text() == "kept"
    assert list(folder.iterdir()) == [file]


async def test_import_says_what_became_of_the_rows(url, tmp_path, capsys):
    file = csv_file(tmp_path, trade_lines(200, 100, START_MS + 199_000), "BTCUSDT-trades.csv")
    names = ["--venue", "binance", "--symbol", SYMBOL, "--database", url]
    arguments = ["import", str(file), *names, "--layout", "binance-archive"]
    assert await run(main, arguments) == 0
    assert "100 read, 49 added" in capsys.readouterr().out
    assert await run(main, ["import", str(tmp_path / "none.csv"), *names]) == 1
    assert "no file" in capsys.readouterr().err
    names[1] = "mars"
    assert await run(main, ["import", str(file), *names]) == 1
    assert "no venue 'mars'" in capsys.readouterr().err


async def run(function, *arguments):
    """Beside this event loop: the command brings its own."""
    return await asyncio.to_thread(function, *arguments)
