"""What was found of the stops of positions, in PostgreSQL, and the alarms with their events."""

from typing import TYPE_CHECKING, NamedTuple

from venuemesh.events.v1 import event_pb2, risk_pb2

from core.inspector.first_events import SOURCE
from core.inspector.positions import Position
from core.inspector.protection import Protection
from core.inspector.submissions import RISK
from kit.accounting.amounts import plain
from kit.base.database import Connection
from kit.events import event_log
from kit.events.event_ids import event_id

if TYPE_CHECKING:
    from core.inspector.protection import State

_ALARMS = (
    "SELECT position_id, problem FROM inspector_protections JOIN inspector_positions"
    " USING (position_id) WHERE alarm_time_ns > 0"
)
_CHANGE = (
    "INSERT INTO inspector_protections VALUES (%s, %s, %s, 1, false)"
    " ON CONFLICT (position_id) DO UPDATE SET (alarm_time_ns, problem, changes)"
    " = (excluded.alarm_time_ns, excluded.problem, inspector_protections.changes + 1)"
    " WHERE (inspector_protections.alarm_time_ns > 0) <> (excluded.alarm_time_ns > 0)"
    " RETURNING changes"
)
_GIVE = (
    "INSERT INTO inspector_protections VALUES (%s, 0, '', 0, true)"
    " ON CONFLICT (position_id) DO UPDATE SET exits_given = true"
)
_KEEP_STATE = (
    "INSERT INTO inspector_protections AS one VALUES (%s, 0, '', 0, false, %s, %s, %s, %s)"
    " ON CONFLICT (position_id) DO UPDATE SET (state, state_problem, state_size, state_time_ns)"
    " = (excluded.state, excluded.state_problem, excluded.state_size, excluded.state_time_ns)"
    " WHERE (one.state, one.state_problem, one.state_size)"
    " <> (excluded.state, excluded.state_problem, excluded.state_size)"
)
_STATES = (
    "SELECT position_id, state, state_problem, state_size, state_time_ns"
    " FROM inspector_protections"
    " JOIN inspector_positions USING (position_id) WHERE ended_time_ns = 0"
)
_GIVEN = "SELECT FROM inspector_protections WHERE position_id = %s AND exits_given"


class ProtectionFinding(NamedTuple):
    """What a look has found of the stop of a position."""

    state: "State"
    problem: str = ""
    size: str = ""
    """What it holds; "": not known."""


async def keep_state(
    connection: Connection, position_id: bytes, found: ProtectionFinding, now_ns: int
) -> None:
    """Store what is found of a position's stop, and since when if it was not so before."""
    await connection.execute(_KEEP_STATE, [position_id, *found, now_ns])


async def states(connection: Connection) -> dict[bytes, tuple[ProtectionFinding, int]]:
    """What was found of the open positions, and since when it is so."""
    rows = await (await connection.execute(_STATES)).fetchall()
    return {
        bytes(position_id): (ProtectionFinding(*found), time_ns)
        for position_id, *found, time_ns in rows
    }


async def alarms(connection: Connection) -> dict[bytes, str]:
    """What is wrong with the stop of each position that has raised an alarm."""
    rows = await (await connection.execute(_ALARMS)).fetchall()
    return {bytes(position_id): problem for position_id, problem in rows}


async def change(
    connection: Connection, position: Position, found: Protection, now_ns: int
) -> None:
    """Begin the alarm of a position, or end it if nothing is wrong, with the event. Once."""
    position_id, is_alarm = position.position_id, bool(found.problem)
    arguments = [position_id, now_ns if is_alarm else 0, found.problem]
    row = await (await connection.execute(_CHANGE, arguments)).fetchone()
    if row is None:
        return
    event = event_pb2.Event(
        event_id=event_id(SOURCE, "protection", [position_id], row[0]),
        source=SOURCE,
        instance=position.strategy,
        time_ns=now_ns,
        lifecycle_id=position_id,
        cause_ids=[position_id],
        protection_changed=risk_pb2.ProtectionChanged(
            strategy=position.strategy,
            venue=position.venue,
            account=position.account,
            symbol=position.symbol,
            size="" if found.held is None else plain(found.held),
            problem=found.problem,
            is_certain=is_alarm and found.is_certain,
        ),
    )
    await event_log.append(connection, RISK, [event], now_ns)


async def has_new_exits(connection: Connection, position_id: bytes) -> bool:
    """Whether a position got new exits once."""
    rows = await connection.execute(_GIVEN, [position_id])
    return await rows.fetchone() is not None


async def give_exits(connection: Connection, position_id: bytes) -> None:
    """Note that a position gets new exits."""
    await connection.execute(_GIVE, [position_id])
