"""Which streams this recorder records: it shares them with other recorders by leases."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from venuemesh.common.v1 import types_pb2

from kit.base.cursor import CHANNEL_REPAIRS, StreamKey
from kit.base.database import Connection
from kit.events.shared_work import SHARES, SharedWork, WorkRun


class StreamOwnership(Protocol):
    """Says which streams are recorded here."""

    def run(self) -> AbstractAsyncContextManager[WorkRun]:
        """A context in which the streams of a run are recorded by no other recorder."""

    async def hold(self, connection: Connection, keys: Iterable[StreamKey]) -> None:
        """No other recorder takes the streams before the caller's transaction has ended. Raises
        LeaseLost."""


class AllStreams:
    """The ownership of a recorder that is alone."""

    @asynccontextmanager
    async def run(self) -> AsyncIterator[WorkRun]:
        yield WorkRun(frozenset(range(SHARES)))

    async def hold(self, connection: Connection, keys: Iterable[StreamKey]) -> None:
        pass


class StreamShares:
    """The streams in the shares that this recorder holds."""

    def __init__(self, work: SharedWork) -> None:
        self._work = work

    def run(self) -> AbstractAsyncContextManager[WorkRun]:
        return self._work.run_of_all()

    async def hold(self, connection: Connection, keys: Iterable[StreamKey]) -> None:
        await self._work.hold(connection, set(map(share_name, keys)))


def share_name(key: StreamKey) -> str:
    """The name by which a stream belongs to a share. Repairs write rows of trades, and close their
    gaps: two recorders would wait for each other."""
    if key.channel == CHANNEL_REPAIRS:
        key = StreamKey(key.venue, types_pb2.CHANNEL_TRADES)
    return str(key)
