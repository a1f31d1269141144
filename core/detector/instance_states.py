"""Stores the states of strategies on instruments as events."""

from typing import NamedTuple

from venuemesh.events.v1 import event_pb2, signals_pb2

from core.detector.store import InstanceKey
from kit.base.database import Connection
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.events.subjects import strategy_subject
from kit.strategy.strategy_terms import SOURCE

RUNNING = signals_pb2.STRATEGY_RUN_STATE_RUNNING
FAILED = signals_pb2.STRATEGY_RUN_STATE_FAILED
STOPPED = signals_pb2.STRATEGY_RUN_STATE_STOPPED
WARMING = signals_pb2.STRATEGY_RUN_STATE_WARMING
PAUSED = signals_pb2.STRATEGY_RUN_STATE_PAUSED

STREAM = event_pb2.EVENT_STREAM_SIGNALS

_NEWEST = "SELECT body FROM events WHERE subject = %s ORDER BY sequence DESC LIMIT 1"


class InstanceState(NamedTuple):
    """What a strategy does on an instrument."""

    version: str
    state: "signals_pb2.StrategyRunState.ValueType"
    detail: str
    """The reason why it does not run; empty if it runs."""


async def record(
    connection: Connection,
    key: InstanceKey,
    now: InstanceState,
    time_ns: int,
    stored_time_ns: int,
) -> None:
    """Store an event if the state differs from the newest stored one. ``time_ns``: of the change.
    Raises EventConflict if another process does so at the same time."""
    row = await (await connection.execute(_NEWEST, [strategy_subject(*key)])).fetchone()
    before = event_pb2.Event.FromString(bytes(row[0])) if row else event_pb2.Event()
    changed = signals_pb2.StrategyStateChanged(
        strategy=key.strategy,
        strategy_version=now.version,
        venue=key.venue,
        symbol=key.symbol,
        state=now.state,
        detail=now.detail,
    )
    if before.strategy_state_changed == changed:
        return
    causes = [before.event_id, changed.SerializeToString(deterministic=True)]
    event = event_pb2.Event(
        event_id=event_id(SOURCE, "/".join(key), causes),
        source=SOURCE,
        instance=key.strategy,
        time_ns=time_ns,
        config_hash=bytes.fromhex(now.version),
        strategy_state_changed=changed,
    )
    await event_log.append(connection, STREAM, [event], stored_time_ns)
