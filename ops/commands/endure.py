"""``./venuemesh endure``: connectors on a long feed with losses, doubles and swaps."""

import argparse
import asyncio

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from kit.conformance.endurance import EVENTS_PER_SECOND, FAULTS, EnduranceResult, ShowEvents, endure
from kit.connector.contract import discovery
from kit.simulator.dialect import find_dialects
from ops import venues
from ops.output import print_json
from ops.progress import ShowProgress, progress

EXIT_FAILED = 1
EVENTS = 1_000_000
COLUMNS = (
    *("venue", "fault", "events", "compared", "wrong", "gaps", "missing", "in doubt"),
    *("p50 s", "max s"),
)
CAPTION = """\
compared: books with those of the exchange; missing: trades that were not published
in doubt: how often a book was, with the median and the longest duration
"""
WRONG_SHOWN = 5
WIDTH_MAX = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    venues.complete(
        parser.add_argument("venues", nargs="*", metavar="VENUE", help="default: all there are")
    )
    parser.add_argument("--events", type=int, default=EVENTS, help="of each venue")
    parser.add_argument(
        "--rate", type=int, default=EVENTS_PER_SECOND, help="events per second of the exchange"
    )


def run(chosen: argparse.Namespace) -> int:
    """Returns 0 when nothing was wrong."""
    dialects = find_dialects()
    wrong = False
    table = _table()
    for venue_id in chosen.venues or sorted(discovery.venues()):
        if venue_id not in dialects:
            raise venues.unknown_venue(venue_id, dialects, "venues with a simulator are")
        make, dialect = discovery.require(venue_id), dialects[venue_id]
        with progress(venue_id, as_json=chosen.json) as show:
            work = endure(
                venue_id,
                make,
                dialect,
                chosen.events,
                FAULTS,
                chosen.rate,
                on_events=_shown_by(show, chosen.events // len(FAULTS)),
            )
            results = asyncio.run(work)
        for result in results:
            wrong = wrong or bool(result.wrong)
            table.add_row(*_cells(result))
            if chosen.json:
                print_json(result)
                continue
            for line in result.wrong[:WRONG_SHOWN]:
                print(f"{venue_id}, {result.fault}: {line}", flush=True)
    if not chosen.json:
        _print(table)
    return EXIT_FAILED if wrong else 0


def _shown_by(show: ShowProgress, total: int) -> ShowEvents:
    return lambda fault, count: show(count, total, fault)


def _table() -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if number < 2 else "right", no_wrap=True)
    return table


def _print(table: Table) -> None:
    """Print all columns, also where the output is narrower or no terminal."""
    console = Console()
    needed = Measurement.get(console, console.options.update(max_width=WIDTH_MAX), table).maximum
    Console(width=max(needed, console.width)).print(table)
    print(CAPTION, end="")


def _cells(result: EnduranceResult) -> list[str]:
    times = result.recovery_s
    counts = (result.events, result.checked, len(result.wrong), result.gaps, result.missing_trades)
    seconds = (times[len(times) // 2], times[-1]) if times else ()
    return [
        result.venue_id,
        result.fault,
        *(f"{count:,}" for count in (*counts, len(times))),
        *(f"{one:.2f}" for one in seconds),
    ]
