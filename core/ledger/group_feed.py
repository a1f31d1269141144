"""Readers of all that is booked, each at its own pace."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from venuemesh.ledger.v1 import ledger_pb2, postings_pb2

from core.ledger.accounts import AccountKey
from core.ledger.store import AccountSelection, LedgerQueries, Page
from kit.accounting.money import atoms_text
from kit.base.access.call_guard import streams_for_caller
from kit.base.errors import TooManySubscribers, VenuemeshError
from kit.base.waiting import is_set_within

GROUPS_READ_MAX = 200
BALANCES_MAX = 500
"""In one response."""
LOOK_AGAIN_SECONDS = 1.0
"""How often to look for what another process has booked."""
TIME_END_NS = 2**63 - 1
_ALL = AccountSelection(AccountKey(0, "", "", ""))


class GroupFeed:
    """Streams groups from the store; what waits for a slow reader waits there."""

    def __init__(self, queries: LedgerQueries, readers_max: int) -> None:
        self._queries = queries
        self._readers_max = readers_max
        self._readers: set[asyncio.Event] = set()
        self._end: VenuemeshError | None = None

    def booked(self) -> None:
        """Wake the readers: there are new groups."""
        for changed in self._readers:
            changed.set()

    def end(self, error: VenuemeshError) -> None:
        """End all present and future readers with an error."""
        self._end = error
        self.booked()

    async def read(
        self, resume_after: int, *, snapshot: bool
    ) -> AsyncGenerator[ledger_pb2.StreamEntriesResponse, None]:
        """With ``snapshot`` all balances; then each group after one. Raises
        TooManySubscribers, StoreUnavailable, and the error given to ``end``."""
        with self._reader() as changed:
            number = resume_after
            if snapshot:
                async for response in self._snapshot():
                    number = response.group_number
                    yield response
            while True:
                changed.clear()
                if self._end is not None:
                    raise self._end
                async for response in self._groups(number):
                    number = response.group_number
                    yield response
                await is_set_within(changed, LOOK_AGAIN_SECONDS)

    @contextmanager
    def _reader(self) -> Iterator[asyncio.Event]:
        if len(self._readers) >= streams_for_caller(self._readers_max):
            raise TooManySubscribers(
                f"the limit of {self._readers_max} readers is reached", limit=self._readers_max
            )
        changed = asyncio.Event()
        self._readers.add(changed)
        try:
            yield changed
        finally:
            self._readers.discard(changed)

    async def _snapshot(self) -> AsyncGenerator[ledger_pb2.StreamEntriesResponse, None]:
        """All balances after one group, in parts."""
        totals, head = await self._queries.accounts(_ALL, Page(0, TIME_END_NS))
        parts = range(0, max(1, len(totals)), BALANCES_MAX)
        for start in parts:
            snapshot = ledger_pb2.LedgerSnapshot(
                balances=[
                    postings_pb2.LedgerBalance(
                        account=row.key.message(), balance=atoms_text(row.debits - row.credits)
                    )
                    for row in totals[start : start + BALANCES_MAX]
                ],
                complete=start == parts[-1],
            )
            yield ledger_pb2.StreamEntriesResponse(
                group_number=head.group_number, snapshot=snapshot
            )

    async def _groups(self, after: int) -> AsyncGenerator[ledger_pb2.StreamEntriesResponse, None]:
        """All groups that follow one."""
        while groups := await self._queries.groups(after, GROUPS_READ_MAX):
            for one in groups:
                yield ledger_pb2.StreamEntriesResponse(
                    group_number=one.group_number, group=one.message()
                )
            after = groups[-1].group_number
