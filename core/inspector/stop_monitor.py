"""Finds positions without a stop, raises an alarm, and protects or closes them.

The venue's process is asked for the orders of each position: fills that it reports count at once,
and a stop counts while it works. A stop ends without closing its position when the venue finally
rejects it, when somebody cancels it, or when a person's flattening is interrupted. Such a position
gets new exits at the same prices, once; if the new stop ends too, the position is closed. It is
closed as well if its stop has triggered and is not filled: the venue has rejected its order.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2

from core.inspector import positions, protection, protection_store, submissions
from core.inspector.position_updates import NOTHING, WHOLE
from core.inspector.positions import Position, StrategyOrder
from core.inspector.protection import Protection
from core.inspector.protection_store import ProtectionFinding
from core.inspector.transactions import exclusive_transaction
from core.inspector.venue_processes import CallRefused, NoAnswer, VenueOrders
from kit.accounting.amounts import ZERO, plain
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import POSTGRESQL, Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.events.leases import Lease

LOOK_SECONDS = 1.0
PAUSE_SECONDS = 0.2
"""Between two looks at positions that have changed, or lack their stop."""
ALARM_SECONDS = 1.0
"""A stop that is replaced, or goes from its process to the venue, is away for less."""
CLOSING_SECONDS = 5.0
"""The same while a position is being closed or reduced."""
UNKNOWN_SECONDS = 30.0
"""The same while the venue's process does not answer: it may start, or reconcile the account."""
ACT_SECONDS = 5.0
"""A position gets new exits after this time: before, the events of a filled exit or the fills of a
person's closing order may arrive."""
RECONCILED = frozenset({accounts_pb2.ACCOUNT_STATE_READY, accounts_pb2.ACCOUNT_STATE_REFUSED})
"""States of accounts whose orders are compared with the venue."""

AccountKey = tuple[str, str]
"""Venue and account."""
WhenReported = Callable[[Position, Sequence[StrategyOrder], Iterable[orders_pb2.Order]], None]

_log = telemetry.logger("inspector.unprotected")


@dataclass(frozen=True, slots=True)
class WatchedPosition:
    """An open position, as it is stored."""

    position: Position
    orders: Sequence[StrategyOrder]
    is_moving: bool
    """Whether it is being closed, or orders of it are on their way."""


@dataclass(slots=True)
class UnprotectedTime:
    """The time of a position without its stop, by the monotonic clock."""

    since_ns: int
    still_since_ns: int
    """Since when none of its orders was on its way."""
    is_certain: bool


class StopMonitor:
    """Protects or closes positions without a stop while this process has the lease."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        venues: VenueOrders,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._database = database
        self._lease = lease
        self._venues = venues
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self.found: set[bytes] = set()
        """Ids of the positions that lack their stop and are not being closed."""
        self.protected: set[bytes] = set()
        """Ids of the positions that had their stop at the last look."""
        self._times: dict[bytes, UnprotectedTime] = {}
        self._alarms: dict[bytes, str] = {}
        self._states: dict[bytes, ProtectionFinding] = {}
        """What is stored of the positions."""
        self.when_reported: WhenReported = lambda position, orders, reported: None
        """Called with what the venue's process says of the orders of a position that trails and
        that is not moving."""
        self._changed: set[bytes] = set()
        self._looking: set[AccountKey] = set()
        self.after_commit: Callable[[], None] = lambda: None
        self.when_protected: Callable[[float], None] = lambda seconds: None
        """Called with the time for which a position was without its stop, at the end of it; at
        first with 0 for a position that was seen with its stop only."""

    def changed(self, position_ids: Iterable[bytes]) -> None:
        """Look at these positions soon."""
        self._changed.update(position_ids)

    async def run(self) -> None:
        """Look until cancelled. Raises LeaseLost."""
        for one in (self.found, self.protected, self._changed, self._looking):
            one.clear()
        self._times.clear()
        self._states.clear()
        next_ns = 0
        async with asyncio.TaskGroup() as group:
            while True:
                now_ns = self._clock.monotonic_ns()
                only = None if now_ns >= next_ns else self._changed | self._times.keys()
                if only is None:
                    next_ns = now_ns + int(LOOK_SECONDS * NANOSECONDS_PER_SECOND)
                self._changed.clear()
                for account, watched in (await self._watched(only)).items():
                    if account not in self._looking:
                        self._looking.add(account)
                        group.create_task(self._look(account, watched))
                await self._clock.sleep(PAUSE_SECONDS)

    async def _watched(self, only: set[bytes] | None) -> Mapping[AccountKey, list[WatchedPosition]]:
        """The open positions by account. ``only``: of these ids."""
        found: dict[AccountKey, list[WatchedPosition]] = {}
        if only is not None and not only:
            return found
        try:
            async with self._database.reading() as connection:
                self._alarms = await protection_store.alarms(connection)
                every = await positions.all_open(connection)
                for one in every:
                    if only is None or one.position_id in only:
                        watched = await _read(connection, one)
                        found.setdefault((one.venue, one.account), []).append(watched)
            await self._forget({one.position_id for one in every})
        except StoreUnavailable as error:
            self._degraded_reasons.report(POSTGRESQL, error.message)
        return found

    async def _forget(self, open_ids: set[bytes]) -> None:
        """Positions that have ended need no stop. Raises LeaseLost, StoreUnavailable."""
        for position_id in self._times.keys() - open_ids:
            self._end_time(position_id, holds=False)
        self.protected &= open_ids
        for position_id in self._states.keys() - open_ids:
            del self._states[position_id]
        for position_id in self._alarms.keys() - open_ids:
            async with exclusive_transaction(self._database, self._lease) as connection:
                position = await positions.lock(connection, position_id)
                assert position is not None
                await self._tell(connection, position, Protection(ZERO))
            self.after_commit()

    async def _look(self, account: AccountKey, watched: Sequence[WatchedPosition]) -> None:
        try:
            await self.look(account, watched)
        except StoreUnavailable as error:
            self._degraded_reasons.report(POSTGRESQL, error.message)
        finally:
            self._looking.discard(account)

    async def look(self, account: AccountKey, watched: Sequence[WatchedPosition]) -> None:
        """Compare positions of an account with their orders at the venue, and act. Raises
        LeaseLost, StoreUnavailable."""
        try:
            listed = await self._listed(account)
            found = [await self._compare(account, one, listed) for one in watched]
        except (NoAnswer, CallRefused) as error:
            found = [Protection(None, f"not known: {error}")] * len(watched)
        for one, protected in zip(watched, found, strict=True):
            await self._judge(one, protected)
        await self._keep_states(watched, found)

    async def _compare(
        self, account: AccountKey, watched: WatchedPosition, listed: Mapping[str, orders_pb2.Order]
    ) -> Protection:
        """What an account's open orders say of a position. Raises NoAnswer, CallRefused."""
        reported = list(listed.values())
        for order in protection.unreported(watched.orders, listed):
            found = await self._venues.find(*account, order.client_order_id)
            if found is not None:
                reported.append(found)
        if watched.position.trailing_offset and not watched.is_moving:
            self.when_reported(watched.position, watched.orders, reported)
        return protection.compare(watched.position, watched.orders, reported)

    async def _keep_states(
        self, watched: Sequence[WatchedPosition], found: Sequence[Protection]
    ) -> None:
        """Store what has changed, for the reports. Raises LeaseLost, StoreUnavailable."""
        changed: dict[bytes, ProtectionFinding] = {}
        for one, protected in zip(watched, found, strict=True):
            state = protection.state_of(one.position, protected, is_moving=one.is_moving)
            size = "" if protected.held is None else plain(protected.held)
            finding = ProtectionFinding(state, protected.problem, size)
            if self._states.get(one.position.position_id) != finding:
                changed[one.position.position_id] = finding
        if not changed:
            return
        async with exclusive_transaction(self._database, self._lease) as connection:
            for position_id, finding in changed.items():
                now_ns = self._clock.time_ns()
                await protection_store.keep_state(connection, position_id, finding, now_ns)
        self._states |= changed

    async def _listed(self, account: AccountKey) -> Mapping[str, orders_pb2.Order]:
        """The open orders of an account. Raises NoAnswer, CallRefused."""
        venue, name = account
        accounts = {one.account: one for one in await self._venues.accounts(venue)}
        state = accounts[name].state if name in accounts else None
        if state not in RECONCILED:
            detail = "not listed" if state is None else accounts[name].detail
            raise NoAnswer(f"the account {venue}/{name} is not ready: {detail}")
        return {one.client_order_id: one for one in await self._venues.open_orders(venue, name)}

    async def _judge(self, watched: WatchedPosition, found: Protection) -> None:
        position, now_ns = watched.position, self._clock.monotonic_ns()
        position_id = position.position_id
        if not found.problem:
            self._end_time(position_id, holds=bool(found.held))
            if position_id in self._alarms:
                await self._change(position, found)
            return
        time = self._times.get(position_id)
        if time is None or (found.is_certain and not time.is_certain):
            time = self._times[position_id] = UnprotectedTime(now_ns, now_ns, found.is_certain)
        time.is_certain = found.is_certain
        self.protected.discard(position_id)
        is_found = found.is_certain and not position.is_closing
        (self.found.add if is_found else self.found.discard)(position_id)
        if watched.is_moving or not found.is_certain:
            time.still_since_ns = now_ns
        if now_ns - time.since_ns >= _patience_ns(position, found):
            await self._change(position, found)
        if now_ns - time.still_since_ns >= ACT_SECONDS * NANOSECONDS_PER_SECOND:
            await self._act(position_id, is_triggered=found.is_triggered)

    def _end_time(self, position_id: bytes, *, holds: bool) -> None:
        """A position has its stop, or holds nothing that needs one."""
        time = self._times.pop(position_id, None)
        self.found.discard(position_id)
        if time is not None and time.is_certain:
            passed_ns = self._clock.monotonic_ns() - time.since_ns
            self.when_protected(passed_ns / NANOSECONDS_PER_SECOND)
        elif time is None and holds and position_id not in self.protected:
            self.when_protected(0)
        if holds:
            self.protected.add(position_id)

    async def _change(self, position: Position, found: Protection) -> None:
        """Begin or end the alarm of a position. Raises LeaseLost, StoreUnavailable."""
        if bool(found.problem) == (position.position_id in self._alarms):
            return
        async with exclusive_transaction(self._database, self._lease) as connection:
            await self._tell(connection, position, found)
        self.after_commit()

    async def _tell(self, connection: Connection, position: Position, found: Protection) -> None:
        position_id = position.position_id
        extra = {"position": position_id.hex(), "strategy": position.strategy}
        if found.problem:
            _log.error("stop alarm", extra={**extra, "detail": found.problem})
            self._alarms[position_id] = found.problem
        else:
            _log.info("stop alarm is over", extra=extra)
            self._alarms.pop(position_id, None)
        await protection_store.change(connection, position, found, self._clock.time_ns())

    async def _act(self, position_id: bytes, *, is_triggered: bool) -> None:
        """Give a position new exits, or close it. Raises LeaseLost, StoreUnavailable."""
        async with exclusive_transaction(self._database, self._lease) as connection:
            position = await positions.lock(connection, position_id)
            if position is None or position.ended_time_ns:
                return
            if (await _read(connection, position)).is_moving:
                return
            is_over = is_triggered or await protection_store.has_new_exits(connection, position_id)
            await protection_store.give_exits(connection, position_id)
            text = "closed" if is_over else "given new exits"
            extra = {"position": position_id.hex(), "strategy": position.strategy, "detail": text}
            _log.error("position without a stop", extra=extra)
            fraction = WHOLE if is_over else NOTHING
            await positions.request_close(connection, position, fraction, position_id, position_id)
        self.after_commit()


async def _read(connection: Connection, position: Position) -> WatchedPosition:
    orders = await positions.orders_of(connection, position)
    is_moving = position.is_closing or await submissions.has_pending(
        connection, position.position_id
    )
    return WatchedPosition(position, orders, is_moving)


def _patience_ns(position: Position, found: Protection) -> int:
    """How long a position may be without its stop before there is an alarm."""
    seconds = CLOSING_SECONDS if position.is_closing else ALARM_SECONDS
    return int((seconds if found.is_certain else UNKNOWN_SECONDS) * NANOSECONDS_PER_SECOND)
