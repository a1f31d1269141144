"""The registry of scoring models, in PostgreSQL."""

from collections.abc import Collection
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.advisor.v1 import scoring_models_pb2 as registry_pb2
from venuemesh.events.v1 import scoring_models_pb2

from kit.base.database import Connection

if TYPE_CHECKING:
    Use: TypeAlias = scoring_models_pb2.ScoringModelUse.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    Use = int

IN_FORCE: Use = scoring_models_pb2.SCORING_MODEL_USE_IN_FORCE
SHADOW: Use = scoring_models_pb2.SCORING_MODEL_USE_SHADOW
RETIRED: Use = scoring_models_pb2.SCORING_MODEL_USE_RETIRED

_USED = (
    "SELECT strategy, use, change FROM advisor_scoring_models WHERE strategy = ANY (%s)"
    f" AND use IN ({IN_FORCE}, {SHADOW}) ORDER BY strategy, use, model_id"
)
_ALL = "SELECT use, changed_time_ns, change FROM advisor_scoring_models WHERE %s IN ('', strategy)"
_REPLACE = (
    f"UPDATE advisor_scoring_models SET use = {RETIRED} WHERE strategy = %s AND use = {IN_FORCE}"
    " AND model_id <> %s RETURNING model_id"
)
_SAVE = (
    "INSERT INTO advisor_scoring_models VALUES (%s, %s, %s, %s, %s) ON CONFLICT (model_id) DO"
    " UPDATE SET use = excluded.use, changed_time_ns = excluded.changed_time_ns,"
    " change = excluded.change"
)


async def load_used(
    connection: Connection, strategies: Collection[str]
) -> dict[str, list[scoring_models_pb2.AssignedScoringModel]]:
    """The model in force and the shadows of each of these strategies."""
    rows = await connection.execute(_USED, [list(strategies)])
    found: dict[str, list[scoring_models_pb2.AssignedScoringModel]] = {}
    async for strategy, use, body in rows:
        assigned = scoring_models_pb2.ScoringModelChanged.FromString(bytes(body)).assigned
        assigned.use = use
        found.setdefault(strategy, []).append(assigned)
    return found


async def load_all(
    connection: Connection, strategy: str
) -> list[registry_pb2.RegisteredScoringModel]:
    """The models of a strategy, or of all if it is empty, with their use now."""
    rows = await connection.execute(_ALL, [strategy])
    found = []
    async for use, changed_time_ns, body in rows:
        changed = scoring_models_pb2.ScoringModelChanged.FromString(bytes(body))
        changed.assigned.use = use
        found.append(
            registry_pb2.RegisteredScoringModel(changed=changed, changed_time_ns=changed_time_ns)
        )
    return found


async def retire_replaced(connection: Connection, strategy: str, model_id: bytes) -> bytes:
    """Retire the model in force, unless it is this one. Returns its id; empty if there is none."""
    rows = await connection.execute(_REPLACE, [strategy, model_id])
    row = await rows.fetchone()
    return b"" if row is None else bytes(row[0])


async def save(
    connection: Connection, changed: scoring_models_pb2.ScoringModelChanged, changed_time_ns: int
) -> None:
    model = changed.assigned.model
    body = changed.SerializeToString(deterministic=True)
    arguments = [model.model_id, model.strategy, changed.assigned.use, changed_time_ns, body]
    await connection.execute(_SAVE, arguments)
