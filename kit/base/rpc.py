"""gRPC channels and servers with the mesh's options, and errors as statuses."""

import uuid
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from kit.base import request_rules, rest_body, telemetry
from kit.base.access.call_guard import CallGuard, GuardedMethod, RunningStream
from kit.base.access.credentials import CredentialSource
from kit.base.access.identified_channel import IdentifiedChannel
from kit.base.access.renewed_channel import RenewedChannel
from kit.base.access.transport import MeshTls, certified_name, target_options
from kit.base.error_details import trailing_metadata
from kit.base.errors import InternalError, VenuemeshError
from kit.base.request_id import begin_request, current_request_id
from kit.base.rpc_metrics import RpcMetrics
from kit.base.tracing import spans

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
STREAM_WRITER = ("venuemesh-stream-writer", "1")
"""Metadata of calls from a process of the mesh that writes the data that it reads to the streams,
so that its cursors equal those of the streams. The gateway removes it from every call."""

# Without the window limits one slow reader makes the sender hold tens of megabytes for it.
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.so_reuseport", 0),
    # The processes of a mesh start together: waiting a second, as is the default, for one that is a
    # moment late would be most of the start.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

_log = telemetry.logger("rpc")
_own_credentials: CredentialSource | None = None
_tls: MeshTls | None = None

if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    # Generic in the stubs only.
    Handler = grpc.RpcMethodHandler

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
MeasureCall: TypeAlias = Callable[[Context], AbstractContextManager[object]]


def identify(credentials: CredentialSource) -> None:
    """Show this to others on every channel of this process that is made from now on."""
    global _own_credentials
    _own_credentials = credentials


def encrypt(tls: MeshTls | None) -> None:
    """Use TLS on every channel and port of this process that is made from now on."""
    global _tls
    _tls = tls


def channel(
    address: str, credentials: CredentialSource | None = None, service_id: str = ""
) -> grpc.aio.Channel:
    """A connection to another process of the mesh, host:port. ``credentials``: what its calls
    show; None: those of this process. ``service_id``: the service that must answer, by its
    certificate; "" for any."""
    if _tls is None:
        return plain_channel(address, credentials)
    options = (*OPTIONS, *target_options(service_id))

    def opened(tls: grpc.ChannelCredentials) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(address, tls, options=options)

    return IdentifiedChannel(RenewedChannel(_tls, opened), credentials or _own_credentials)


def plain_channel(address: str, credentials: CredentialSource | None = None) -> grpc.aio.Channel:
    """A connection without TLS, as to the public port of the gateway. See ``channel``."""
    connection = grpc.aio.insecure_channel(address, options=OPTIONS)
    return IdentifiedChannel(connection, credentials or _own_credentials)


def listen(server: grpc.aio.Server, address: str) -> int:
    """Serve on an address, host:port. Returns the port. Raises RuntimeError if it is in use."""
    if _tls is None:
        return server.add_insecure_port(address)
    return server.add_secure_port(address, _tls.server_credentials())


def _peer(context: Context) -> str | None:
    """The service of the connection's certificate; None without TLS."""
    return None if _tls is None else certified_name(context)


def server() -> grpc.aio.Server:
    """A server without services; ``serve`` adds them."""
    return grpc.aio.server(options=OPTIONS)


def serve(
    server: grpc.aio.Server,
    service: ServiceDescriptor,
    servicer: object,
    raw: Collection[str] = (),
    guard: CallGuard | None = None,
    metrics: RpcMetrics | None = None,
) -> None:
    """Serve every method of a service by the servicer's method of the same name, which may raise
    VenuemeshError.

    The methods named in ``raw`` yield responses that are serialised already. ``guard`` admits the
    callers; None, in tests, admits everybody. ``metrics`` count the calls.
    """
    handlers: dict[str, Handler] = {}
    for method in service.methods:
        request = message_factory.GetMessageClass(method.input_type)
        response = message_factory.GetMessageClass(method.output_type)
        handle = (
            grpc.unary_stream_rpc_method_handler
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        checked = request_rules.checked(getattr(servicer, method.name), method.input_type)
        plain = handle(
            rest_body.read_first(checked, method),
            request.FromString,
            None if method.name in raw else response.SerializeToString,
        )
        handlers[method.name] = guarded(plain, GuardedMethod.of(method), guard, metrics)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service.full_name, handlers),)
    )


def raw_stream(
    channel: grpc.aio.Channel, method: MethodDescriptor
) -> grpc.aio.UnaryStreamMultiCallable[Any, bytes]:
    """Call a streaming method and get its messages as they came, not parsed."""
    request = message_factory.GetMessageClass(method.input_type)
    return channel.unary_stream(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=request.SerializeToString,
        response_deserializer=None,
    )


def guarded(
    handler: Handler,
    method: GuardedMethod,
    guard: CallGuard | None = None,
    metrics: RpcMetrics | None = None,
) -> Handler:
    """A handler that may raise VenuemeshError, which becomes a status with its documented reason.
    Any other exception is logged under an id, and the caller gets the id. The id of the request is
    in each line logged meanwhile, in the error's metadata and in calls that are made meanwhile.

    Methods are wrapped once; a server interceptor would cost each call 0.2 ms.
    """
    measured = unmeasured if metrics is None else metrics.of_method(method.path).call
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(
            _guard_stream(handler.unary_stream, method, guard, measured),
            handler.request_deserializer,
            handler.response_serializer,
        )
    return grpc.unary_unary_rpc_method_handler(
        _guard_unary(handler.unary_unary, method, guard, measured),
        handler.request_deserializer,
        handler.response_serializer,
    )


def unmeasured(context: Context) -> AbstractContextManager[object]:
    """What measures a call where there are no metrics."""
    return nullcontext()


def _guard_unary(
    behaviour: Any, method: GuardedMethod, guard: CallGuard | None, measured: MeasureCall
) -> Any:
    async def guarded(request: Any, context: Context) -> Any:
        metadata = context.invocation_metadata() or ()
        begin_request(metadata)
        with measured(context):
            try:
                with spans.call_span(method.path, metadata):
                    if guard is None:
                        return await behaviour(request, context)
                    with guard.call(metadata, method, request, _peer(context)):
                        return await behaviour(request, context)
            except VenuemeshError as error:
                await _abort(context, error)
            except (grpc.aio.AbortError, grpc.aio.UsageError):
                raise
            except Exception:
                await _abort(context, _fault(method.path))

    return guarded


def _guard_stream(
    behaviour: Any, method: GuardedMethod, guard: CallGuard | None, measured: MeasureCall
) -> Any:
    async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
        metadata = context.invocation_metadata() or ()
        begin_request(metadata)
        admitted = (
            nullcontext(RunningStream(None))
            if guard is None
            else guard.stream(metadata, method, _peer(context))
        )
        with measured(context):
            try:
                with spans.call_span(method.path, metadata), admitted as stream:
                    async with aclosing(behaviour(request, context)) as responses:
                        async for response in responses:
                            stream.sending()
                            yield response
                            stream.sent()
            except VenuemeshError as error:
                await _abort(context, error)
            except (grpc.aio.AbortError, grpc.aio.UsageError):
                raise
            except Exception:
                await _abort(context, _fault(method.path))

    return guarded


async def _abort(context: Context, error: VenuemeshError) -> None:
    details = trailing_metadata(error, current_request_id())
    await context.abort(error.code, error.message, details)


def _fault(method: str) -> InternalError:
    error_id = uuid.uuid4().hex[:12]
    _log.exception("handler failed", extra={"method": method, "error_id": error_id})
    return InternalError(f"internal error {error_id}", error_id=error_id)
