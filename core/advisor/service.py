"""Advisor over gRPC."""

from collections.abc import Sequence
from typing import Any

import grpc
from venuemesh.advisor.v1 import advisor_pb2, advisor_pb2_grpc, decision_reports_pb2
from venuemesh.advisor.v1 import scoring_models_pb2 as registry_pb2
from venuemesh.events.v1 import calibrations_pb2, scoring_models_pb2

from core.advisor import attribution, calibration_store, decision_reports, scoring_model_store
from core.advisor.calibration.messages import read_map
from core.advisor.decider import decide
from core.advisor.decision_case import DecisionCase
from core.advisor.facts import RULES_VERSION, RULES_VERSION_NOW, DecisionFacts
from core.advisor.scoring_model_changes import set_scoring_model
from core.advisor.settings import DecisionRules
from core.advisor.signal_handler import CollectFacts, LoadModels
from kit.base.access.call_guard import current_caller
from kit.base.clock import Clock
from kit.base.database import Database
from kit.base.errors import BadRequest
from kit.base.paging import Position, page_of

Context = grpc.aio.ServicerContext[Any, Any]


class AdvisorServicer(advisor_pb2_grpc.AdvisorServicer):
    """Decides without storing, reports, and puts scoring models to use."""

    def __init__(
        self,
        collect: CollectFacts,
        load_models: LoadModels,
        rules: DecisionRules,
        database: Database,
        clock: Clock,
    ) -> None:
        self._collect = collect
        self._load_models = load_models
        self._rules = rules
        self._database = database
        self._clock = clock

    async def Decide(
        self, request: advisor_pb2.DecideRequest, context: Context
    ) -> advisor_pb2.DecideResponse:
        models: Sequence[scoring_models_pb2.AssignedScoringModel] = request.models
        if request.facts:
            facts, calibration_map = _given(request)
        else:
            (facts,) = await self._collect([request.signal])
            ((calibration_map, models),) = await self._load_models([request.signal])
        made = request.synthesis if request.HasField("synthesis") else None
        case = DecisionCase.of(request.signal, facts, self._rules, made, calibration_map)
        case = case.with_models(models)
        return advisor_pb2.DecideResponse(
            decision=decide(case), config_hash=self._rules.config_hash(facts.rules_version)
        )

    async def ListDecisions(
        self, request: decision_reports_pb2.ListDecisionsRequest, context: Context
    ) -> decision_reports_pb2.ListDecisionsResponse:
        return await decision_reports.list_decisions(self._database, request)

    async def ExplainDecision(
        self, request: decision_reports_pb2.ExplainDecisionRequest, context: Context
    ) -> decision_reports_pb2.ExplainDecisionResponse:
        return await decision_reports.explain(self._database, request.event_id)

    async def RepeatDecision(
        self, request: decision_reports_pb2.RepeatDecisionRequest, context: Context
    ) -> decision_reports_pb2.RepeatDecisionResponse:
        return await decision_reports.repeat(self._database, request.event_id, self._rules)

    async def ListCalibrations(
        self, request: decision_reports_pb2.ListCalibrationsRequest, context: Context
    ) -> decision_reports_pb2.ListCalibrationsResponse:
        async with self._database.reading() as connection:
            found = await calibration_store.load_reports(connection, request.strategy)
        found.sort(key=_place)
        page, token = page_of(request, found, _place)
        rows = [
            decision_reports_pb2.RegimeCalibration(
                map=one.map, report=one.report if one.HasField("report") else None
            )
            for one in page
        ]
        return decision_reports_pb2.ListCalibrationsResponse(
            calibrations=rows, next_page_token=token
        )

    async def SetScoringModel(
        self, request: registry_pb2.SetScoringModelRequest, context: Context
    ) -> registry_pb2.SetScoringModelResponse:
        caller = current_caller().name
        changed = await set_scoring_model(self._database, request, caller, self._clock)
        return registry_pb2.SetScoringModelResponse(changed=changed)

    async def ListScoringModels(
        self, request: registry_pb2.ListScoringModelsRequest, context: Context
    ) -> registry_pb2.ListScoringModelsResponse:
        async with self._database.reading() as connection:
            found = await scoring_model_store.load_all(connection, request.strategy)
        found.sort(key=_newest)
        page, token = page_of(request, found, _newest)
        return registry_pb2.ListScoringModelsResponse(models=page, next_page_token=token)

    async def GetAttribution(
        self, request: decision_reports_pb2.GetAttributionRequest, context: Context
    ) -> decision_reports_pb2.GetAttributionResponse:
        now_ns = self._clock.time_ns()
        return await attribution.attribution(self._database, request, self._rules, now_ns)


def _place(one: calibrations_pb2.CalibrationUpdated) -> Position:
    """By strategy; first the map of all regimes."""
    return [one.map.strategy, not one.map.is_pool, one.map.regime]


def _newest(one: registry_pb2.RegisteredScoringModel) -> Position:
    """By strategy; first the newest change."""
    model = one.changed.assigned.model
    return [model.strategy, -one.changed_time_ns, model.model_id.hex()]


def _given(
    request: advisor_pb2.DecideRequest,
) -> tuple[DecisionFacts, calibrations_pb2.CalibrationMap | None]:
    """The facts and the map of a request. Raises BadRequest."""
    facts = DecisionFacts(request.facts)
    version = facts.rules_version
    if not 1 <= version <= RULES_VERSION_NOW:
        raise BadRequest(
            f"{RULES_VERSION} {version} is unknown",
            field="facts",
            value=version,
            allowed=f"1 to {RULES_VERSION_NOW}",
        )
    if not request.HasField("calibration_map"):
        return facts, None
    try:
        read_map(request.calibration_map)
    except ValueError as error:
        raise BadRequest(
            str(error),
            field="calibration_map.probabilities",
            value=len(request.calibration_map.probabilities),
            allowed="as many as convictions",
        ) from error
    return facts, request.calibration_map
