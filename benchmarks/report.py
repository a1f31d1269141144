"""Results of a benchmark, as a table and as JSON."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing over several runs."""

    name: str
    unit: str
    runs: Sequence[float]
    target: str = ""
    """The target as text. Empty: no target."""

    @property
    def median(self) -> float:
        """The median of the runs."""
        return statistics.median(self.runs)


Runs = Mapping[bool, Sequence[float]]
"""Runs without and with TLS; the latter is empty where nothing is compared."""


def of_mesh(name: str, unit: str, runs: Runs, target: str = "") -> list[Figure]:
    """A figure without TLS, and the same with TLS if that was measured."""
    found = [Figure(name, unit, runs[False], target)]
    return [*found, Figure(f"{name}, TLS", unit, runs[True])] if runs[True] else found


def cost_of_tls(name: str, unit: str, runs: Runs, target: str) -> list[Figure]:
    """What TLS costs in each pair: in percent of the figure without it, or in its unit."""
    pairs = zip(runs[False], runs[True], strict=False)
    if unit == "%":
        costs = [(plain - encrypted) / plain * 100 for plain, encrypted in pairs]
    else:
        costs = [encrypted - plain for plain, encrypted in pairs]
    return [Figure(f"cost of TLS: {name}", unit, costs, target)] if costs else []


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one benchmark."""

    benchmark: str
    figures: Sequence[Figure]
    notes: Sequence[str] = field(default=())


def as_table(report: Report) -> str:
    """The report as a table."""
    rows: list[tuple[str, ...]] = [("figure", "median", "min", "max", "unit", "target")]
    for figure in report.figures:
        numbers = (figure.median, min(figure.runs), max(figure.runs))
        rows.append((figure.name, *map(_short, numbers), figure.unit, figure.target))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"== {report.benchmark}"]
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
    return "\n".join([*lines, *(f"   {note}" for note in report.notes)])


def as_json(reports: Sequence[Report]) -> str:
    """The report as one JSON object."""
    found = [
        {
            **asdict(report),
            "figures": [{**asdict(figure), "median": figure.median} for figure in report.figures],
        }
        for report in reports
    ]
    return json.dumps({"reports": found})


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
