"""Books groups of postings and stores their events in one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from venuemesh.events.v1 import event_pb2

from core.ledger.event_postings import EventPostings, Instruments
from core.ledger.execution_events import InvalidExecution, execution_of
from core.ledger.posting_events import booked_event, refused_event
from core.ledger.postings import PostingGroup
from core.ledger.store import Booked, Head, PostingStore
from kit.base.clock import Clock
from kit.base.database import Connection, Database
from kit.base.errors import VenuemeshError
from kit.events import event_log

WAITING_MAX = 1_000
"""Requests that wait for the next transaction."""

InTransaction = Callable[[Connection], Awaitable[None]]
"""Writes something of its own in a transaction of the ledger."""
GroupsInTransaction = Callable[[Connection], Awaitable[Sequence[PostingGroup]]]
"""Reads and writes in a transaction of the ledger, and returns what to book in it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Groups that a caller waits for."""

    groups: Sequence[PostingGroup]
    booked: "asyncio.Future[list[Booked]]"


@dataclass(frozen=True, slots=True)
class BookingResult:
    """The outcome of events."""

    booked: Sequence[Booked]
    """The groups that are new."""
    refused: Mapping[bytes, InvalidExecution]
    """By event id; nothing of these is booked."""


class PostingWriter:
    """The writer of the ledger.

    Groups that wait while a transaction is committed are booked in the next one, together.
    """

    def __init__(
        self, database: Database, store: PostingStore, postings: EventPostings, clock: Clock
    ) -> None:
        self._database = database
        self._store = store
        self._postings = postings
        self._clock = clock
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(WAITING_MAX)
        self._turn = asyncio.Lock()
        self.when_booked: Callable[[], None] = lambda: None
        """Called after each commit."""
        self._head: Head | None = None
        """The newest group when ``_postings`` was right."""

    async def run(self) -> None:
        """Book what callers post. Runs forever."""
        while True:
            waiting = [await self._waiting.get()]
            while not self._waiting.empty():
                waiting.append(self._waiting.get_nowait())
            await self._post_all(waiting)

    async def post(self, groups: Sequence[PostingGroup]) -> list[Booked]:
        """Book groups, all or none. Raises GroupIdReused, AmountOutOfBounds, StoreUnavailable."""
        own = _Waiting(groups, asyncio.get_running_loop().create_future())
        await self._waiting.put(own)
        return await own.booked

    async def book(
        self,
        events: Sequence[event_pb2.Event],
        instruments: Instruments,
        first: InTransaction | None = None,
    ) -> BookingResult:
        """Store events in the stream "executions" and book the groups that follow from them, in one
        transaction, which begins with ``first``.

        Events may be in any order, and may have been booked before. ``instruments`` has the terms
        of those whose terms the ledger does not keep yet. What can never be booked is refused, and
        an event in the stream "ledger".

        Raises ContractUnknown, EventConflict, AmountOutOfBounds, StoreUnavailable, what ``first``
        raises, and SettingError; nothing is written then.
        """
        found = {event.event_id: execution_of(event) for event in events}
        executions = [one for one in found.values() if one is not None]
        now_ns = self._clock.time_ns()
        async with self._turn, self._database.transaction() as connection:
            if first is not None:
                await first(connection)
            head = await self._store.lock(connection)
            if head != self._head:
                self._postings.forget()
            # Until the commit: after an error, ``_postings`` has changes that were not stored.
            self._head = None
            known = await self._store.known(connection, [one.group_id for one in executions])
            new = [one for one in executions if one.group_id not in known]
            groups, refused = await self._postings.groups(connection, new, instruments)
            booked = await self._store.book(connection, groups, now_ns)
            refusals = [
                refused_event(one, refused[one.event.event_id])
                for one in executions
                if one.event.event_id in refused
            ]
            executed = event_pb2.EVENT_STREAM_EXECUTIONS
            # Whose positions a fill closes was found out when it was booked, and is stored with it.
            kept = {one.event.event_id for one in executions if one.is_flatten}
            kept -= {one.event.event_id for one in new}
            unkept = [event for event in events if event.event_id not in kept]
            await event_log.append(connection, executed, unkept, now_ns)
            await _append(connection, [*_booked(booked, now_ns), *refusals], now_ns)
            head = self._store.head
        self._head = head
        await self._store.committed()
        self.when_booked()
        return BookingResult(booked, refused)

    async def transact(self, work: GroupsInTransaction) -> list[Booked]:
        """Book the groups that ``work`` returns, in the transaction in which it reads and writes.
        The ledger is locked until then. Raises what ``post`` and ``work`` raise."""
        now_ns = self._clock.time_ns()
        async with self._turn, self._database.transaction() as connection:
            is_right = await self._store.lock(connection) == self._head
            groups = await work(connection)
            booked = await self._store.book(connection, groups, now_ns)
            await _append(connection, _booked(booked, now_ns), now_ns)
            head = self._store.head
        if is_right:
            # The positions do not depend on what callers post.
            self._head = head
        await self._store.committed()
        self.when_booked()
        return booked

    async def _post_all(self, waiting: Sequence[_Waiting]) -> None:
        async def work(connection: Connection) -> Sequence[PostingGroup]:
            return [group for one in waiting for group in one.groups]

        try:
            booked = await self.transact(work)
        except VenuemeshError as error:
            if len(waiting) > 1:
                # A refused group of one caller must not stop the groups of others.
                for one in waiting:
                    await self._post_all([one])
            elif not waiting[0].booked.done():
                waiting[0].booked.set_exception(error)
            return
        for one in waiting:
            count = len(one.groups)
            if not one.booked.done():
                one.booked.set_result(booked[:count])
            booked = booked[count:]


def _booked(booked: Iterable[Booked], now_ns: int) -> list[event_pb2.Event]:
    return [booked_event(one, now_ns) for one in booked if not one.is_repeated]


async def _append(connection: Connection, events: Sequence[event_pb2.Event], now_ns: int) -> None:
    """Store events of the stream "ledger". Last in the transaction."""
    if events:
        await event_log.append(connection, event_pb2.EVENT_STREAM_LEDGER, events, now_ns)
