"""The gRPC service Detector."""

from typing import Any

import grpc
from venuemesh.detector.v1 import detector_pb2, detector_pb2_grpc

from core.detector import run_store
from core.detector.evaluation import StrategySource
from core.detector.instance_shares import InstanceOwnership
from core.detector.peer_detectors import PeerDetectors
from core.detector.store import InstanceKey
from core.detector.strategy_manager import StrategyManager
from core.detector.strategy_runner import FAILED, StrategyRunner
from kit.base.database import Database
from kit.base.errors import UnknownStrategy
from kit.base.paging import page_of
from kit.events import peers
from kit.strategy.loader import StrategyFileError

Context = grpc.aio.ServicerContext[Any, Any]


class DetectorServicer(detector_pb2_grpc.DetectorServicer):
    """Lists and explains strategies from memory, also from that of other detectors; lists what they
    saw from the database."""

    def __init__(
        self,
        manager: StrategyManager,
        ownership: InstanceOwnership,
        peers: PeerDetectors,
        database: Database,
    ) -> None:
        self._manager = manager
        self._ownership = ownership
        self._peers = peers
        self._database = database

    async def StartStrategy(
        self, request: detector_pb2.StartStrategyRequest, context: Context
    ) -> detector_pb2.StartStrategyResponse:
        source = StrategySource(
            request.source, request.file, request.strategy, dict(request.parameters)
        )
        found = await self._manager.start(request.name, source if request.source else None)
        return detector_pb2.StartStrategyResponse(name=found.name, version=found.version)

    async def StopStrategy(
        self, request: detector_pb2.StopStrategyRequest, context: Context
    ) -> detector_pb2.StopStrategyResponse:
        await self._manager.stop(request.strategy)
        return detector_pb2.StopStrategyResponse()

    async def PauseStrategy(
        self, request: detector_pb2.PauseStrategyRequest, context: Context
    ) -> detector_pb2.PauseStrategyResponse:
        await self._manager.pause(request.strategy)
        return detector_pb2.PauseStrategyResponse()

    async def ResumeStrategy(
        self, request: detector_pb2.ResumeStrategyRequest, context: Context
    ) -> detector_pb2.ResumeStrategyResponse:
        await self._manager.resume(request.strategy)
        return detector_pb2.ResumeStrategyResponse()

    async def ListStrategies(
        self, request: detector_pb2.ListStrategiesRequest, context: Context
    ) -> detector_pb2.ListStrategiesResponse:
        is_forwarded = peers.is_forwarded(context)
        rows = [] if is_forwarded else list(map(_unusable, self._manager.errors))
        others = {} if is_forwarded else await self._peers.statuses()
        for runner in self._manager.runners:
            if self._ownership.owns(runner.key):
                rows.append(_status(runner))
            elif not is_forwarded:
                rows.append(others.get(runner.key) or _status(runner))
        numbered = list(enumerate(rows))
        page, token = page_of(request, numbered, lambda row: [row[0]])
        strategies = [status for _, status in page]
        return detector_pb2.ListStrategiesResponse(strategies=strategies, next_page_token=token)

    async def Explain(
        self, request: detector_pb2.ExplainRequest, context: Context
    ) -> detector_pb2.ExplainResponse:
        runner = self._chosen(request)
        if not peers.is_forwarded(context):
            wanted = detector_pb2.ExplainRequest(**runner.key._asdict())
            if (found := await self._peers.explain(runner.key, wanted)) is not None:
                return found
        answer = await runner.explain()
        answer.MergeFrom(
            detector_pb2.ExplainResponse(
                status=_status(runner),
                bar=runner.bar,
                threshold=runner.terms.threshold,
                position_size=format(runner.position, "f") if runner.bar else "",
            )
        )
        return answer

    async def GetEvaluations(
        self, request: detector_pb2.GetEvaluationsRequest, context: Context
    ) -> detector_pb2.GetEvaluationsResponse:
        runner = self._chosen(request)
        if not peers.is_forwarded(context):
            wanted = detector_pb2.GetEvaluationsRequest(
                **runner.key._asdict(), after_time_ns=request.after_time_ns
            )
            if (found := await self._peers.evaluations(runner.key, wanted)) is not None:
                return found
        answer = await runner.evaluations(request.after_time_ns)
        answer.status.CopyFrom(_status(runner))
        return answer

    async def ListRuns(
        self, request: detector_pb2.ListRunsRequest, context: Context
    ) -> detector_pb2.ListRunsResponse:
        async with self._database.transaction() as connection:
            found = await run_store.runs(connection, _key(request))
        page, token = page_of(request, found, lambda run: [run.open_time_ns])
        runs = [detector_pb2.StrategyRun(**run._asdict()) for run in page]
        return detector_pb2.ListRunsResponse(runs=runs, next_page_token=token)

    async def ListSeenPositions(
        self, request: detector_pb2.ListSeenPositionsRequest, context: Context
    ) -> detector_pb2.ListSeenPositionsResponse:
        async with self._database.transaction() as connection:
            found = await run_store.positions(connection, _key(request))
        page, token = page_of(request, found, lambda seen: [seen.open_time_ns])
        positions = [
            detector_pb2.SeenPosition(open_time_ns=seen.open_time_ns, size=format(seen.size, "f"))
            for seen in page
        ]
        return detector_pb2.ListSeenPositionsResponse(positions=positions, next_page_token=token)

    def _chosen(
        self, request: detector_pb2.ExplainRequest | detector_pb2.GetEvaluationsRequest
    ) -> StrategyRunner:
        for runner in self._manager.runners:
            name, venue, symbol = runner.key
            if (
                name == request.strategy
                and request.venue in ("", venue)
                and request.symbol in ("", symbol)
            ):
                return runner
        wanted = "/".join(filter(None, (request.strategy, request.venue, request.symbol)))
        known = ", ".join(runner.name for runner in self._manager.runners) or "none"
        raise UnknownStrategy(f"no strategy {wanted!r} runs; running: {known}", strategy=wanted)


def _key(
    request: detector_pb2.ListRunsRequest | detector_pb2.ListSeenPositionsRequest,
) -> InstanceKey:
    return InstanceKey(request.strategy, request.venue, request.symbol)


def _unusable(error: StrategyFileError) -> detector_pb2.StrategyStatus:
    return detector_pb2.StrategyStatus(
        file=error.file.name, state=FAILED, detail=f"line {error.line}: {error.reason}"
    )


def _status(runner: StrategyRunner) -> detector_pb2.StrategyStatus:
    terms = runner.terms
    return detector_pb2.StrategyStatus(
        strategy=terms.name,
        version=terms.version,
        file=terms.file,
        venue=runner.key.venue,
        symbol=runner.key.symbol,
        interval=terms.interval,
        account=terms.account,
        state=runner.state,
        detail=runner.detail,
        bar_close_time_ns=runner.bar.close_time_ns if runner.bar else 0,
        signals=runner.signals,
    )
