"""The modes of the mesh, of venues, accounts and strategies."""

import re
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.inspector.v1 import inspector_pb2

from core.inspector.first_events import first_event
from kit.base.database import Connection, PendingRead, send
from kit.base.errors import BadRequest

if TYPE_CHECKING:
    Mode: TypeAlias = risk_pb2.TradingMode.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    Mode = int

MESH = "mesh"
SCOPE = re.compile(r"mesh|venue:[^/:]+|account:[^/:]+/[^/:]+|strategy:[^:]+")
SETTABLE: tuple[Mode, ...] = (
    risk_pb2.TRADING_MODE_ACTIVE,
    risk_pb2.TRADING_MODE_THROTTLED,
    risk_pb2.TRADING_MODE_STANDING_DOWN,
    risk_pb2.TRADING_MODE_CLOSING_ALL,
    risk_pb2.TRADING_MODE_HALTED,
)
FIRST_REASON = "a live mesh begins halted"

_LOAD = "SELECT scope, mode FROM inspector_modes WHERE scope = ANY (%s)"
_LIST = (
    "SELECT scope, mode, reason, caller, changed_time_ns, rule FROM inspector_modes ORDER BY scope"
)
_BEGIN = (
    "INSERT INTO inspector_modes (scope, mode, set_mode, reason, caller, changed_time_ns, changes)"
    " VALUES (%s, %s, %s, '', '', 0, 0) ON CONFLICT DO NOTHING"
)
_LOCK = "SELECT mode, changes FROM inspector_modes WHERE scope = %s FOR UPDATE"
_SET = (
    "UPDATE inspector_modes SET (mode, reason, caller, changed_time_ns, rule, set_mode, changes)"
    " = (%s, %s, %s, %s, %s, CASE WHEN %s = '' THEN %s ELSE set_mode END, changes + 1)"
    " WHERE scope = %s"
)
_BOTH = "SELECT mode, set_mode FROM inspector_modes WHERE scope = %s"


def mode_name(mode: Mode) -> str:
    """For example "HALTED"."""
    return risk_pb2.TradingMode.Name(mode).removeprefix("TRADING_MODE_")


def first_mode(scope: str, world: str) -> Mode:
    """The mode of a scope before its first change."""
    is_halted = scope == MESH and world == "live"
    return risk_pb2.TRADING_MODE_HALTED if is_halted else risk_pb2.TRADING_MODE_ACTIVE


def allows_entries(mode: Mode) -> bool:
    return mode in (risk_pb2.TRADING_MODE_ACTIVE, risk_pb2.TRADING_MODE_THROTTLED)


def scopes_of(venue: str, account: str, strategy: str = "") -> list[str]:
    """The scopes of an order. ``strategy``: empty for an order of a person."""
    scopes = [MESH, f"venue:{venue}", f"account:{venue}/{account}"]
    return [*scopes, f"strategy:{strategy}"] if strategy else scopes


def check(request: inspector_pb2.SetModeRequest) -> None:
    """Raises BadRequest for a scope or a mode that does not exist, and without a reason."""
    if not SCOPE.fullmatch(request.scope):
        allowed = "mesh, venue:VENUE, account:VENUE/ACCOUNT, strategy:NAME"
        raise _bad("scope", request.scope, allowed)
    if request.mode not in SETTABLE:
        raise _bad("mode", str(request.mode), ", ".join(map(mode_name, SETTABLE)))
    if not request.reason.strip():
        raise _bad("reason", request.reason, "a text that says why")


async def send_load(
    connection: Connection, scopes: list[str], world: str
) -> PendingRead[dict[str, Mode]]:
    """Read the mode of each scope."""
    first = {scope: first_mode(scope, world) for scope in scopes}
    return await send(connection, _LOAD, [scopes], lambda rows: first | dict(rows))


async def states(connection: Connection, world: str) -> list[inspector_pb2.ModeState]:
    """The mode of the mesh, and of each scope that has one of its own."""
    rows = await (await connection.execute(_LIST)).fetchall()
    found = {
        scope: inspector_pb2.ModeState(
            scope=scope,
            mode=mode,
            reason=reason,
            caller=caller,
            changed_time_ns=time_ns,
            rule=rule,
        )
        for scope, mode, reason, caller, time_ns, rule in rows
    }
    if MESH not in found:
        mode = first_mode(MESH, world)
        reason = FIRST_REASON if mode == risk_pb2.TRADING_MODE_HALTED else ""
        found[MESH] = inspector_pb2.ModeState(scope=MESH, mode=mode, reason=reason)
    return [found[scope] for scope in sorted(found)]


async def of_scope(connection: Connection, scope: str, world: str) -> tuple[Mode, Mode]:
    """The mode of a scope, and the one that a person has set, which rules may only make
    stricter."""
    first = first_mode(scope, world)
    row = await (await connection.execute(_BOTH, [scope])).fetchone()
    return (first, first) if row is None else (row[0], row[1])


async def change(
    connection: Connection, state: inspector_pb2.ModeState, world: str
) -> event_pb2.Event:
    """Set a mode in the caller's transaction. Returns the event of it. Without a rule, a person
    sets it."""
    first = first_mode(state.scope, world)
    await connection.execute(_BEGIN, [state.scope, first, first])
    row = await (await connection.execute(_LOCK, [state.scope])).fetchone()
    assert row is not None
    before, changes = row
    new = [state.mode, state.reason, state.caller, state.changed_time_ns, state.rule]
    await connection.execute(_SET, [*new, state.rule, state.mode, state.scope])
    # Nothing in the mesh is the cause: the number of the change names it.
    cause = f"mode {state.scope} {changes + 1}"
    event = first_event(state.scope, cause, state.changed_time_ns)
    changed = event.mode_changed
    changed.scope, changed.before, changed.after = state.scope, before, state.mode
    changed.caller, changed.reason, changed.rule = state.caller, state.reason, state.rule
    return event


def _bad(field: str, value: str, allowed: str) -> BadRequest:
    text = f"{field} is {value!r}; allowed is {allowed}"
    return BadRequest(text, field=field, value=value, allowed=allowed)
