"""Files as Binance's public archive has them, and a look at what became of them."""

import zipfile
from pathlib import Path

import psycopg

from ops.data_files.file_reader import read
from ops.data_files.importer import ImportResult, ImportTarget, take

START_MS = 1_722_470_400_000
"""2024-08-01."""
NOW_NS = (START_MS + 400 * 86_400_000) * 10**6
DAY_MS = 86_400_000
SYMBOL = "BTCUSDT"


def trade_lines(first_id: int, count: int, start_ms: int = START_MS, step_ms: int = 1000, scale=1):
    """Spot trades, without a header."""
    return [
        f"{number},{60000 + number % 7}.50,0.0{1 + number % 9}000,600.1,"
        f"{(start_ms + place * step_ms) * scale},{number % 2 == 0},True"
        for place, number in enumerate(range(first_id, first_id + count))
    ]


def aggregate_lines(count: int, start_ms: int = START_MS):
    """Futures' aggregates of two trades each."""
    return [
        f"{number},60000.5,0.02,{1 + 2 * number},{2 + 2 * number},{start_ms + number},true"
        for number in range(count)
    ]


def kline_lines(count: int, minutes: int = 1):
    """Candles that follow each other."""
    length = minutes * 60_000
    return [
        f"{START_MS + number * length},1.5,2.5,1.0,2.0,10.5,"
        f"{START_MS + (number + 1) * length - 1},21.0,5,4.5,9.0,0"
        for number in range(count)
    ]


def csv_file(folder: Path, lines, name: str = "file.csv") -> Path:
    """A file of these lines."""
    file = folder / name
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def zip_file(folder: Path, lines) -> Path:
    """A zip with one CSV in it."""
    file = folder / "file.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(csv_file(folder, lines), "file.csv")
    return file


async def take_file(
    url: str, file: Path, layout: str = "binance-archive", now_ns: int = NOW_NS
) -> ImportResult:
    """As the command does."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        parts = read(file, layout, SYMBOL, now_ns)
        return await take(connection, parts, ImportTarget("binance", SYMBOL, file.name))


def rows(url: str, query: str) -> list[tuple]:
    """The rows of the database."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()
