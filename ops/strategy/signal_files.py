"""Signals as rows of a CSV or Arrow file."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2, signals_pb2

from kit.events.event_log import encoded
from ops.errors import UsageError
from ops.strategy.past_signals import PastEvent

CSV, ARROW = ".csv", ".arrow"
NAMES = (
    *("time_ns", "strategy", "version", "venue", "symbol", "action", "side"),
    *("conviction", "score", "stop_distance", "target_distance", "expires_time_ns"),
    *("position_size", "rules", "is_recorded", "event_id", "event"),
)


def require_known(file: Path) -> None:
    """Raises UsageError for a file of another kind."""
    if file.suffix not in (CSV, ARROW):
        raise UsageError(
            f"the file is {file.name!r}; allowed: a name that ends with .csv or .arrow"
        )


def write(file: Path, found: Sequence[PastEvent]) -> None:
    """Write a file. Its column ``event`` is the event as it is stored, hexadecimal in CSV."""
    if file.suffix == CSV:
        with file.open("w", newline="") as opened:
            write_csv(opened, found)
        return
    # Imported late: it is large.
    import pyarrow as pa

    columns = list(zip(*map(_row, found), strict=True)) or [()] * len(NAMES)
    table = pa.table(dict(zip(NAMES, map(pa.array, columns), strict=True)))
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def write_csv(opened: TextIO, found: Sequence[PastEvent]) -> None:
    """Write lines with a header."""
    writer = csv.writer(opened, lineterminator="\n")
    writer.writerow(NAMES)
    for one in found:
        *values, event = _row(one)
        writer.writerow([*values, event.hex()])


def _row(one: PastEvent) -> tuple[Any, ...]:
    event: event_pb2.Event = one.event
    signal = event.signal_raised
    action = signals_pb2.PositionAction.Name(signal.action).removeprefix("POSITION_ACTION_")
    rules = {rule.rule: rule.score if rule.HasField("score") else None for rule in signal.rules}
    return (
        *(event.time_ns, signal.strategy, signal.strategy_version, signal.venue, signal.symbol),
        *(action.lower(), types_pb2.Side.Name(signal.side).removeprefix("SIDE_").lower()),
        *(signal.conviction, signal.score),
        *(signal.request.stop_distance, signal.request.target_distance),
        *(signal.expires_time_ns, signal.position_size, json.dumps(rules), one.is_recorded),
        *(event.event_id.hex(), encoded(event)),
    )
