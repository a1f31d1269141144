"""Holes and repair jobs as tables for a terminal."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from venuemesh.repair.v1 import repair_pb2

from ops.tables import table, time_text, word


def holes(found: Iterable[repair_pb2.Hole]) -> Table:
    names = ("symbol", "state", "found by", "from", "to", "ids", "detail")
    return table(names, map(_hole_cells, found))


def jobs(found: Iterable[repair_pb2.RepairJob]) -> Table:
    names = ("id", "venue", "symbol", "state", "holes", "filled", "trades", "detail")
    return table(names, map(_job_cells, found))


def state(job: repair_pb2.RepairJob) -> str:
    return word(repair_pb2.RepairState.Name(job.state), "REPAIR_STATE_")


def _hole_cells(hole: repair_pb2.Hole) -> Sequence[str]:
    ids = f"{hole.last_id_before} to {hole.first_id_after}" if hole.last_id_before else ""
    return (
        hole.symbol,
        word(repair_pb2.HoleState.Name(hole.state), "HOLE_STATE_"),
        word(repair_pb2.HoleSource.Name(hole.source), "HOLE_SOURCE_"),
        time_text(hole.start_time_ns),
        time_text(hole.end_time_ns),
        ids,
        hole.detail,
    )


def _job_cells(job: repair_pb2.RepairJob) -> Sequence[str]:
    return (
        job.repair_id,
        job.venue,
        job.symbol,
        state(job),
        str(job.hole_count),
        str(job.filled_count),
        str(job.trade_count),
        job.detail,
    )
