"""The results of the conformance cards that the venues of a running mesh report."""

import argparse
import asyncio
from collections.abc import Collection

import grpc
import msgspec
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc

from kit.base.directory import CALL_TIMEOUT_S
from ops import gateway, venues
from ops.errors import EXIT_FAILED
from ops.output import print_json
from ops.tables import console, table, time_text

KIND_VENUE = "venue"
COLUMNS = ("venue", "passed", "failed", "skipped", "played", "detail")


class ReportedScore(msgspec.Struct, frozen=True, kw_only=True):
    """The last result of one process. Nothing is set if the cards were never played there."""

    service: str
    passed: int = 0
    failed_cards: list[str] = []
    skipped_cards: list[str] = []
    played_time_ns: int = 0


def show(chosen: argparse.Namespace) -> int:
    """Print the scores of the venues. Returns 1 if a card has failed."""
    found = asyncio.run(_read(chosen))
    if chosen.json:
        for score in found:
            print_json(score)
    else:
        console().print(table(COLUMNS, map(_cells, found)))
    return EXIT_FAILED if any(score.failed_cards for score in found) else 0


async def _read(chosen: argparse.Namespace) -> list[ReportedScore]:
    async with gateway.connected(gateway.require(chosen)) as channel:
        answer = await gateway.services(channel, KIND_VENUE)
        running = {one.instance.service_id: one.instance.name for one in answer.services}
        for name in chosen.venues:
            if name not in running.values():
                raise venues.unknown_venue(name, running.values(), "running are")
        return await _scores(channel, _of(running, chosen.venues))


async def _scores(channel: grpc.aio.Channel, names: Collection[str]) -> list[ReportedScore]:
    stub = admin_pb2_grpc.AdminStub(channel)
    found = []
    for name in names:
        status = await stub.GetStatus(
            admin_pb2.GetStatusRequest(service_id=name),
            metadata=[("venuemesh-service", name)],
            timeout=CALL_TIMEOUT_S,
        )
        score = status.conformance
        found.append(
            ReportedScore(
                service=name,
                passed=score.passed,
                failed_cards=list(score.failed_cards),
                skipped_cards=list(score.skipped_cards),
                played_time_ns=score.played_time_ns,
            )
        )
    return found


def _of(running: dict[str, str], chosen: Collection[str]) -> list[str]:
    """The processes of these venues, of all if none is named."""
    return sorted(name for name, venue in running.items() if not chosen or venue in chosen)


def _cells(score: ReportedScore) -> tuple[str, ...]:
    if not score.played_time_ns:
        return (score.service, "", "", "", "", "never played")
    counts = (score.passed, len(score.failed_cards), len(score.skipped_cards))
    failed = ", ".join(score.failed_cards)
    return (score.service, *map(str, counts), time_text(score.played_time_ns), failed)
