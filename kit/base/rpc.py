"""gRPC channels and servers with the mesh's options, and errors as statuses."""

import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from kit.base import telemetry
from kit.base.errors import InternalError, VenuemeshError, trailing_metadata

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

if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    # Generic in the stubs only.
    Handler = grpc.RpcMethodHandler


def channel(address: str) -> grpc.aio.Channel:
    """A connection to another process of the mesh, host:port."""
    return grpc.aio.insecure_channel(address, options=OPTIONS)


def server() -> grpc.aio.Server:
    """A server without services; ``serve`` adds them."""
    return grpc.aio.server(options=OPTIONS)


def serve(
    server: grpc.aio.Server,
    service: ServiceDescriptor,
    servicer: object,
    raw: Collection[str] = (),
) -> None:
    """Serve every method of a service by the servicer's method of the same name, which may raise
    VenuemeshError.

    The methods named in ``raw`` yield responses that are serialised already.
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
        plain = handle(
            getattr(servicer, method.name),
            request.FromString,
            None if method.name in raw else response.SerializeToString,
        )
        handlers[method.name] = guarded(plain, f"/{service.full_name}/{method.name}")
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


def guarded(handler: Handler, method: str) -> Handler:
    """A handler that may raise VenuemeshError, which becomes a status with its documented reason.
    Any other exception is logged under an id, and the caller gets the id.

    Methods are wrapped once; a server interceptor would cost each call 0.2 ms.
    """
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(
            _guard_stream(handler.unary_stream, method),
            handler.request_deserializer,
            handler.response_serializer,
        )
    return grpc.unary_unary_rpc_method_handler(
        _guard_unary(handler.unary_unary, method),
        handler.request_deserializer,
        handler.response_serializer,
    )


def _guard_unary(behaviour: Any, method: str) -> Any:
    async def guarded(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await behaviour(request, context)
        except VenuemeshError as error:
            await _abort(context, error)
        except (grpc.aio.AbortError, grpc.aio.UsageError):
            raise
        except Exception:
            await _abort(context, _fault(method))

    return guarded


def _guard_stream(behaviour: Any, method: str) -> Any:
    async def guarded(
        request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        try:
            async with aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    yield response
        except VenuemeshError as error:
            await _abort(context, error)
        except (grpc.aio.AbortError, grpc.aio.UsageError):
            raise
        except Exception:
            await _abort(context, _fault(method))

    return guarded


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: VenuemeshError) -> None:
    await context.abort(error.code, error.message, trailing_metadata(error))


def _fault(method: str) -> InternalError:
    error_id = uuid.uuid4().hex[:12]
    _log.exception("handler failed", extra={"method": method, "error_id": error_id})
    return InternalError(f"internal error {error_id}", error_id=error_id)
