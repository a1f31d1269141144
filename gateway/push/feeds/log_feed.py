"""The logs of one process, or of all that are registered."""

import asyncio
from asyncio import Queue, TaskGroup
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

import grpc
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.registry.v1 import registry_pb2

from gateway.push.channels import TopicKey
from gateway.push.feeds.market_rows import message_row
from gateway.push.updates import Position, Row, Update, position_text
from kit.base import rpc, telemetry
from kit.base.admin import INSTANCE_SEPARATOR
from kit.base.backoff import delays
from kit.base.clock import Clock
from kit.base.directory import ServiceDirectory
from kit.base.errors import BadRequest, CursorExpired, UnknownService
from kit.base.suggestions import did_you_mean

KEPT_RECORDS_MAX = 100
"""Records of each process with which a topic begins."""
PARTS_WAITING_MAX = 64
RETRY_SECONDS_MAX = 2.0

_log = telemetry.logger("push")


class LoggingProcess(NamedTuple):
    """One start of a process."""

    service_id: str
    instance_id: str
    start_time_ns: int
    address: str

    @classmethod
    def of(cls, instance: registry_pb2.ServiceInstance) -> "LoggingProcess":
        return cls(
            instance.service_id, instance.instance_id, instance.start_time_ns, instance.address
        )

    @property
    def names(self) -> Row:
        return {"service_id": self.service_id, "instance_id": self.instance_id}


class LogFeed:
    """Log records of the processes that a subscription names.

    A position of one process is its start and the number of a record: whatever it still keeps can
    be read again. Records of all processes have no common order; a position there is the start of
    this feed and the number of an update, and nobody else can continue after it.
    """

    def __init__(self, key: TopicKey, directory: ServiceDirectory, clock: Clock) -> None:
        self._key = key
        self._directory = directory
        self._clock = clock
        self._start_time_ns = clock.time_ns()
        self._updates = 0
        self._registered: set[LoggingProcess] = set()
        self._reached: dict[tuple[str, str], Position] = {}
        """Of each process, by service id and instance id."""

    def updates(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        return self._of_one(after) if self._key.service else self._of_all(after)

    async def snapshot(self) -> Update | None:
        """None: the stream begins with the records that are kept."""
        return None

    async def _of_one(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        process = await self._named(after)
        async with aclosing(self._read(process, after)) as stream:
            async for updates in stream:
                yield updates

    async def _named(self, after: Position | None) -> LoggingProcess:
        """The process that is named; of several instances the one that has run for longest."""
        name = self._key.service
        service_id, _, instance_id = name.partition(INSTANCE_SEPARATOR)
        every = [LoggingProcess.of(one.instance) for one in await self._directory.services()]
        found = [
            one
            for one in every
            if one.service_id == service_id and instance_id in ("", one.instance_id)
        ]
        if found:
            return min(found, key=lambda one: one.start_time_ns)
        text = f"no process {name!r} is registered"
        if after is not None:
            raise UnknownService(text, name=name)
        known = sorted({one.service_id for one in every})
        allowed = ", ".join(known)
        hint = did_you_mean(service_id, known)
        raise BadRequest(f"{text}{hint}", field="service", value=name, allowed=allowed)

    async def _of_all(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        if after is not None and after[0] != self._start_time_ns:
            text = "the websocket no longer keeps what follows this cursor: subscribe without it"
            raise CursorExpired(text, channel=self._key.channel, cursor=position_text(after) or "")
        yield [self._numbered(Update())]
        parts: Queue[Sequence[Update]] = Queue(PARTS_WAITING_MAX)
        following = asyncio.create_task(self._follow_all(parts))
        try:
            while not following.done():
                part = asyncio.create_task(parts.get())
                await asyncio.wait({part, following}, return_when=asyncio.FIRST_COMPLETED)
                if part.done():
                    yield list(map(self._numbered, part.result()))
            await following
        finally:
            following.cancel()

    def _numbered(self, update: Update) -> Update:
        self._updates += 1
        return update._replace(position=(self._start_time_ns, self._updates))

    async def _follow_all(self, parts: "Queue[Sequence[Update]]") -> None:
        followed: set[LoggingProcess] = set()
        async with TaskGroup() as group:
            async for services in self._directory.watch():
                self._registered = {LoggingProcess.of(one.instance) for one in services}
                for process in self._registered - followed:
                    group.create_task(self._follow(process, parts))
                # The task of one that has left ends by itself, when its stream has ended.
                followed = self._registered

    async def _follow(self, process: LoggingProcess, parts: "Queue[Sequence[Update]]") -> None:
        known, waits = (process.service_id, process.instance_id), delays()
        while process in self._registered:
            try:
                async with aclosing(self._read(process, self._reached.get(known))) as stream:
                    async for updates in stream:
                        waits = delays(most_seconds=RETRY_SECONDS_MAX)
                        position = updates[-1].position
                        assert position is not None
                        self._reached[known] = position
                        if found := [one for one in updates if one.rows or one.gaps]:
                            await parts.put(found)
            except grpc.aio.AioRpcError as error:
                _log.debug("log not read", extra={**process.names, "detail": error.details()})
            await self._clock.sleep(next(waits))

    async def _read(
        self, process: LoggingProcess, after: Position | None
    ) -> AsyncGenerator[Sequence[Update], None]:
        """The records of one process, each part with its position there."""
        start_time_ns, number = after or (0, 0)
        request = admin_pb2.StreamLogsRequest(
            start_time_ns=start_time_ns,
            after_number=number,
            kept_records_max=0 if after else KEPT_RECORDS_MAX,
            level=self._key.level,
            logger=self._key.logger,
        )
        async with rpc.channel(process.address, service_id=process.service_id) as channel:
            async for response in admin_pb2_grpc.AdminStub(channel).StreamLogs(request):
                gaps = list(_gaps(process, response, start_time_ns))
                if after is None:
                    first = response.records[0].number - 1 if response.records else 0
                    yield [Update(position=(response.start_time_ns, first))]
                    after = response.start_time_ns, first
                start_time_ns = response.start_time_ns
                yield list(self._updates_of(process, response, gaps))

    def _updates_of(
        self,
        process: LoggingProcess,
        response: admin_pb2.StreamLogsResponse,
        gaps: Sequence[Row],
    ) -> Iterator[Update]:
        start = {"start_time_ns": str(response.start_time_ns)}
        rows = [{**process.names, **start, **message_row(record)} for record in response.records]
        position = response.start_time_ns, response.newest_number
        if self._key.is_lossless:
            yield Update(rows, "", position, gaps)
            return
        for row in rows:
            subject = (row[name] for name in ("service_id", "instance_id", "logger", "level"))
            yield Update([row], "/".join(subject), position)
        yield Update((), "", position)


def _gaps(
    process: LoggingProcess, response: admin_pb2.StreamLogsResponse, start_time_ns: int
) -> Iterator[Row]:
    """What is missing before the records of a response. ``start_time_ns``: that of the response
    before; 0: there was none."""
    if start_time_ns not in (0, response.start_time_ns):
        detail = "the process has started again: the last records of its earlier start are unknown"
        yield _gap(process, types_pb2.GAP_REASON_RESTART, detail)
    if response.dropped_records:
        dropped = str(response.dropped_records)
        detail = f"{dropped} records were no longer kept"
        gap = _gap(process, types_pb2.GAP_REASON_OVERFLOW, detail)
        yield {**gap, "dropped_records": dropped}


def _gap(process: LoggingProcess, reason: "types_pb2.GapReason.ValueType", detail: str) -> Row:
    return {**process.names, **message_row(types_pb2.Gap(reason=reason, detail=detail))}
