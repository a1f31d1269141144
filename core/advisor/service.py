"""Advisor over gRPC."""

from typing import Any

import grpc
from venuemesh.advisor.v1 import advisor_pb2, advisor_pb2_grpc
from venuemesh.events.v1 import calibrations_pb2

from core.advisor.calibration.messages import read_map
from core.advisor.decider import decide
from core.advisor.decision_case import DecisionCase
from core.advisor.facts import RULES_VERSION, RULES_VERSION_NOW, DecisionFacts
from core.advisor.settings import DecisionRules
from core.advisor.signal_handler import CollectFacts, LoadMaps
from kit.base.errors import BadRequest

Context = grpc.aio.ServicerContext[Any, Any]


class AdvisorServicer(advisor_pb2_grpc.AdvisorServicer):
    """Decides, and stores nothing."""

    def __init__(self, collect: CollectFacts, load_maps: LoadMaps, rules: DecisionRules) -> None:
        self._collect = collect
        self._load_maps = load_maps
        self._rules = rules

    async def Decide(
        self, request: advisor_pb2.DecideRequest, context: Context
    ) -> advisor_pb2.DecideResponse:
        if request.facts:
            facts, calibration_map = _given(request)
        else:
            (facts,) = await self._collect([request.signal])
            (calibration_map,) = await self._load_maps([request.signal])
        made = request.synthesis if request.HasField("synthesis") else None
        case = DecisionCase.of(request.signal, facts, self._rules, made, calibration_map)
        return advisor_pb2.DecideResponse(
            decision=decide(case), config_hash=self._rules.config_hash(facts.rules_version)
        )


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
