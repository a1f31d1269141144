"""Open the data folder of a mesh of an earlier version with this version, and compare.

    PYTHONPATH=.:gen .venv/bin/python -m tests.compatibility.earlier_mesh COMMIT [--seconds 90]

A mesh of the commit runs for some time with orders on paper. Then a mesh of this version runs on
the same folder. Rows of the database, answers of History, and orders must be the same as before, no
process may log an error, and new rows must be recorded. Exits with 1 and the differences otherwise.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from conftest import free_port
from ops.embedded import postgres
from ops.embedded.store_passwords import StorePasswords
from tests.integration.mesh import ROOT, Mesh, free_base_port, new_folder

VENUES = ("binance", "okx", "binance_futures")
DERIVATIVES = ("binance_futures",)
PAPER = "paper"
INSTRUMENTS = {"binance": "BTCUSDT", "okx": "BTC-USDT", "binance_futures": "BTCUSDT"}
SETTINGS = {"VENUEMESH_ORDERS_PAPER_ACCOUNTS": ",".join(f"{venue}/{PAPER}" for venue in VENUES)}
ORDERS = (("buy", "0.02"), ("sell", "0.01"), ("buy", "0.01", "--price", "40000"))
BARS_SETTLE_S = 30
"""Bars that closed so long ago are not amended any more."""

TABLES: Mapping[str, str] = {
    "instruments": "",
    "trade_rows": "",
    "quote_rows": "",
    "ticker_rows": "",
    "mark_rows": "",
    "book_batch_rows": "",
    "frame_rows": "",
    "gap_rows": "",
    "bars": "WHERE final",
    "imported_spans": "",
}
"""The tables whose rows stay as they are, and which of them."""
MAY_CHANGE = {"fill_outcome", "filled_time_ns", "repair_id", "written_time_ns"}
"""Columns that Repair fills in, or that tell when a row was written."""
FOLLOWS_MARKET = {"as_of_time_ns", "free", "unrealized_profit", "mark_price"}
"""Fields of balances and positions that change with the price."""
Rows = dict[str, Counter[str]]
Columns = dict[str, str]
Answers = dict[str, Any]


@contextmanager
def version_of(commit: str) -> Iterator[Path]:
    """The files of a commit in a folder of their own, with its generated stubs."""
    with tempfile.TemporaryDirectory(prefix="venuemesh-earlier-") as name:
        tree = Path(name) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            (tree / ".venv").symlink_to((ROOT / ".venv").resolve())
            generate_code(tree)
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def generate_code(root: Path) -> None:
    """Bring the stubs and the compiled parts of a version up to date, as its launcher does."""
    environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'gen'}"}
    for module in re.findall(r"-m (ops\.\w+) \|\|", (root / "venuemesh").read_text()):
        subprocess.run([sys.executable, "-m", module], cwd=root, env=environment, check=True)


@contextmanager
def running(data: Path, root: Path) -> Iterator[Mesh]:
    """A mesh of a version; it has stopped cleanly at the end."""
    arguments = ["--venues", ",".join(VENUES), "--seed", "7"]
    mesh = Mesh(data, free_base_port(), *arguments, path=os.environ["PATH"], root=root)
    try:
        mesh.wait_until(lambda: mesh.state()["children"], "the supervisor answers")
        mesh.wait_until(lambda: accounts_are_ready(mesh), "the accounts are ready")
        mesh.wait_until(lambda: count(mesh, "trade_rows"), "trades are recorded")
        yield mesh
        assert mesh.stop() == 0
    finally:
        mesh.end()


def accounts_are_ready(mesh: Mesh) -> bool:
    found = [answer(mesh, f"/v1/venues/{venue}/accounts")["accounts"] for venue in VENUES]
    return all(one["state"] == "ACCOUNT_STATE_READY" for each in found for one in each)


def count(mesh: Mesh, table: str) -> int:
    return int(mesh.sql(f"SELECT count(*) FROM {table}")[0][0])


def answer(mesh: Mesh, path: str) -> Any:
    status, found = mesh.get(path)
    if status != 200:
        raise LookupError(f"{path}: {found}")
    return found


def place_orders(mesh: Mesh, root: Path) -> None:
    for venue, symbol in INSTRUMENTS.items():
        for side, size, *options in ORDERS:
            command = [sys.executable, "-m", "ops.cli", "order", "place", venue, symbol, side, size]
            command += ["--account", PAPER, "--data", str(mesh.data), *options]
            environment = os.environ | {"PYTHONPATH": f"{root}:{root / 'gen'}"}
            subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)


def order_answers(mesh: Mesh) -> Answers:
    """Orders, fills, balances and positions of the paper accounts."""
    return {
        f"{venue} {what}": answer(mesh, f"/v1/venues/{venue}/{what}?account={PAPER}")
        for venue in VENUES
        for what in ("orders", "fills", "balances", "positions")
        if what != "positions" or venue in DERIVATIVES
    }


def history_answers(mesh: Mesh, until_ns: int) -> Answers:
    """What History answers about the time before a moment."""
    answers = {}
    for venue, symbol in INSTRUMENTS.items():
        past = f"/v1/history/{venue}/{symbol}"
        until = f"range.end_time_ns={until_ns}"
        for path in (
            f"{past}/book?depth=50&time_ns={until_ns}",
            f"{past}/trades?page_size=1000&order=2&{until}",
            f"{past}/quotes?page_size=1000&order=2&{until}",
            f"{past}/bars?interval=1s&page_size=1000&{until}",
            f"{past}/bars?interval=1m&page_size=1000&{until}",
            f"/v1/history/{venue}/gaps?{until}",
        ):
            answers[path] = answer(mesh, path)
    return answers


@contextmanager
def database(data: Path) -> Iterator[psycopg.Connection]:
    """The database of a folder whose mesh has stopped."""
    folder, port = data / "postgres", free_port()
    passwords = StorePasswords.of_mesh(data)
    postgres.prepare(folder, passwords)
    command = postgres.command(folder, port)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = command.spawn_options() | quiet
    with subprocess.Popen(command.arguments, cwd="/", **options) as process:
        try:
            deadline = time.monotonic() + 30
            while not postgres.is_ready(folder) and time.monotonic() < deadline:
                time.sleep(0.05)
            with psycopg.connect(passwords.login_url(postgres.url(port))) as connection:
                yield connection
        finally:
            process.send_signal(command.stop_signal)


def columns_of(connection: psycopg.Connection) -> Columns:
    """The columns of each table that may not change, as a list for SQL."""
    found = {}
    for table in TABLES:
        query = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        rows = connection.execute(query + " AND NOT attisdropped ORDER BY attnum", [table])
        found[table] = ", ".join(name for (name,) in rows.fetchall() if name not in MAY_CHANGE)
    return found


def rows_of(connection: psycopg.Connection, columns: Columns) -> Rows:
    """The rows of each table as texts."""
    found: Rows = {}
    for table, names in columns.items():
        query = f"COPY (SELECT {names} FROM {table} {TABLES[table]}) TO STDOUT".encode()
        with connection.cursor().copy(query) as copy:
            found[table] = Counter(b"".join(copy).decode().splitlines())
    return found


def missing_rows(before: Rows, after: Rows) -> Iterator[str]:
    for table, rows in before.items():
        lost = rows - after[table]
        sys.stdout.write(f"{table}: {rows.total()} rows before, {after[table].total()} after\n")
        if lost:
            example = next(iter(lost))
            yield f"{table}: {lost.total()} rows are gone or changed, such as {example[:300]}"


def changed_answers(before: Answers, after: Answers) -> Iterator[str]:
    for name, found in before.items():
        for difference in differences(found, after[name]):
            yield f"{name}: {difference}"


def coverage_answers(mesh: Mesh) -> dict[str, int]:
    """The covered time of each instrument, ns."""
    covered = {}
    for venue, symbol in INSTRUMENTS.items():
        days = answer(mesh, f"/v1/history/{venue}/{symbol}/coverage")["days"]
        covered[venue] = sum(int(day["covered_ns"]) for day in days)
    return covered


def lost_coverage(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    for venue, covered_ns in before.items():
        if after[venue] < covered_ns:
            yield f"{venue}: {covered_ns} ns were covered, now {after[venue]}"


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """What an answer had and has no more. New fields are allowed."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            if name in FOLLOWS_MARKET:
                continue
            yield from differences(value, after.get(name), f"{place}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif before != after:
        yield f"{place}: {str(before)[:200]} became {str(after)[:200]}"


def errors_in(data: Path) -> Iterator[str]:
    """The lines of level error in the logs."""
    for log in sorted((data / "logs").glob("*.log")):
        for line in log.read_text().splitlines():
            if '"level": "error"' in line:
                yield f"{log.name}: {line[:300]}"


def compared(commit: str, seconds: float) -> list[str]:
    """Run both meshes. Returns the differences."""
    with new_folder() as data:
        with version_of(commit) as tree, running(data, tree) as mesh:
            place_orders(mesh, tree)
            time.sleep(seconds)
            until_ns = time.time_ns() - BARS_SETTLE_S * 10**9
            orders, history = order_answers(mesh), history_answers(mesh, until_ns)
            covered = coverage_answers(mesh)
        with database(data) as connection:
            columns = columns_of(connection)
            before = rows_of(connection, columns)
        for log in (data / "logs").glob("*.log"):
            log.unlink()
        with running(data, ROOT) as mesh:
            recorded = before["trade_rows"].total()
            mesh.wait_until(lambda: count(mesh, "trade_rows") > recorded, "recording continues")
            found = [*changed_answers(orders, order_answers(mesh))]
            found += changed_answers(history, history_answers(mesh, until_ns))
            found += lost_coverage(covered, coverage_answers(mesh))
        with database(data) as connection:
            found += missing_rows(before, rows_of(connection, columns))
        return [*found, *errors_in(data)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="of the earlier version")
    parser.add_argument("--seconds", type=float, default=90, help="how long its mesh records")
    arguments = parser.parse_args()
    os.environ.update(SETTINGS)
    generate_code(ROOT)
    found = compared(arguments.commit, arguments.seconds)
    sys.stdout.write("\n".join(found or ["everything is as it was"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
