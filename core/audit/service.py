"""Audit over gRPC."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from venuemesh.audit.v1 import audit_pb2, audit_pb2_grpc

from core.audit.checkpointer import Checkpointer
from core.audit.event_chains import EventChainReader
from core.audit.export import LogExporter
from core.audit.proofs import Prover, checkpoint_message
from core.audit.store import AuditStore
from core.audit.verification import Verification
from kit.base import paging
from kit.base.clock import SystemClock
from kit.base.errors import BadPageToken, TooManySubscribers, UnknownCheckpoint

PAGE_SIZE, PAGE_SIZE_MAX = 100, 1_000
SIZE_MAX = (1 << 63) - 1

Context = grpc.aio.ServicerContext[Any, Any]


class AuditServicer(audit_pb2_grpc.AuditServicer):
    """Answers from the database."""

    def __init__(
        self,
        store: AuditStore,
        checkpointer: Checkpointer,
        new_verification: Callable[[], Verification],
        exporter: LogExporter,
        chains: EventChainReader,
        readers_max: int,
    ) -> None:
        self._store = store
        self._checkpointer = checkpointer
        self._new_verification = new_verification
        self._exporter = exporter
        self._chains = chains
        self._prover = Prover(store)
        self._readers_max = readers_max
        self._readers = 0

    async def Verify(
        self, request: audit_pb2.VerifyRequest, context: Context
    ) -> AsyncIterator[audit_pb2.VerifyResponse]:
        with self._reading():
            since = min(request.since_size, SIZE_MAX)
            async for response in self._new_verification().run(since):
                yield response

    async def Prove(
        self, request: audit_pb2.ProveRequest, context: Context
    ) -> audit_pb2.ProveResponse:
        return await self._prover.prove(request)

    async def GetCheckpoint(
        self, request: audit_pb2.GetCheckpointRequest, context: Context
    ) -> audit_pb2.GetCheckpointResponse:
        found = await self._store.checkpoint(min(request.size, SIZE_MAX))
        if found is None:
            text = f"no checkpoint has {request.size} leaves" if request.size else "none is signed"
            raise UnknownCheckpoint(text, size=request.size)
        return audit_pb2.GetCheckpointResponse(
            checkpoint=checkpoint_message(found),
            verifier_keys=[str(key) for key in self._checkpointer.keys.verifiers()],
        )

    async def ListCheckpoints(
        self, request: audit_pb2.ListCheckpointsRequest, context: Context
    ) -> audit_pb2.ListCheckpointsResponse:
        size = paging.page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX)
        position = paging.read_token(request)
        before = SIZE_MAX if position is None else position[0]
        if not isinstance(before, int) or not 0 <= before <= SIZE_MAX:
            raise BadPageToken("page_token is not a page token", page_token=request.page_token)
        found = await self._store.checkpoints_before(before, size + 1)
        page = found[:size]
        token = paging.make_token(request, [page[-1].size]) if len(found) > size else ""
        return audit_pb2.ListCheckpointsResponse(
            checkpoints=map(checkpoint_message, page), next_page_token=token
        )

    async def SignCheckpoint(
        self, request: audit_pb2.SignCheckpointRequest, context: Context
    ) -> audit_pb2.SignCheckpointResponse:
        signed = await self._checkpointer.sign_now(SystemClock().time_ns())
        return audit_pb2.SignCheckpointResponse(checkpoint=checkpoint_message(signed))

    async def Export(
        self, request: audit_pb2.ExportRequest, context: Context
    ) -> AsyncIterator[audit_pb2.ExportResponse]:
        with self._reading():
            async for response in self._exporter.responses(min(request.first_leaf, SIZE_MAX)):
                yield response

    async def Why(self, request: audit_pb2.WhyRequest, context: Context) -> audit_pb2.WhyResponse:
        return await self._chains.why(request)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One of few calls that read the whole log. Raises TooManySubscribers."""
        if self._readers >= self._readers_max:
            text = f"{self._readers} calls of Verify and Export are running, the most allowed"
            raise TooManySubscribers(text, limit=self._readers_max)
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
