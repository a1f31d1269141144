"""A connection to the gateway of a mesh."""

import ipaddress
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import urlsplit

import grpc
from google.rpc import error_details_pb2, status_pb2
from venuemesh.history.v1.history_pb2_grpc import HistoryStub
from venuemesh.inspector.v1.inspector_pb2_grpc import InspectorStub
from venuemesh.marketdata.v1.market_data_pb2_grpc import MarketDataStub
from venuemesh.tradeflow.v1.trade_flow_pb2_grpc import TradeFlowStub

MESSAGE_BYTES_MAX = 64 << 20
"""As in the mesh itself."""
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)
TLS_PORT = 443
STATUS_DETAILS = "grpc-status-details-bin"
Details = grpc.aio.ClientCallDetails


class Client:
    """The services of a mesh; stubs of others are made over ``channel``.

    The gateway is "https://HOST", with or without a port, or "HOST:PORT" for a connection without
    TLS. Each call shows the token. Raises ValueError if the token would go to another machine
    without TLS, unless ``plaintext`` allows it.
    """

    def __init__(self, gateway: str, token: str, plaintext: bool = False) -> None:
        url = urlsplit(gateway if "://" in gateway else f"http://{gateway}")
        has_tls = url.scheme == "https"
        if token and not (has_tls or plaintext or is_loopback(url.hostname or "")):
            raise ValueError(
                f"gateway {gateway!r}: the token would be readable on its way; use "
                f"https://{url.netloc}, or allow it with plaintext=True"
            )
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (
            [_UnaryCalls(token), _Streams(token)] if token else []
        )
        if has_tls:
            address = f"{url.netloc}" if url.port else f"{url.netloc}:{TLS_PORT}"
            self.channel = grpc.aio.secure_channel(
                address, grpc.ssl_channel_credentials(), OPTIONS, interceptors=interceptors
            )
        else:
            self.channel = grpc.aio.insecure_channel(url.netloc, OPTIONS, interceptors=interceptors)
        self.market_data = MarketDataStub(self.channel)
        self.history = HistoryStub(self.channel)
        self.trade_flow = TradeFlowStub(self.channel)
        self.inspector = InspectorStub(self.channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.channel.close()


def is_loopback(host: str) -> bool:
    """Whether a connection to the host stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reason_of(error: grpc.RpcError) -> str:
    """The reason of an error of the mesh, as errors.proto lists them, such as "CURSOR_EXPIRED";
    "" for other errors."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return ""
    info = error_info(error)
    return info.reason if info else ""


def error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo | None:
    """Reason and metadata of an error of the mesh; None for other errors."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_DETAILS:
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info
    return None


class _UnaryCalls(grpc.aio.UnaryUnaryClientInterceptor):
    """Shows the token with each call."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: Details, request: Any
    ) -> Any:
        return await continuation(_with_token(client_call_details, self._token), request)


class _Streams(grpc.aio.UnaryStreamClientInterceptor):
    """Shows the token with each stream. gRPC takes an interceptor for one kind of calls only."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: Details, request: Any
    ) -> Any:
        return await continuation(_with_token(client_call_details, self._token), request)


def _with_token(details: Details, token: str) -> Details:
    shown = ("authorization", f"Bearer {token}")
    return Details(
        method=details.method,
        timeout=details.timeout,
        metadata=grpc.aio.Metadata(*(details.metadata or ()), shown),
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )
