"""What is remembered of the rules that set modes, in PostgreSQL, so that it survives a restart."""

from collections.abc import Iterable, Mapping

from venuemesh.events.v1 import risk_pb2

from core.inspector import equity_marks
from core.inspector.modes import Mode
from kit.base.database import Connection
from kit.risk.escalation import EscalatedMode, Trigger

TriggerKey = tuple[str, str, str]
"""Scope, limit and mode."""
DRAWDOWNS = ("drawdown_max", "drawdown_ratio_max")
MODES: Mapping[str, Mode] = {
    EscalatedMode.THROTTLED: risk_pb2.TRADING_MODE_THROTTLED,
    EscalatedMode.STANDING_DOWN: risk_pb2.TRADING_MODE_STANDING_DOWN,
    EscalatedMode.CLOSING_ALL: risk_pb2.TRADING_MODE_CLOSING_ALL,
    EscalatedMode.HALTED: risk_pb2.TRADING_MODE_HALTED,
}

_LOAD = (
    "SELECT scope, limit_name, mode, is_active, value, looked_time_ns, within_ns"
    " FROM inspector_mode_rules ORDER BY scope, limit_name, mode"
)
_KEEP = (
    "INSERT INTO inspector_mode_rules VALUES (%s, %s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (scope, limit_name, mode)"
    " DO UPDATE SET (is_active, value, looked_time_ns, within_ns)"
    " = (excluded.is_active, excluded.value, excluded.looked_time_ns, excluded.within_ns)"
)
_FORGET = "DELETE FROM inspector_mode_rules WHERE (scope, limit_name, mode) = (%s, %s, %s)"
_RELEASE = (
    "UPDATE inspector_mode_rules SET is_active = false WHERE scope = %s AND mode = ANY (%s)"
    " AND is_active RETURNING limit_name"
)


async def load(connection: Connection) -> dict[TriggerKey, Trigger]:
    rows = await (await connection.execute(_LOAD)).fetchall()
    return {(row[0], row[1], row[2]): Trigger(*row[3:]) for row in rows}


async def keep(connection: Connection, key: TriggerKey, trigger: Trigger | None) -> None:
    """Remember a rule; None: forget it."""
    if trigger is None:
        await connection.execute(_FORGET, key)
    else:
        await connection.execute(_KEEP, [*key, *trigger])


async def release(connection: Connection, scope: str, mode: Mode) -> None:
    """A person sets a mode: stricter ones of rules end. Their values set none again until they
    get worse, or were within the limit in between."""
    stricter = [name for name, one in MODES.items() if one > mode]
    released = await (await connection.execute(_RELEASE, [scope, stricter])).fetchall()
    if any(name in DRAWDOWNS for (name,) in released):
        await equity_marks.begin_again(connection, scope)


def strictest(triggers: Mapping[TriggerKey, Trigger], scope: str) -> TriggerKey | None:
    """The active rule of a scope that sets the strictest mode."""
    active: Iterable[TriggerKey] = (
        key for key, one in triggers.items() if key[0] == scope and one.is_active
    )
    return max(active, key=lambda key: MODES[key[2]], default=None)
