"""Formats rows for a terminal."""

import time
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ops.supervisor.service_rows import ServiceRow

COLORS = {
    "running": "green",
    "serving": "green",
    "waiting": "yellow",
    "starting": "yellow",
    "degraded": "yellow",
    "draining": "yellow",
    "stopping": "yellow",
    "restarting": "red",
    "lost": "red",
}
FAILED = frozenset({"restarting", "stopped"})
"""The reasons of these states are printed in full below the table."""
MEBIBYTE = 1024 * 1024


def render(headline: str, rows: Sequence[ServiceRow], now: float) -> RenderableType:
    """The headline, the table below it, and why processes do not run."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("for", "events/s", "lag ms", "waiting", "gaps", "MB", "restarts"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(overflow="ellipsis")
    for row in rows:
        table.add_row(*_cells(row, now))
    total = sum(row.memory_bytes for row in rows) / MEBIBYTE
    table.add_row("", "", "", "", "", "", "", f"{total:,.0f}", "", "", style="dim")
    reasons = [
        Text(f"{row.service} {row.state}: {row.detail}", style=COLORS.get(row.state, ""))
        for row in rows
        if _has_failed(row)
    ]
    return Group(Text(headline, style="bold"), table, *reasons)


def _has_failed(row: ServiceRow) -> bool:
    return row.state in FAILED and bool(row.detail)


def _cells(row: ServiceRow, now: float) -> tuple[RenderableType, ...]:
    detail = "" if _has_failed(row) else row.detail
    return (
        row.service,
        Text(row.state, style=COLORS.get(row.state, "")),
        duration(now - row.since),
        _number(row.events_per_second),
        _number(row.lag_ms, digits=1),
        _number(row.lag_entries),
        _number(row.gaps_total),
        f"{row.memory_bytes / MEBIBYTE:,.0f}",
        str(row.restarts),
        Text(detail, style="dim", no_wrap=True, overflow="ellipsis"),
    )


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def duration(seconds: float) -> str:
    """A duration in its two largest units: 12s, 3m05s, 2h07m, 4d03h."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole // 60 % 60:02d}m"
    return f"{whole // 86_400}d{whole // 3600 % 24:02d}h"


def clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
