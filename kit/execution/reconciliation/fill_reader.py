"""Reads the fills that the venue lists and the journal may not have, however many there are.

Each page is applied as it comes, and the span of time that it completes is written to the journal
after its fills: after an interruption, or a restart, the reading continues with what is missing.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime

from venuemesh.tradeflow.v1 import differences_pb2

from kit.accounting.amounts import ZERO, plain
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND
from kit.base.errors import NotSupported, StoreUnavailable
from kit.execution.context import AccountContext
from kit.execution.contract import NO_END_NS, ExecutionClient, FillsPage, VenueFill
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.orders.account_state import (
    UNMATCHED_ORDERS_MAX,
    AccountState,
    FillUpdateResult,
)
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import difference_message
from kit.execution.venue_calls import answer_of, pages_of

OVERLAP_NS = 60 * NANOSECONDS_PER_SECOND
"""Venues list a fill up to this late, and their clocks may be behind ours."""
APPLIED_AT_ONCE = 100
"""Fills that are applied before other tasks run."""
UNMATCHED_PAUSE_S = 1.0

Difference = differences_pb2.Difference
_log = telemetry.logger("orders.fill_reader")


class FillReader:
    """Reads the fills of one account."""

    def __init__(
        self,
        client: ExecutionClient,
        state: AccountState,
        journal: AccountJournal,
        context: AccountContext,
        progress: Callable[[str], None],
    ) -> None:
        """``progress`` is told how far a reading of several pages is."""
        self._client, self._state, self._coverage = client, state, state.fill_coverage
        self._journal, self._clock, self._progress = journal, context.clock, progress
        self._account = context.account
        self._timeout_s = context.settings.ask_timeout_s
        self._started_monotonic_ns = context.clock.monotonic_ns()
        self._ahead_ns = 0
        """How far the venue's time is ahead of our monotonic clock."""

    async def read(self) -> list[Difference]:
        """Read all fills that may be missing, and return the differences. Raises VenueUnavailable,
        CredentialsRejected; the next call continues."""
        is_first = not self._coverage.known_until_ns
        self._coverage.is_complete = False
        await self._compare_clocks()
        try:
            found = await self._read("", is_first=is_first)
        except NotSupported:
            symbols = sorted({order.symbol for order in self._state.index.orders.values()})
            self._coverage.keep(symbols)
            found = [one for name in symbols for one in await self._read(name, is_first=is_first)]
        self._coverage.is_complete = True
        return found

    async def _read(self, symbol: str, *, is_first: bool) -> list[Difference]:
        found: list[Difference] = []
        since_ns = self._since(symbol, found, is_first=is_first)
        number = 0
        for begin_ns, end_ns in self._coverage.missing(symbol, since_ns):
            pages = self._client.fills(symbol, begin_ns, end_ns)
            async with aclosing(pages_of(pages, self._timeout_s)) as answers:
                async for page in answers:
                    number += 1
                    found += await self._apply(symbol, page)
                    if number > 1:
                        self._progress(self._detail(symbol, since_ns))
                        await self._keep()
        if number > 1:
            self._coverage.finish(symbol)
            self._cover(symbol, 0, 0)
            await self._keep()
        return found

    async def _compare_clocks(self) -> None:
        """Find out the venue's time. By a clock of ours that is ahead, fills would count as read
        that are still to come."""
        offset = await answer_of(self._client.clock_offset(), self._timeout_s)
        self._ahead_ns = self._clock.time_ns() - self._clock.monotonic_ns()
        if offset is not None:
            self._ahead_ns += offset.offset_ns - offset.uncertainty_ns

    def _venue_time_ns(self) -> int:
        return self._clock.monotonic_ns() + self._ahead_ns

    def _since(self, symbol: str, found: list[Difference], *, is_first: bool) -> int:
        """The time from which on fills are read. Fills that the venue lists no longer are a
        difference, once."""
        now_ns = self._venue_time_ns()
        known_ns = self._coverage.until_ns(symbol)
        known_ns = known_ns or self._first_ns(symbol, now_ns, is_first=is_first)
        listed_ns = now_ns - self._client.capabilities.fills_kept_days * NANOSECONDS_PER_DAY
        if known_ns >= listed_ns:
            return max(0, known_ns)
        detail = (
            f"fills from {_time_text(known_ns)} to {_time_text(listed_ns)} are not known: the "
            "venue lists none that old; compare orders and positions with it"
        )
        _log.error("fills not listed", extra={"account": self._account, "detail": detail})
        kind = differences_pb2.DIFFERENCE_KIND_FILLS_NOT_LISTED
        difference = Difference(kind=kind, symbol=symbol, detail=detail)
        self._state.report(difference)
        found.append(difference)
        self._cover(symbol, known_ns, listed_ns)
        return listed_ns

    def _first_ns(self, symbol: str, now_ns: int, *, is_first: bool) -> int:
        """The time from which on fills of a symbol may be missing that was never read.
        ``is_first``: no other was read either, so the journal may be of an older version. The venue
        may have been away since the start, while another program traded."""
        index = self._state.index
        orders = index.open if is_first else index.orders
        created = [one.created_time_ns for one in orders.values() if symbol in ("", one.symbol)]
        begin_ns = self._started_monotonic_ns + self._ahead_ns if is_first else now_ns
        last_fill_ns = index.last_fill_time_ns if is_first else 0
        return min(last_fill_ns or begin_ns, *created, begin_ns) - OVERLAP_NS

    async def _apply(self, symbol: str, page: FillsPage) -> list[Difference]:
        found: list[Difference] = []
        for first in range(0, len(page.fills), APPLIED_AT_ONCE):
            while len(self._state.unmatched) >= UNMATCHED_ORDERS_MAX // 2:
                # The resolver asks whose they are; more of them would be lost.
                self._progress("reading fills: waiting for the orders of those that were read")
                await self._clock.sleep(UNMATCHED_PAUSE_S)
            found += self._differences(page.fills[first : first + APPLIED_AT_ONCE])
            await asyncio.sleep(0)
        # What the venue may still list late is not known yet.
        end_ns = min(page.end_ns, self._venue_time_ns() - OVERLAP_NS)
        self._cover(symbol, page.begin_ns, end_ns, len(page.fills))
        return found

    def _cover(self, symbol: str, begin_ns: int, end_ns: int, count: int = 0) -> None:
        self._coverage.add(symbol, begin_ns, end_ns, count)
        # The fills of the span were written before it.
        self._journal.append(self._coverage.record(symbol, self._state.unmatched.values()))

    async def _keep(self) -> None:
        """Have what was read on disk. A journal that cannot be written keeps it in memory."""
        with suppress(StoreUnavailable):
            await self._journal.commit()

    def _differences(self, fills: Iterable[VenueFill]) -> Iterator[Difference]:
        """Apply fills, and report what was not known of them."""
        index = self._state.index
        for fill in fills:
            order = index.find(fill.symbol, fill.client_order_id, fill.venue_order_id)
            if order is None:
                self._state.apply_fill(fill)
                continue
            if index.find_fill(order, fill.fill_id) is None and fill.size > ZERO:
                kind = differences_pb2.DIFFERENCE_KIND_MISSED_FILL
                size = f"{plain(fill.size)} at {plain(fill.price)}"
                yield self._reported(difference_message(kind, order, "", size, fill.fill_id))
            fees_before = self._fees(order, fill.fill_id)
            if self._state.apply_fill(fill) is FillUpdateResult.FEE_CHANGED:
                kind = differences_pb2.DIFFERENCE_KIND_FEE
                fees_after = self._fees(order, fill.fill_id)
                yield self._reported(
                    difference_message(kind, order, fees_before, fees_after, fill.fill_id)
                )

    def _reported(self, difference: Difference) -> Difference:
        self._state.report(difference)
        return difference

    def _fees(self, order: Order, fill_id: str) -> str:
        number = self._state.index.find_fill(order, fill_id)
        if number is None:
            return ""
        fees = self._state.index.fills[number].fees
        return ", ".join(f"{plain(amount)} {asset}" for asset, amount in fees)

    def _detail(self, symbol: str, since_ns: int) -> str:
        """For example: reading fills: 12,400 so far; missing: 2026-11-22T10:00:00Z to now."""
        missing = self._coverage.missing(symbol, since_ns)
        begin_ns, end_ns = missing[0]
        end = "now" if end_ns == NO_END_NS else _time_text(end_ns)
        of = f" of {symbol}" if symbol else ""
        return (
            f"reading fills{of}: {self._coverage.count:,} so far; "
            f"missing: {_time_text(begin_ns)} to {end}"
        )


def _time_text(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NANOSECONDS_PER_SECOND, UTC).strftime("%FT%TZ")
