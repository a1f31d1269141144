"""Inspector and RiskReports over gRPC."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from venuemesh.inspector.v1 import (
    adoptions_pb2,
    capital_reports_pb2,
    inspector_pb2,
    inspector_pb2_grpc,
    proposals_pb2,
    reconciliations_pb2,
    risk_reports_pb2,
    risk_reports_pb2_grpc,
)

from core.inspector import (
    capital_reports,
    entry_fences,
    legacy_positions,
    modes,
    pending_submissions,
    positions,
    protection_reports,
    protection_store,
    reconciliation_store,
    reduction_queue,
    risk_reports,
    verdict_reports,
)
from core.inspector.active_process import ActiveProcess
from core.inspector.adoptions import Adoptions
from core.inspector.manual_orders import ManualOrders, ManualResult
from core.inspector.mode_changes import ModeChanges
from core.inspector.position_closer import PositionCloser
from core.inspector.positions import Position
from core.inspector.price_cache import PriceCache
from core.inspector.verdict_inputs import VerdictInputs
from kit.accounting.amounts import plain
from kit.base.access.call_guard import current_caller
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Database
from kit.base.errors import BadRequest, ServiceUnavailable, VenuemeshError
from kit.base.paging import page_of
from kit.events.leases import LeaseLost
from kit.execution.batches import order_error

RESTS_SECONDS = 86_400
RESTS_MAX = 100
"""GetState returns residual sizes of up to so many positions that ended within this time."""

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class PersonRequests:
    """Handlers of what persons ask for."""

    changes: ModeChanges
    manual: ManualOrders
    adoptions: Adoptions


class InspectorServicer(inspector_pb2_grpc.InspectorServicer):
    """Serves modes, positions of strategies, and order requests of persons."""

    def __init__(
        self,
        database: Database,
        rules: VerdictInputs,
        active: ActiveProcess,
        persons: PersonRequests,
        closer: PositionCloser,
    ) -> None:
        self._database = database
        self._rules = rules
        self._active = active
        self._persons = persons
        self._closer = closer

    async def GetState(
        self, request: inspector_pb2.GetStateRequest, context: Context
    ) -> inspector_pb2.GetStateResponse:
        response = inspector_pb2.GetStateResponse(
            policy_version=self._rules.policy.version.hex(),
            policy=self._rules.policy.text,
            is_acting=self._active.is_active,
        )
        async with self._database.transaction() as connection:
            response.modes.extend(await modes.states(connection, self._rules.world))
            alarms = await protection_store.alarms(connection)
            for position in await positions.all_open(connection):
                held = positions.held(await positions.orders_of(connection, position))
                found = _strategy_position(position, plain(held))
                found.protection_problem = alarms.get(position.position_id, "")
                found.problem = self._closer.problems.get(position.position_id, "")
                found.waiting_reductions = await reduction_queue.count(
                    connection, position.position_id
                )
                response.positions.append(found)
            since_ns = self._rules.clock.time_ns() - RESTS_SECONDS * NANOSECONDS_PER_SECOND
            open_fences = await entry_fences.unconfirmed(connection)
            response.unfenced_accounts.extend(sorted({one.name for one in open_fences}))
            rests = await positions.residuals(connection, since_ns, RESTS_MAX)
            response.rests.extend(_strategy_position(one, one.rest) for one in rests)
        return response

    async def ListReconciliations(
        self, request: reconciliations_pb2.ListReconciliationsRequest, context: Context
    ) -> reconciliations_pb2.ListReconciliationsResponse:
        async with self._database.transaction() as connection:
            found = await reconciliation_store.load(connection)
        rows = [one for one in found if request.venue in ("", one.venue)]
        page, token = page_of(request, rows, lambda one: [one.venue, one.account])
        now_ns = self._rules.clock.time_ns()
        return reconciliations_pb2.ListReconciliationsResponse(
            reconciliations=[one.message(now_ns) for one in page], next_page_token=token
        )

    async def SetMode(
        self, request: inspector_pb2.SetModeRequest, context: Context
    ) -> inspector_pb2.SetModeResponse:
        modes.check(request)
        self._active.require()
        with _lease_held():
            state = await self._persons.changes.set(request, current_caller().name)
        return inspector_pb2.SetModeResponse(mode=state)

    async def AdoptPosition(
        self, request: adoptions_pb2.AdoptPositionRequest, context: Context
    ) -> adoptions_pb2.AdoptPositionResponse:
        self._active.require()
        try:
            return await self._persons.adoptions.adopt(request, current_caller().name)
        except LeaseLost as error:
            raise ServiceUnavailable(str(error)) from None

    async def SubmitManual(
        self, request: inspector_pb2.SubmitManualRequest, context: Context
    ) -> inspector_pb2.SubmitManualResponse:
        self._active.require()
        with _lease_held():
            return await self._persons.manual.submit(request, current_caller())

    async def SubmitManualOrders(
        self, request: inspector_pb2.SubmitManualOrdersRequest, context: Context
    ) -> inspector_pb2.SubmitManualOrdersResponse:
        self._active.require()
        if not request.requests:
            text = "the request has no orders; allowed are 1 to 20"
            raise BadRequest(text, field="requests", value=0, allowed="1 to 20")
        with _lease_held():
            answers = await self._persons.manual.submit_many(request.requests, current_caller())
        return inspector_pb2.SubmitManualOrdersResponse(results=map(_result, answers))

    async def ListProposals(
        self, request: proposals_pb2.ListProposalsRequest, context: Context
    ) -> proposals_pb2.ListProposalsResponse:
        found = await self._persons.manual.waiting()
        page, token = page_of(request, found, lambda one: [one.number])
        return proposals_pb2.ListProposalsResponse(
            proposals=[one.message() for one in page], next_page_token=token
        )

    async def ConfirmProposal(
        self, request: inspector_pb2.ConfirmProposalRequest, context: Context
    ) -> inspector_pb2.ConfirmProposalResponse:
        self._active.require()
        with _lease_held():
            answer = await self._persons.manual.confirm(request.request_id, current_caller())
        return inspector_pb2.ConfirmProposalResponse(submitted=answer)

    async def DeclineProposal(
        self, request: proposals_pb2.DeclineProposalRequest, context: Context
    ) -> proposals_pb2.DeclineProposalResponse:
        self._active.require()
        with _lease_held():
            by = current_caller()
            found = await self._persons.manual.decline(request.request_id, request.reason, by)
        return proposals_pb2.DeclineProposalResponse(proposal=found.message())


class RiskReportsServicer(risk_reports_pb2_grpc.RiskReportsServicer):
    """Serves reports of limits, exposures, stops and verdicts."""

    def __init__(self, database: Database, rules: VerdictInputs, prices: PriceCache) -> None:
        self._database = database
        self._rules = rules
        self._prices = prices

    async def ListLimits(
        self, request: risk_reports_pb2.ListLimitsRequest, context: Context
    ) -> risk_reports_pb2.ListLimitsResponse:
        return await risk_reports.list_limits(self._database, self._rules, request)

    async def ListExposures(
        self, request: risk_reports_pb2.ListExposuresRequest, context: Context
    ) -> risk_reports_pb2.ListExposuresResponse:
        self._prices.show()
        return await risk_reports.list_exposures(self._database, self._rules, request)

    async def GetCapitalUse(
        self, request: capital_reports_pb2.GetCapitalUseRequest, context: Context
    ) -> capital_reports_pb2.GetCapitalUseResponse:
        self._prices.show()
        return await capital_reports.capital_use(self._database, self._rules, request)

    async def ListProtections(
        self, request: risk_reports_pb2.ListProtectionsRequest, context: Context
    ) -> risk_reports_pb2.ListProtectionsResponse:
        async with self._database.transaction() as connection:
            found = await protection_reports.load(connection)
        page, token = page_of(
            request, found, lambda one: [one.venue, one.account, one.symbol, one.strategy]
        )
        return risk_reports_pb2.ListProtectionsResponse(protections=page, next_page_token=token)

    async def ListLegacyPositions(
        self, request: adoptions_pb2.ListLegacyPositionsRequest, context: Context
    ) -> adoptions_pb2.ListLegacyPositionsResponse:
        async with self._database.transaction() as connection:
            found = [
                adoptions_pb2.LegacyPosition(
                    venue=key.venue,
                    account=key.account,
                    symbol=key.symbol,
                    size=plain(one.size),
                    since_time_ns=one.since_time_ns,
                )
                for key, one in (await legacy_positions.stored(connection)).items()
            ]
        page, token = page_of(request, found, lambda one: [one.venue, one.account, one.symbol])
        return adoptions_pb2.ListLegacyPositionsResponse(positions=page, next_page_token=token)

    async def ListVerdicts(
        self, request: risk_reports_pb2.ListVerdictsRequest, context: Context
    ) -> risk_reports_pb2.ListVerdictsResponse:
        return await verdict_reports.list_verdicts(self._database, request)

    async def ListSubmissions(
        self, request: risk_reports_pb2.ListSubmissionsRequest, context: Context
    ) -> risk_reports_pb2.ListSubmissionsResponse:
        async with self._database.transaction() as connection:
            found = await pending_submissions.load(connection)
        page, token = page_of(request, found, lambda one: [one.number])
        return risk_reports_pb2.ListSubmissionsResponse(
            submissions=[one.message for one in page], next_page_token=token
        )


@contextmanager
def _lease_held() -> Iterator[None]:
    """Raises ServiceUnavailable where another process has become active."""
    try:
        yield
    except LeaseLost as error:
        raise ServiceUnavailable(str(error)) from None


def _strategy_position(position: Position, size: str) -> inspector_pb2.StrategyPosition:
    return inspector_pb2.StrategyPosition(
        lifecycle_id=position.position_id,
        strategy=position.strategy,
        venue=position.venue,
        account=position.account,
        symbol=position.symbol,
        size=size,
        is_closing=position.is_closing,
        ended_time_ns=position.ended_time_ns,
    )


def _result(answer: ManualResult) -> inspector_pb2.SubmitManualResult:
    if isinstance(answer, VenuemeshError):
        return inspector_pb2.SubmitManualResult(error=order_error(answer))
    return inspector_pb2.SubmitManualResult(response=answer)
