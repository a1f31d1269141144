"""Holes and jobs in the words of a terminal."""

from venuemesh.repair.v1 import repair_pb2

from ops.repairs import tables
from ops.tables import console


def printed(table):
    shown = console()
    with shown.capture() as text:
        shown.print(table)
    return text.get()


def test_a_hole_says_where_it_is_and_why_it_stays():
    hole = repair_pb2.Hole(
        symbol="BTCUSDT",
        state=repair_pb2.HOLE_STATE_UNAVAILABLE,
        source=repair_pb2.HOLE_SOURCE_TRADE_IDS,
        start_time_ns=1_767_225_600 * 10**9,
        last_id_before=5,
        first_id_after=9,
        detail="[the venue] keeps no more",
    )
    line = printed(tables.holes([hole])).splitlines()[3]
    for words in ("BTCUSDT", "unavailable", "trade ids", "2026-01-01 00:00:00.000", "5 to 9"):
        assert words in line
    assert "[the venue] keeps no more" in line


def test_a_job_counts_what_it_has_filled():
    job = repair_pb2.RepairJob(
        repair_id="r1", state=repair_pb2.REPAIR_STATE_RUNNING, hole_count=7, filled_count=3
    )
    cells = [cell.strip() for cell in printed(tables.jobs([job])).splitlines()[3].split("│")]
    assert cells[1:] == ["r1", "", "", "running", "7", "3", "0", "", ""]
