"""Watches positions in derivatives that no strategy has opened: of before the mesh, of other
programs, of persons.

They are announced and never touched, until a person adopts one. The ledger has booked them, so they
are its position of no strategy, less what is adopted. A difference of one look may be a fill that
only one side knows: what two looks have found counts.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import position_updates, positions, submissions
from core.inspector.first_events import first_event
from core.inspector.position_updates import NOTHING, WHOLE
from core.inspector.positions import Position
from core.inspector.submissions import RISK
from core.inspector.transactions import exclusive_transaction
from kit.accounting.amounts import ZERO, add, plain, product, subtract
from kit.accounting.money import ATOM
from kit.base.clock import Clock
from kit.base.database import POSTGRESQL, Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.leases import Lease

ADOPTED = "(adopted)"
"""In place of the name of a strategy, which no strategy can have."""
LOOK_SECONDS = 10.0

_HELD = (
    "SELECT venue, account, symbol, size FROM ledger_positions JOIN ledger_contracts"
    " USING (venue, symbol) WHERE strategy = '' AND size <> 0 AND settle <> ''"
)
_STORED = "SELECT venue, account, symbol, size, since_time_ns FROM inspector_legacy_positions"
_KEEP = (
    "INSERT INTO inspector_legacy_positions VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (venue, account, symbol) DO UPDATE SET (size, since_time_ns)"
    " = (excluded.size, excluded.since_time_ns)"
)
_NONE = "0"


class LegacyKey(NamedTuple):
    """Where something is held."""

    venue: str
    account: str
    symbol: str


class StoredLegacy(NamedTuple):
    """What was announced last."""

    size: Decimal
    since_time_ns: int


async def adopted(connection: Connection) -> dict[LegacyKey, tuple[Position, Decimal]]:
    """The adopted positions, with what they hold."""
    found = {}
    for one in await positions.all_open(connection):
        if one.strategy == ADOPTED:
            held = positions.held(await positions.orders_of(connection, one))
            found[LegacyKey(one.venue, one.account, one.symbol)] = one, held
    return found


async def sizes(connection: Connection) -> dict[LegacyKey, Decimal]:
    """What belongs to no strategy and is not adopted; without what is 0."""
    found: dict[LegacyKey, Decimal] = {}
    for *place, atoms in await (await connection.execute(_HELD)).fetchall():
        found[LegacyKey(*place)] = product(atoms, ATOM)
    for key, (_, held) in (await adopted(connection)).items():
        found[key] = subtract(found.get(key, ZERO), held)
    return {key: size for key, size in found.items() if size}


async def stored(connection: Connection) -> dict[LegacyKey, StoredLegacy]:
    """What was announced, by venue, account and symbol."""
    rows = await (await connection.execute(f"{_STORED} ORDER BY 1, 2, 3")).fetchall()
    return {
        LegacyKey(*place): StoredLegacy(Decimal(size), time_ns)
        for *place, size, time_ns in rows
        if size != _NONE
    }


class LegacyPositions:
    """Announces legacy positions while its process has the lease."""

    def __init__(
        self, database: Database, lease: Lease, degraded_reasons: DegradedReasons, clock: Clock
    ) -> None:
        self._database = database
        self._lease = lease
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._before: Mapping[LegacyKey, Decimal] | None = None
        self.after_commit: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Look until cancelled. Raises LeaseLost."""
        self._before = None
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                self._degraded_reasons.report(POSTGRESQL, error.message)
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Compare once. Raises LeaseLost and StoreUnavailable."""
        async with self._database.transaction() as connection:
            found, known = await sizes(connection), await stored(connection)
        before, self._before = self._before, found
        if before is None:
            return
        places = {*found, *known}
        steady = [key for key in places if found.get(key) == before.get(key)]
        changed = {
            key: found.get(key, ZERO)
            for key in sorted(steady)
            if found.get(key) != (known[key].size if key in known else None)
        }
        if changed:
            async with exclusive_transaction(self._database, self._lease) as connection:
                for key, size in changed.items():
                    await self._change(connection, key, size, known.get(key))
            self.after_commit()

    async def _change(
        self, connection: Connection, key: LegacyKey, size: Decimal, known: StoredLegacy | None
    ) -> None:
        now_ns = self._clock.time_ns()
        position, held = (await adopted(connection)).get(key, (None, ZERO))
        if position is not None and size * held < ZERO:
            await self._shrink(connection, position, held, size)
            return
        is_same_side = known is not None and known.size * size > ZERO
        since_ns = known.since_time_ns if known is not None and is_same_side else now_ns
        await connection.execute(_KEEP, [*key, plain(size), since_ns])
        if not is_same_side:
            await event_log.append(connection, RISK, [_event(key, size, now_ns)], now_ns)

    async def _shrink(
        self, connection: Connection, position: Position, held: Decimal, excess: Decimal
    ) -> None:
        """Something else has closed an adopted position, or a part of it."""
        locked = await positions.lock(connection, position.position_id)
        is_moving = await submissions.has_pending(connection, position.position_id)
        if locked is None or locked.ended_time_ns or locked.is_closing or is_moving:
            return
        now_ns = self._clock.time_ns()
        # Of the size that the position has at most: the rest is another position.
        size = max(excess, -held) if held > ZERO else min(excess, -held)
        fill = orders_pb2.Fill(
            venue=position.venue,
            account=position.account,
            symbol=position.symbol,
            fill_id=str(now_ns),
            client_order_id=f"elsewhere-{now_ns}",
        )
        await positions.add_external_fill(connection, position, fill, size)
        await position_updates.settle(connection, position.position_id, now_ns)
        is_left = bool(position.tradable(abs(add(held, size))))
        fraction = NOTHING if is_left else WHOLE
        chain = position.position_id
        await positions.request_close(connection, position, fraction, chain, chain)


def _event(key: LegacyKey, size: Decimal, now_ns: int) -> event_pb2.Event:
    instance = f"{key.venue}/{key.account}"
    # Nothing in the mesh is the cause: its time names it.
    event = first_event(instance, f"legacy {instance} {key.symbol} {now_ns}", now_ns)
    changed = event.legacy_position_changed
    changed.venue, changed.account, changed.symbol = key
    changed.size = plain(size)
    return event
