"""Files of postings have every amount, exactly."""

import csv
import re
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import pyarrow.parquet as parquet
import pytest
from venuemesh.ledger.v1 import postings_pb2

from core.ledger.accounts import AccountCode, AccountKey
from core.ledger.postings import Posting, PostingGroup, PostingKind
from core.ledger.store import StoredGroup
from ops.errors import UsageError
from ops.ledger.exports import FORMATS, write_groups

LARGE, SMALL = 10**36 - 1, 1


def key(code: AccountCode, asset: str, symbol: str = "", strategy: str = "") -> AccountKey:
    return AccountKey(code, "binance", "main", asset, symbol, strategy)


GROUPS = [
    PostingGroup(
        "opening",
        PostingKind.OPENING,
        86_400_000_000_000,
        (Posting(key(AccountCode.CASH, "USDT"), key(AccountCode.EXTERNAL, "USDT"), LARGE),),
        caller="desk-3",
        detail='a "first" balance\nin two lines, with a comma',
    ),
    PostingGroup(
        "ev-01",
        PostingKind.FILL,
        0,
        (
            Posting(
                key(AccountCode.POSITION, "contract/binance/1000PEPEUSDT", "1000PEPEUSDT", "s_1"),
                key(AccountCode.EXTERNAL, "contract/binance/1000PEPEUSDT", "1000PEPEUSDT"),
                SMALL,
            ),
            Posting(
                key(AccountCode.FEES, "1INCH", "1000PEPEUSDT", "s-1"),
                key(AccountCode.CASH, "1INCH"),
                10**18,
            ),
        ),
        event_id=b"\x01",
    ),
]


def messages() -> list[postings_pb2.BookedGroup]:
    return [
        StoredGroup(number, group, 2 * 86_400_000_000_000, b"hash").message()
        for number, group in enumerate(GROUPS, 1)
    ]


async def stream():
    for message in messages():
        yield message


async def written(tmp_path, kind: str):
    path = tmp_path / f"postings.{kind}"
    assert await write_groups(stream(), kind, path) == 2
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    return path


async def test_csv_has_one_row_for_each_posting(tmp_path):
    path = await written(tmp_path, "csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["amount"] for row in rows] == [
        "999999999999999999.999999999999999999",
        "0.000000000000000001",
        "1",
    ]
    assert rows[0]["detail"] == GROUPS[0].detail
    assert [row["debit_strategy"] for row in rows] == ["", "s_1", "s-1"]
    assert [row["time_ns"] for row in rows] == ["86400000000000", *["172800000000000"] * 2]


async def test_parquet_has_exact_amounts(tmp_path):
    table = parquet.read_table(await written(tmp_path, "parquet"))
    assert [amount.as_py() for amount in table["amount"]] == [
        Decimal("999999999999999999.999999999999999999"),
        Decimal("0.000000000000000001"),
        Decimal(1),
    ]
    assert table["group_number"].to_pylist() == [1, 2, 2]
    assert table["event_id"].to_pylist() == ["", "01", "01"]


async def test_beancount_balances_and_opens_each_account_first(tmp_path):
    text = (await written(tmp_path, "beancount")).read_text()
    opened = dict(line.split(" open ")[::-1] for line in text.splitlines() if " open " in line)
    sums: defaultdict[str, Fraction] = defaultdict(Fraction)
    used = set()
    for block in text.split("\n\n"):
        if " * " not in block:
            continue
        day = block[:10]
        for line in block.splitlines()[2:]:
            name, amount, commodity = line.split()
            sums[commodity] += Fraction(amount)
            used.add(name)
            assert opened[name] <= day
            assert re.fullmatch(r"[A-Z][A-Za-z0-9-]*(:[A-Z0-9][A-Za-z0-9-]*)+", name)
            assert re.fullmatch(r"[A-Z][A-Z0-9._-]{0,22}[A-Z0-9]", commodity)
        assert not any(sums.values())
    assert used == opened.keys()
    # Two strategies whose names look alike have an account each.
    assert len(sums) == 3
    assert len({name for name in used if "S-1" in name}) == 2


async def test_a_file_that_fails_is_not_there(tmp_path):
    async def broken():
        yield messages()[0]
        raise ConnectionError

    for kind in FORMATS:
        with pytest.raises(ConnectionError):
            await write_groups(broken(), kind, tmp_path / "file")
    with pytest.raises(UsageError):
        await write_groups(broken(), "xlsx", tmp_path / "file")
    assert not list(tmp_path.iterdir())
