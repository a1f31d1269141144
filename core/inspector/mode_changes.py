"""Sets modes, and requests the closing of positions for CLOSING_ALL."""

from collections.abc import Callable, Sequence

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.inspector.v1 import inspector_pb2

from core.inspector import entry_fences, mode_rules, modes, positions
from core.inspector.entry_fences import EntryFence, EntryFences
from core.inspector.position_updates import WHOLE
from core.inspector.submissions import RISK
from core.inspector.transactions import exclusive_transaction
from kit.base.clock import Clock
from kit.base.database import Connection, Database
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.leases import Lease, LeaseLost


class ModeChanges:
    """Changes of modes, each with its event."""

    def __init__(
        self, database: Database, lease: Lease, fences: EntryFences, world: str, clock: Clock
    ) -> None:
        self._database = database
        self._lease = lease
        self._fences = fences
        self._world = world
        self._clock = clock
        self.after_commit: Callable[[], None] = lambda: None

    async def set(
        self, request: inspector_pb2.SetModeRequest, caller: str
    ) -> inspector_pb2.ModeState:
        """Set a valid mode and void earlier approvals of entries. Raises LeaseLost and
        StoreUnavailable."""
        state = inspector_pb2.ModeState(
            scope=request.scope,
            mode=request.mode,
            reason=request.reason,
            caller=caller,
            changed_time_ns=self._clock.time_ns(),
        )
        async with exclusive_transaction(self._database, self._lease) as connection:
            event, made = await enter(connection, state, self._world)
            await mode_rules.release(connection, state.scope, state.mode)
            await event_log.append(connection, RISK, [event], state.changed_time_ns)
        self.after_commit()
        state.unfenced_accounts.extend(await self._unfenced(made))
        return state

    async def _unfenced(self, made: Sequence[EntryFence]) -> list[str]:
        """The accounts whose venue process may still accept entries. The mode is already set."""
        try:
            return await self._fences.send_all(made)
        except (LeaseLost, StoreUnavailable):
            return sorted(fence.name for fence in made)


async def enter(
    connection: Connection, state: inspector_pb2.ModeState, world: str
) -> tuple[event_pb2.Event, list[EntryFence]]:
    """Set a mode and do what it asks for, in the caller's transaction. Returns the event of it, and
    the fences that are to be sent after the commit."""
    made: list[EntryFence] = []
    if not modes.allows_entries(state.mode):
        made = await entry_fences.create(connection, state.scope)
    event = await modes.change(connection, state, world)
    if state.mode == risk_pb2.TRADING_MODE_CLOSING_ALL:
        for position in await positions.all_open(connection):
            scopes = modes.scopes_of(position.venue, position.account, position.strategy)
            is_wanted = position.close_fraction == WHOLE and not position.close_flips
            if state.scope in scopes and not is_wanted:
                # In the chain that opened it, so its fills belong to the strategy.
                await positions.request_close(
                    connection, position, WHOLE, position.position_id, event.event_id
                )
    return event, made
