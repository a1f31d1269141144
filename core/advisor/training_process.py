"""Trains a scoring model on the record, in a process of its own: ``./venuemesh advisor train``
starts it. It reads a TrainingRequest as JSON from stdin, and writes a message ScoringModel as JSON
to stdout, or an error to stderr.
"""

import asyncio
import sys

import msgspec
from google.protobuf.json_format import MessageToJson
from venuemesh.events.v1 import scoring_models_pb2

from core.advisor.attribution import decided_outcomes
from core.advisor.decision_case import DecisionCase
from core.advisor.facts import DecisionFacts
from core.advisor.features import feature_values
from core.advisor.scoring.training import LabelledEntry, TrainingImpossible, train
from core.advisor.settings import AdvisorSettings
from core.advisor.signal_handler import DECISIONS
from kit.base.database import Database
from kit.base.errors import StoreUnavailable
from kit.events import event_log

EXIT_FAILED = 1


class TrainingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the process."""

    database_url: str
    strategy: str
    start_ns: int
    """Of the first decision."""
    end_ns: int
    """Decisions and outcomes before it count, so that later ones can judge the model."""


def main() -> int:
    """Answer the request. Returns the exit code: 0, or 1 with an error."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=TrainingRequest)
    try:
        model = asyncio.run(trained(request))
    except (TrainingImpossible, StoreUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    sys.stdout.write(MessageToJson(model, preserving_proto_field_name=True) + "\n")
    return 0


async def trained(request: TrainingRequest) -> scoring_models_pb2.ScoringModel:
    """Raises TrainingImpossible and StoreUnavailable."""
    database = Database(request.database_url)
    try:
        return train(request.strategy, await recorded_entries(database, request))
    finally:
        await database.close()


async def recorded_entries(database: Database, request: TrainingRequest) -> list[LabelledEntry]:
    """The entries of a strategy with a known outcome. Raises StoreUnavailable."""
    found: list[LabelledEntry] = []
    # The features depend on no setting.
    rules, after = AdvisorSettings().rules(), 0
    async with database.reading() as connection:
        while page := await event_log.read(connection, DECISIONS, after):
            after = page[-1].sequence
            outcomes = [
                event
                for event in (one.event() for one in page)
                if event.HasField("outcome_observed")
                and event.outcome_observed.HasField("is_won")
                and event.instance == request.strategy
                and event.time_ns < request.end_ns
            ]
            known_ns = {event.cause_ids[0]: event.time_ns for event in outcomes}
            async for one in decided_outcomes(connection, outcomes):
                decision = one.decision
                if decision.time_ns < request.start_ns:
                    continue
                facts = DecisionFacts(decision.decision_made.facts)
                case = DecisionCase.of(one.signal.signal_raised, facts, rules)
                found.append(
                    LabelledEntry(
                        decision.time_ns,
                        known_ns[decision.event_id],
                        feature_values(case),
                        one.outcome.is_won,
                    )
                )
    return found


if __name__ == "__main__":
    raise SystemExit(main())
