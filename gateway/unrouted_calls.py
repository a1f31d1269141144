"""Error responses for calls that no process can serve.

Envoy sends here each call of a contract for which it has no cluster, with a prefix to its path.
REST and gRPC-web callers get the same, as Envoy translates the answer.
"""

from collections.abc import Iterable
from typing import Any, NoReturn

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from gateway.service_contracts import RpcMethod, ServiceContract
from kit.base import rpc
from kit.base.access.call_guard import GuardedMethod
from kit.base.errors import BadRequest, UnknownService, VenuemeshError

UNROUTED_PREFIX = "/unrouted/"

Context = grpc.aio.ServicerContext[Any, Any]


class UnroutedCallHandler(grpc.GenericRpcHandler):
    """Fails every method of every contract with the reason why no process serves it."""

    def __init__(self, contracts: Iterable[ServiceContract]) -> None:
        self._methods = {
            f"{UNROUTED_PREFIX}{contract.name}/{method.name}": (contract, method)
            for contract in contracts
            for method in contract.methods
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> rpc.Handler | None:
        """A handler for a call without a process; None for any other call."""
        found = self._methods.get(handler_call_details.method or "")
        if found is None:
            return None
        contract, method = found
        metadata = dict(handler_call_details.invocation_metadata or ())
        header = metadata.get(contract.address.header, "") if contract.address else ""

        async def answer(request: Message, context: Context) -> NoReturn:
            raise reason(contract, str(header), request)

        # An error ends a streaming call like a unary one.
        request = _message_class(method)
        plain: rpc.Handler = grpc.unary_unary_rpc_method_handler(answer, request.FromString)
        path = handler_call_details.method or ""
        return rpc.guarded(plain, GuardedMethod(path, frozenset(), is_mutating=False))


def reason(contract: ServiceContract, header: str, request: Message) -> VenuemeshError:
    """The reason: the caller named no process, or it is not registered."""
    if contract.address is None:
        return UnknownService(f"no process serves {contract.name}", name=contract.name)
    name = getattr(request, contract.address.field) or header
    if not name:
        return BadRequest(
            f"name the {contract.address.field} in the request",
            field=contract.address.field,
            value="",
            allowed="see Registry.ListServices",
        )
    kind = contract.address.field.removesuffix("_id")
    return UnknownService(f"no {kind} {name!r} is registered", name=name)


def _message_class(method: RpcMethod) -> type[Message]:
    descriptor = descriptor_pool.Default().FindMessageTypeByName(method.request)
    return message_factory.GetMessageClass(descriptor)
