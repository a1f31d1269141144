"""``./venuemesh strategy signals``: what a strategy would have raised, or has raised."""

import argparse
import sys

import grpc

from kit.strategy.loader import LoadedStrategy, StrategyFileError, load_instance
from ops.data_files.time_text import parse_time
from ops.errors import EXIT_FAILED, OperationsError, UsageError
from ops.output import print_json
from ops.strategy import signal_files
from ops.strategy.past_signals import END_NS, PastEvent, PastRuns
from ops.tables import console


async def run(channel: grpc.aio.Channel, chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if the file has no usable strategy."""
    start_ns = parse_time(chosen.start) if chosen.start else 0
    end_ns = parse_time(chosen.end) if chosen.end else END_NS
    if start_ns >= end_ns:
        raise OperationsError("--from must be before --to")
    if chosen.out is not None:
        signal_files.require_known(chosen.out)
    try:
        loaded = _loaded(chosen)
    except StrategyFileError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    found: list[PastEvent] = []
    bars = 0
    for instrument in loaded.strategy.parsed_instruments():
        runs = PastRuns(channel, loaded, instrument)
        found += [one async for one in runs.signals(start_ns, end_ns)]
        bars += runs.bars
    found.sort(key=lambda one: (one.event.time_ns, one.event.event_id))
    if chosen.out is None:
        signal_files.write_csv(sys.stdout, found)
        return 0
    signal_files.write(chosen.out, found)
    recorded = sum(one.is_recorded for one in found)
    if chosen.json:
        counts = {"signals": len(found), "recorded": recorded, "bars": bars}
        print_json({"file": str(chosen.out), **counts})
    else:
        text = f"{len(found)} signals on {bars} bars, {recorded} of them of recorded runs"
        console().print(f"{chosen.out}: {text}")
    return 0


def _loaded(chosen: argparse.Namespace) -> LoadedStrategy:
    try:
        content = chosen.file.read_bytes()
    except OSError as error:
        raise UsageError(f"{chosen.file} cannot be read: {error.strerror}") from error
    parameters = dict(chosen.parameters)
    return load_instance(chosen.file, content, parameters, chosen.strategy, chosen.name)
