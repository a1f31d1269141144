"""``./venuemesh repair``: holes in the recorded trades, and the jobs that fill them."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.repair.v1 import repair_pb2, repair_pb2_grpc

from ops import gateway, venues
from ops.arguments import add_verbs
from ops.data_files.time_text import parse_time
from ops.output import print_json
from ops.progress import progress
from ops.repairs import tables
from ops.tables import console

if TYPE_CHECKING:
    Stub: TypeAlias = repair_pb2_grpc.RepairAsyncStub

EXIT_NOT_FILLED = 1
CALL_SECONDS_MAX = 30
COUNT = 100
COUNT_MAX = 1000
STATES = {
    name.removeprefix("HOLE_STATE_").lower().replace("_", "-"): number
    for name, number in repair_pb2.HoleState.items()
    if number
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    holes = gateway.add_verb(verbs, "holes", "list the known holes, newest first")
    venues.complete(holes.add_argument("venue", metavar="VENUE", help="venue id"))
    holes.add_argument("--symbol", default="", help="of one instrument only")
    holes.add_argument("--state", choices=STATES, help="default: all")
    start = gateway.add_verb(verbs, "start", "fill the holes of one instrument")
    venues.complete(start.add_argument("venue", metavar="VENUE", help="venue id"))
    start.add_argument("symbol", metavar="SYMBOL", help="as the venue writes it")
    start.add_argument("--from", dest="start", metavar="TIME", help="holes that end after it")
    start.add_argument("--to", dest="end", metavar="TIME", help="holes that begin before it")
    start.add_argument("--id", default="", metavar="ID", help="the same id is the same job")
    start.add_argument("--watch", action="store_true", help="wait until the job has ended")
    jobs = gateway.add_verb(verbs, "list", "list the jobs, newest first")
    named = jobs.add_argument("--venue", default="", metavar="VENUE", help="of one venue only")
    venues.complete(named)
    for listed in (holes, jobs):
        listed.add_argument(
            "--count", type=_count, default=COUNT, help=f"the most, 1 to {COUNT_MAX}; {COUNT}"
        )
    for name, text in (
        ("show", "one job"),
        ("watch", "follow a job until it has ended"),
        ("cancel", "cancel a job; what it has filled stays filled"),
    ):
        gateway.add_verb(verbs, name, text).add_argument("id", metavar="ID", help="of the job")


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if a watched job has ended and left holes."""
    return asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> int:
    async with gateway.connected(gateway.require(chosen)) as channel:
        return await VERBS[chosen.verb](repair_pb2_grpc.RepairStub(channel), chosen)


async def _holes(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = repair_pb2.ListHolesRequest(
        venue=chosen.venue,
        symbol=chosen.symbol,
        state=STATES.get(chosen.state, repair_pb2.HOLE_STATE_UNSPECIFIED),
        page_size=chosen.count,
    )
    answer = await stub.ListHoles(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        console().print(tables.holes(answer.holes))
    return 0


async def _start(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = repair_pb2.StartRepairRequest(
        venue=chosen.venue,
        symbol=chosen.symbol,
        start_time_ns=parse_time(chosen.start) if chosen.start else 0,
        end_time_ns=parse_time(chosen.end) if chosen.end else 0,
        repair_id=chosen.id,
    )
    answer = await stub.StartRepair(request, timeout=CALL_SECONDS_MAX)
    if chosen.watch:
        chosen.id = answer.job.repair_id
        return await _watch(stub, chosen)
    return _print_job(answer.job, chosen)


async def _list(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = repair_pb2.ListRepairsRequest(venue=chosen.venue, page_size=chosen.count)
    answer = await stub.ListRepairs(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        console().print(tables.jobs(answer.jobs))
    return 0


async def _show(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = repair_pb2.GetRepairRequest(repair_id=chosen.id)
    return _print_job((await stub.GetRepair(request, timeout=CALL_SECONDS_MAX)).job, chosen)


async def _cancel(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = repair_pb2.CancelRepairRequest(repair_id=chosen.id)
    return _print_job((await stub.CancelRepair(request, timeout=CALL_SECONDS_MAX)).job, chosen)


async def _watch(stub: "Stub", chosen: argparse.Namespace) -> int:
    job = repair_pb2.RepairJob()
    with progress(f"repair {chosen.id}", as_json=chosen.json) as show:
        async for answer in stub.WatchRepair(repair_pb2.WatchRepairRequest(repair_id=chosen.id)):
            job = answer.job
            if chosen.json:
                print_json(job)
            ended = job.filled_count + job.unavailable_count
            show(ended, job.hole_count, job.detail or tables.state(job))
    if not chosen.json:
        console().print(tables.jobs([job]))
    return 0 if job.state == repair_pb2.REPAIR_STATE_DONE else EXIT_NOT_FILLED


def _print_job(job: repair_pb2.RepairJob, chosen: argparse.Namespace) -> int:
    if chosen.json:
        print_json(job)
    else:
        console().print(tables.jobs([job]))
    return 0


VERBS: Mapping[str, Callable[["Stub", argparse.Namespace], Awaitable[int]]] = {
    "holes": _holes,
    "start": _start,
    "list": _list,
    "show": _show,
    "watch": _watch,
    "cancel": _cancel,
}


def _count(text: str) -> int:
    """Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= COUNT_MAX):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a whole number, 1 to {COUNT_MAX}")
    return int(text)
