"""The dead man's switch: cancels all entries when the order authority stops sending heartbeats.

The first heartbeat arms it. Protective orders (``Order.is_protective``) stay open: a position keeps
its stop while nobody watches it. Only a heartbeat extends the time. A restart does not: the time of
the last heartbeat is in the journal, and the silence before the restart counts. It is measured by
the monotonic clock, across restarts too while the machine runs on. After a restart of the machine
only the wall clock is left: one that was set forward makes the switch fire early, and one that
shows a time before the last heartbeat makes it fire at once.

Where the venue has a countdown of its own, each heartbeat renews it: the venue then cancels also
when this process is dead. It would cancel protective orders too. It is therefore on only while the
account has no position and no protective order, and it is ended before one is sent.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from venuemesh.tradeflow.v1 import signed_pb2

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.base.errors import VenuemeshError
from kit.execution.context import AccountContext
from kit.execution.journal.records import FencingRecord
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.sending.submitter import OrderSubmitter
from kit.execution.venue_calls import answer_of

CHECKS_PER_SPAN = 5
COUNTDOWN_SPANS = 3
"""The venue waits longer than this process: its countdown is for when this process cannot act."""
END_TIMEOUT_S = 1.0
"""How long a protective order waits for the end of the venue's countdown. It is sent then in any
case, and the countdown is ended meanwhile."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_log = telemetry.logger("orders.dead_man")


def boot_id() -> str:
    """Return an id of this start of the machine; empty where the system has none."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


class DeadManSwitch:
    """The switch of one account."""

    def __init__(
        self,
        submitter: OrderSubmitter,
        positions: BalancesAndPositions,
        context: AccountContext,
        changed: Callable[[], None],
    ) -> None:
        """``changed`` is called when the switch fires, and when a heartbeat resets it."""
        self._submitter = submitter
        self._positions = positions
        self._client = submitter.client
        self._clock = context.clock
        self._boot_id = context.boot_id
        self._timeout_s = context.settings.ask_timeout_s
        self._span_ns = int(context.settings.dead_man_s * NANOSECONDS_PER_SECOND)
        self._changed = changed
        self._has_countdown = self._client.capabilities.countdown
        self.last = FencingRecord(0, armed=False)
        """The last heartbeat, as in the journal. Its fencing epoch is not kept up to date."""
        self._last_ns = 0
        """The monotonic time of the last heartbeat; of an earlier run, what it would have been."""
        self._renewed_ns: int | None = None
        self._is_renewal_due = False
        """Whether a heartbeat has arrived since the countdown was renewed."""
        self._is_renewed = False
        """Whether the venue has confirmed the last renewal: the countdown can be ended then."""
        self._countdown_until_ns = 0
        """Until when, at the latest, the venue's countdown may be running."""
        self._countdown_lock = asyncio.Lock()
        self.has_fired = False
        self._is_done = False
        submitter.sender.before_protective = self.end_countdown

    @property
    def is_armed(self) -> bool:
        """Whether there was a heartbeat, in this run or before."""
        return self.last.armed

    @property
    def span_ms(self) -> int:
        """The silence after which it fires."""
        return self._span_ns // NANOSECONDS_PER_MILLISECOND

    def record_of(self, heartbeat: signed_pb2.HeartbeatRequest) -> FencingRecord:
        """Return the record of a heartbeat that is received now."""
        return FencingRecord(
            fencing_epoch=heartbeat.fencing_epoch,
            armed=True,
            heartbeat_time_ns=heartbeat.time_ns,
            received_time_ns=self._clock.time_ns(),
            received_monotonic_ns=self._clock.monotonic_ns(),
            boot_id=self._boot_id,
        )

    def heartbeat(self, record: FencingRecord) -> None:
        """Note a heartbeat that is on disk: arm the switch, and reset it if it has fired."""
        if _age(record) < _age(self.last):
            return
        self.last = record
        self._last_ns = record.received_monotonic_ns
        self._is_renewal_due = True
        self._is_done = False
        if self.has_fired:
            self.has_fired = False
            self._changed()

    def replay(self, record: FencingRecord) -> None:
        """Apply a record of the journal."""
        if record.armed and _age(record) >= _age(self.last):
            self.last = record

    def resume(self) -> None:
        """Continue after a restart: the silence before it counts. One whose length is not known
        counts as too long."""
        if not self.is_armed:
            return
        now_ns = self._clock.monotonic_ns()
        self._last_ns = now_ns - self._silence_before_ns()
        self._countdown_until_ns = now_ns + COUNTDOWN_SPANS * self._span_ns
        self.has_fired = self._silence_ns() > self._span_ns

    async def run(self) -> None:
        """Watch the heartbeats, for ever."""
        pause_s = self._span_ns / NANOSECONDS_PER_SECOND / CHECKS_PER_SPAN
        while True:
            if self.is_armed:
                try:
                    await self._check()
                except VenuemeshError as error:
                    _log.error("orders not cancelled yet", extra={"detail": error.message})
                except Exception:
                    _log.exception("orders not cancelled yet")
            await self._clock.sleep(pause_s)

    async def end_countdown(self) -> None:
        """End the venue's countdown if it may be running, before a protective order is sent."""
        if not self._may_count_down():
            return
        try:
            await answer_of(self._end_countdown(), min(END_TIMEOUT_S, self._timeout_s))
        except VenuemeshError as error:
            _log.error("countdown not ended", extra={"detail": error.message})

    async def _end_countdown(self) -> None:
        async with self._countdown_lock:
            if not self._may_count_down():
                return
            await self._client.countdown(0)
            if self._is_renewed:
                self._countdown_until_ns = 0
            # One of an earlier run may be for symbols that the client does not know yet, and one
            # without a confirmation may still arrive: both are ended again until they are over.

    def _may_count_down(self) -> bool:
        return self._has_countdown and self._clock.monotonic_ns() < self._countdown_until_ns

    async def _check(self) -> None:
        try:
            if self._silence_ns() > self._span_ns:
                await self._fire()
        finally:
            # Entries that cannot be cancelled are no reason to lose the stops.
            if self._must_not_count_down():
                await self.end_countdown()
        if self._is_renewal_due and self._silence_ns() <= self._span_ns:
            await self._renew_countdown()

    def _silence_ns(self) -> int:
        return self._clock.monotonic_ns() - self._last_ns

    def _silence_before_ns(self) -> int:
        """How long the authority was silent when this process started."""
        last = self.last
        by_wall_ns = self._clock.time_ns() - last.received_time_ns
        if not last.received_time_ns:
            return self._span_ns + 1
        if self._boot_id and self._boot_id == last.boot_id:
            return max(by_wall_ns, self._clock.monotonic_ns() - last.received_monotonic_ns)
        return by_wall_ns if by_wall_ns >= 0 else self._span_ns + 1

    def _has_entries(self) -> bool:
        return any(not one.is_protective for one in self._submitter.state.index.open.values())

    def _must_not_count_down(self) -> bool:
        """Whether the venue's countdown would cancel what protects a position."""
        has_position = any(one.size for one in self._positions.positions.values())
        open_orders = self._submitter.state.index.open.values()
        return has_position or any(order.is_protective for order in open_orders)

    async def _fire(self) -> None:
        if not self.has_fired:
            self.has_fired = True
            self._changed()
        if self._is_done and not self._has_entries():
            return
        seconds = self._silence_ns() / NANOSECONDS_PER_SECOND
        _log.error("the order authority is silent", extra={"seconds": seconds})
        self._is_done = False
        await self._submitter.cancel_entries()
        self._is_done = not self._has_entries()

    async def _renew_countdown(self) -> None:
        now_ns = self._clock.monotonic_ns()
        was_renewed = self._renewed_ns is not None and now_ns - self._renewed_ns < self._span_ns
        if was_renewed or not self._has_countdown:
            return
        self._renewed_ns = now_ns
        seconds = COUNTDOWN_SPANS * self._span_ns / NANOSECONDS_PER_SECOND
        async with self._countdown_lock:
            if self._must_not_count_down():
                return
            self._is_renewed = False
            latest_ns = int((seconds + 2 * self._timeout_s) * NANOSECONDS_PER_SECOND)
            self._countdown_until_ns = now_ns + latest_ns
            try:
                await answer_of(self._client.countdown(seconds), self._timeout_s)
            except VenuemeshError as error:
                # It is renewed again after one span; the countdown lasts for several.
                _log.error("countdown not renewed", extra={"detail": error.message})
            else:
                self._is_renewed, self._is_renewal_due = True, False


def _age(record: FencingRecord) -> tuple[int, int]:
    """Sorts heartbeats, oldest first: each one of a new authority is newer than all of the old."""
    return record.fencing_epoch, record.heartbeat_time_ns
