"""Puts scoring models to use for callers, with an event of each change."""

from venuemesh.advisor.v1 import scoring_models_pb2 as registry_pb2
from venuemesh.events.v1 import event_pb2, scoring_models_pb2

from core.advisor import scoring_model_store
from core.advisor.decider import SOURCE
from core.advisor.scoring.models import unusable_reason
from core.advisor.scoring_model_store import IN_FORCE, RETIRED, SHADOW
from core.advisor.signal_handler import DECISIONS
from kit.base.clock import Clock
from kit.base.database import Database
from kit.base.errors import BadRequest
from kit.events import event_log
from kit.events.event_ids import event_id

SHADOWS_MAX = 4
"""Of a strategy: each decision states them all."""
Request = registry_pb2.SetScoringModelRequest


async def set_scoring_model(
    database: Database, request: Request, caller: str, clock: Clock
) -> scoring_models_pb2.ScoringModelChanged:
    """Store the use of a model, and the event. Raises BadRequest and StoreUnavailable."""
    _check(request)
    model, now_ns = request.assigned.model, clock.time_ns()
    changed = scoring_models_pb2.ScoringModelChanged(
        assigned=request.assigned, caller=caller, reason=request.reason
    )
    async with database.transaction() as connection:
        # Of two callers, the second one sees what the first one has stored.
        await event_log.hold(connection, DECISIONS)
        used = (await scoring_model_store.load_used(connection, [model.strategy])).get(
            model.strategy, []
        )
        shadows = {one.model.model_id for one in used if one.use == SHADOW} | {model.model_id}
        if request.assigned.use == SHADOW and len(shadows) > SHADOWS_MAX:
            raise _refused("assigned.use", "SHADOW", f"at most {SHADOWS_MAX} shadows of a strategy")
        if request.assigned.use == IN_FORCE:
            changed.replaced_model_id = await scoring_model_store.retire_replaced(
                connection, model.strategy, model.model_id
            )
        await scoring_model_store.save(connection, changed, now_ns)
        event = event_pb2.Event(
            event_id=event_id(SOURCE, model.strategy, [model.model_id, str(now_ns).encode()]),
            source=SOURCE,
            instance=model.strategy,
            time_ns=now_ns,
            scoring_model_changed=changed,
        )
        await event_log.append(connection, DECISIONS, [event], now_ns)
    return changed


def _check(request: Request) -> None:
    """Raises BadRequest."""
    model, use = request.assigned.model, request.assigned.use
    if use not in (IN_FORCE, SHADOW, RETIRED):
        raise _refused("assigned.use", str(use), "IN_FORCE, SHADOW or RETIRED")
    if not request.reason.strip():
        raise _refused("reason", request.reason, "why its use changes")
    if not model.strategy:
        raise _refused("assigned.model.strategy", "", "the name of a strategy")
    reason = unusable_reason(model)
    # A model of an earlier version is retired as it is.
    if reason and use != RETIRED:
        raise BadRequest(
            reason, field="assigned.model", value=model.model_id.hex(), allowed="a usable model"
        )
    skill = model.report.brier_skill
    if use == IN_FORCE and not skill > 0:
        raise _refused("assigned.model.report.brier_skill", f"{skill:.6g}", "above 0")


def _refused(field: str, value: str, allowed: str) -> BadRequest:
    text = f"{field} is {value!r}; allowed is {allowed}"
    return BadRequest(text, field=field, value=value, allowed=allowed)
