"""Advisor over gRPC."""

from typing import Any

import grpc
from venuemesh.advisor.v1 import advisor_pb2, advisor_pb2_grpc

from core.advisor.decider import decide
from core.advisor.decision_case import DecisionCase
from core.advisor.facts import DecisionFacts
from core.advisor.settings import DecisionRules
from core.advisor.signal_handler import CollectFacts

Context = grpc.aio.ServicerContext[Any, Any]


class AdvisorServicer(advisor_pb2_grpc.AdvisorServicer):
    """Decides, and stores nothing."""

    def __init__(self, collect: CollectFacts, rules: DecisionRules) -> None:
        self._collect = collect
        self._rules = rules

    async def Decide(
        self, request: advisor_pb2.DecideRequest, context: Context
    ) -> advisor_pb2.DecideResponse:
        if request.facts:
            facts = DecisionFacts(request.facts)
        else:
            (facts,) = await self._collect([request.signal])
        made = request.synthesis if request.HasField("synthesis") else None
        case = DecisionCase.of(request.signal, facts, self._rules, made)
        return advisor_pb2.DecideResponse(
            decision=decide(case), config_hash=self._rules.config_hash(facts.rules_version)
        )
