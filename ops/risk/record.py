"""Reads the recorded verdicts and what they were given on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.events.v1 import event_pb2, events_pb2, events_pb2_grpc

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.risk import simulation
from kit.risk.policy import Policy
from kit.risk.simulation import RecordedEntry, SimulatedVerdict

if TYPE_CHECKING:
    Stub: TypeAlias = events_pb2_grpc.EventsAsyncStub

CALL_SECONDS_MAX = 30
PAGE_EVENTS = 1_000
DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
RISK = event_pb2.EVENT_STREAM_RISK
DAY_NS = 24 * 60 * 60 * NANOSECONDS_PER_SECOND
"""A verdict on a decision is given within it."""


@dataclass(frozen=True, slots=True)
class SimulatedEntry:
    """An entry of the record, and what a policy says to it."""

    event_id: bytes
    """Of the recorded verdict."""
    time_ns: int
    entry: RecordedEntry
    verdict: SimulatedVerdict


async def simulated(
    stub: "Stub", policy: Policy, from_ns: int, to_ns: int
) -> AsyncIterator[SimulatedEntry]:
    """Each entry of a time with a verdict, oldest first. ``to_ns``: the first time after it."""
    asked: dict[bytes, RecordedEntry] = {}
    async for event in _events(stub, DECISIONS):
        entry = simulation.recorded_entry(event)
        if entry is not None and from_ns - DAY_NS <= event.time_ns < to_ns + DAY_NS:
            asked[event.event_id] = entry
    async for event in _events(stub, RISK):
        entry = simulation.recorded_entry(event)
        if entry is not None:
            asked[event.event_id] = entry
        given = event.verdict_given
        if not event.HasField("verdict_given") or given.is_reduction:
            continue
        causes = [asked[cause] for cause in event.cause_ids if cause in asked]
        if causes and from_ns <= event.time_ns < to_ns:
            verdict = simulation.simulate(policy, given, causes[0], event.time_ns)
            yield SimulatedEntry(event.event_id, event.time_ns, causes[0], verdict)


async def _events(
    stub: "Stub", stream: "event_pb2.EventStream.ValueType"
) -> AsyncIterator[event_pb2.Event]:
    request = events_pb2.ListEventsRequest(stream=stream, page_size=PAGE_EVENTS)
    while True:
        page = await stub.ListEvents(request, timeout=CALL_SECONDS_MAX)
        for one in page.events:
            yield one.event
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
