"""``./venuemesh bench [NAME …] [--json] [--runs N] [--frames FILE] [--peers PYTHON] [--tls]``."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    audit,
    bars,
    busy,
    cancels,
    clone,
    crowd,
    decode,
    detector,
    history,
    journal,
    latency,
    ledger,
    lifecycle,
    matching,
    mcp,
    orders,
    path,
    playback,
    record,
    startup,
    venues,
    verdicts,
    ws,
)
from benchmarks.options import Options
from benchmarks.report import Report, as_json, as_table
from kit.base.suggestions import did_you_mean
from ops.arguments import OneLineErrorParser

BENCHMARKS: dict[str, Callable[[Options], Report]] = {
    "decode": decode.run,
    "venues": venues.run,
    "busy": busy.run,
    "crowd": crowd.run,
    "path": path.run,
    "latency": latency.run,
    "orders": orders.run,
    "cancels": cancels.run,
    "journal": journal.run,
    "ledger": ledger.run,
    "detector": detector.run,
    "lifecycle": lifecycle.run,
    "verdicts": verdicts.run,
    "record": record.run,
    "playback": playback.run,
    "history": history.run,
    "bars": bars.run,
    "audit": audit.run,
    "audit-long": audit.run_long,
    "matching": matching.run,
    "mcp": mcp.run,
    "ws": ws.run,
    "startup": startup.run,
    "clone": clone.run,
}
ON_REQUEST = frozenset({"audit-long", "clone"})
"""Only run when they are named: one takes half an hour, one needs a browser and Go."""


def main(arguments: Sequence[str]) -> int:
    """Run the named benchmarks, or all. Returns the exit code."""
    parser = OneLineErrorParser("bench", __doc__ or "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--runs", type=int, default=5, help="how often each is measured")
    parser.add_argument("--frames", type=Path, help="a Binance capture, frames.jsonl[.gz]")
    parser.add_argument("--peers", type=Path, help="python with the peers installed")
    parser.add_argument(
        "--tls", action="store_true", help="path, latency: also with TLS, in turns, and its cost"
    )
    chosen = parser.parse_args(arguments, argparse.Namespace(json=False))
    unknown = sorted(set(chosen.names) - set(BENCHMARKS))
    if unknown:
        suggestion = did_you_mean(unknown[0], BENCHMARKS)
        text = f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}{suggestion}"
        parser.error(text)
    options = Options.find(chosen.runs, chosen.frames, chosen.peers, chosen.tls)
    reports = []
    for name in chosen.names or (name for name in BENCHMARKS if name not in ON_REQUEST):
        reports.append(BENCHMARKS[name](options))
        if not chosen.json:
            print(as_table(reports[-1]), flush=True)
    if chosen.json:
        print(as_json(reports))
    return 0
