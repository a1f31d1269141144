"""The gateway of a mesh that answers by a script, with streams that are lost."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.history.v1.history_pb2_grpc import HistoryServicer
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.inspector.v1.inspector_pb2_grpc import InspectorServicer
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2
from venuemesh.marketdata.v1.market_data_pb2_grpc import MarketDataServicer
from venuemesh.tradeflow.v1 import trade_flow_pb2
from venuemesh.tradeflow.v1.trade_flow_pb2_grpc import TradeFlowServicer

from kit.base import rpc
from kit.base.errors import VenuemeshError
from tests.integration.clients.programs import Shown

TOKEN = "a-token"
LOOPBACK = "127.0.0.1"
SERVICES = (
    (market_data_pb2, "MarketData", MarketDataServicer),
    (history_pb2, "History", HistoryServicer),
    (trade_flow_pb2, "TradeFlow", TradeFlowServicer),
    (inspector_pb2, "Inspector", InspectorServicer),
)
STREAMS = frozenset({"MarketData.Subscribe", "TradeFlow.StreamExecutions"})
Answer = Message | VenuemeshError


@dataclass
class ScriptedMesh:
    """What each method answers, call by call: one answer, or those of a stream, in order."""

    script: Mapping[str, Sequence[Sequence[Answer]]]
    requests: dict[str, list[Any]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    def answers(self, method: str, request: Any, context: Any) -> Sequence[Answer]:
        """Those of this call; more calls than the script has get those of the last."""
        metadata = dict(context.invocation_metadata())
        self.tokens.add(str(metadata.get("authorization")))
        assert not [name for name in metadata if name.startswith("venuemesh-")]
        asked = self.requests.setdefault(method, [])
        asked.append(request)
        calls = self.script[method]
        return calls[min(len(asked), len(calls)) - 1]

    def servicer(self, name: str, base: type) -> object:
        """A servicer of the scripted methods."""
        methods: dict[str, Callable[..., Any]] = {}
        for method in self.script:
            service, _, short = method.partition(".")
            if service == name:
                behaviour = self._stream if method in STREAMS else self._unary
                methods[short] = behaviour(method)
        return type(name, (base,), methods)()

    def _unary(self, method: str) -> Callable[..., Any]:
        async def answer(_: object, request: Any, context: Any) -> Any:
            (only,) = self.answers(method, request, context)
            if isinstance(only, VenuemeshError):
                raise only
            return only

        return answer

    def _stream(self, method: str) -> Callable[..., Any]:
        async def answer(_: object, request: Any, context: Any) -> AsyncIterator[Any]:
            for each in self.answers(method, request, context):
                if isinstance(each, VenuemeshError):
                    raise each
                yield each

        return answer


@asynccontextmanager
async def serving(mesh: ScriptedMesh) -> AsyncIterator[Shown]:
    """Serve a scripted mesh."""
    server = rpc.server()
    for module, name, base in SERVICES:
        service = module.DESCRIPTOR.services_by_name[name]
        rpc.serve(server, service, mesh.servicer(name, base))
    port = rpc.listen(server, f"{LOOPBACK}:0")
    await server.start()
    try:
        yield Shown(f"{LOOPBACK}:{port}", TOKEN)
    finally:
        await server.stop(None)


def cursor(epoch: int, sequence: int) -> types_pb2.Cursor:
    """A position of the script."""
    return types_pb2.Cursor(epoch=epoch, sequence=sequence)


def batches(*each: batch_pb2.MarketDataBatch) -> market_data_pb2.SubscribeResponse:
    """A message of a subscription."""
    return market_data_pb2.SubscribeResponse(batches=each)
