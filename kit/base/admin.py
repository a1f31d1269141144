"""The Admin service, the same on every process; a venue process passes in a VenueAdmin."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

import grpc
from venuemesh.admin.v1 import admin_pb2, admin_pb2_grpc
from venuemesh.registry.v1 import registry_pb2

from kit.base.access.call_guard import current_caller, require_kind
from kit.base.access.made_calls import MadeCalls
from kit.base.errors import BadRequest, NotSupported
from kit.base.paging import page_of
from kit.base.recent_logs import RecentLogs
from kit.base.telemetry import Meter, set_log_level

STATUS_INTERVAL_MS = 1_000
INSTANCE_SEPARATOR = "@"
"""Between service id and instance id, neither of which has it."""
CALLS_READER = "audit"
"""The kind of the process that keeps the log of all events."""
LOGS_READER = "push"
"""The kind of the process that has the websocket."""
LOG_LEVELS = ("debug", "info", "warning", "error")

Context = grpc.aio.ServicerContext[Any, Any]


class VenueAdmin(Protocol):
    """Actions of Admin on a venue's connections."""

    def subscriptions(self) -> Iterable[admin_pb2.Subscription]:
        """One entry per instrument and channel."""

    async def update(self, add: Iterable[str], remove: Iterable[str]) -> list[str]:
        """Change the instruments. Returns all symbols afterwards. Raises UnknownInstrument."""

    def conformance(self) -> admin_pb2.ConformanceScore | None:
        """The score of the connector when the conformance cards were last played."""

    async def reconnect(self) -> None:
        """Drop the connections and connect again."""

    async def pause(self) -> None:
        """Drop the connections and stay disconnected."""

    async def resume(self) -> None:
        """Connect again after a pause."""


class AdminServicer(admin_pb2_grpc.AdminServicer):
    """Answers Admin for one process."""

    def __init__(
        self,
        instance: registry_pb2.ServiceInstance,
        meter: Meter,
        drain: Callable[[], None],
        made_calls: MadeCalls,
        recent_logs: RecentLogs,
        venue: VenueAdmin | None = None,
    ) -> None:
        self._instance = instance
        self._meter = meter
        self._drain = drain
        self._made_calls = made_calls
        self._recent_logs = recent_logs
        self._venue_control = venue

    async def GetStatus(
        self, request: admin_pb2.GetStatusRequest, context: Context
    ) -> admin_pb2.GetStatusResponse:
        self._check_service(request.service_id)
        return self._status()

    async def StreamStatus(
        self, request: admin_pb2.StreamStatusRequest, context: Context
    ) -> AsyncIterator[admin_pb2.StreamStatusResponse]:
        self._check_service(request.service_id)
        interval_ms = request.interval_ms or STATUS_INTERVAL_MS
        if not 100 <= interval_ms <= 60_000:
            raise BadRequest(
                "interval_ms is out of range",
                field="interval_ms",
                value=interval_ms,
                allowed="100 to 60000",
            )
        while True:
            yield admin_pb2.StreamStatusResponse(status=self._status())
            await asyncio.sleep(interval_ms / 1000)

    async def ListSubscriptions(
        self, request: admin_pb2.ListSubscriptionsRequest, context: Context
    ) -> admin_pb2.ListSubscriptionsResponse:
        self._check_service(request.service_id)
        rows = sorted(self._venue().subscriptions(), key=_order)
        page, token = page_of(request, rows, _order)
        return admin_pb2.ListSubscriptionsResponse(subscriptions=page, next_page_token=token)

    async def UpdateSubscriptions(
        self, request: admin_pb2.UpdateSubscriptionsRequest, context: Context
    ) -> admin_pb2.UpdateSubscriptionsResponse:
        self._check_service(request.service_id)
        symbols = await self._venue().update(request.add_symbols, request.remove_symbols)
        return admin_pb2.UpdateSubscriptionsResponse(symbols=symbols)

    async def Reconnect(
        self, request: admin_pb2.ReconnectRequest, context: Context
    ) -> admin_pb2.ReconnectResponse:
        self._check_service(request.service_id)
        await self._venue().reconnect()
        return admin_pb2.ReconnectResponse()

    async def Pause(
        self, request: admin_pb2.PauseRequest, context: Context
    ) -> admin_pb2.PauseResponse:
        self._check_service(request.service_id)
        await self._venue().pause()
        return admin_pb2.PauseResponse()

    async def Resume(
        self, request: admin_pb2.ResumeRequest, context: Context
    ) -> admin_pb2.ResumeResponse:
        self._check_service(request.service_id)
        await self._venue().resume()
        return admin_pb2.ResumeResponse()

    async def Drain(
        self, request: admin_pb2.DrainRequest, context: Context
    ) -> admin_pb2.DrainResponse:
        self._check_service(request.service_id)
        self._drain()
        return admin_pb2.DrainResponse()

    async def SetLogLevel(
        self, request: admin_pb2.SetLogLevelRequest, context: Context
    ) -> admin_pb2.SetLogLevelResponse:
        self._check_service(request.service_id)
        _check_level(request.level)
        set_log_level(request.level)
        return admin_pb2.SetLogLevelResponse()

    async def StreamCalls(
        self, request: admin_pb2.StreamCallsRequest, context: Context
    ) -> AsyncIterator[admin_pb2.StreamCallsResponse]:
        self._check_service(request.service_id)
        require_kind(CALLS_READER, "read the calls")
        async for calls in self._made_calls.after(request.after_number):
            yield admin_pb2.StreamCallsResponse(calls=calls)

    async def StreamLogs(
        self, request: admin_pb2.StreamLogsRequest, context: Context
    ) -> AsyncIterator[admin_pb2.StreamLogsResponse]:
        self._check_service(request.service_id)
        if current_caller().is_process:
            require_kind(LOGS_READER, "read the logs")
        if request.level:
            _check_level(request.level)
        async for response in self._recent_logs.stream(request):
            yield response

    def _check_service(self, named: str) -> None:
        """A call may reach this process by a header or a path that names another process than the
        request does. One of several instances is called as SERVICE@INSTANCE."""
        own = self._instance.service_id
        if named not in ("", own, f"{own}{INSTANCE_SEPARATOR}{self._instance.instance_id}"):
            text = f"this is the process {own}, and the request names {named!r}"
            raise BadRequest(text, field="service_id", value=named, allowed=own)

    def _status(self) -> admin_pb2.GetStatusResponse:
        return admin_pb2.GetStatusResponse(
            instance=self._instance,
            status=self._meter.shown_status(),
            counters=self._meter.counters,
            conformance=self._venue_control.conformance() if self._venue_control else None,
        )

    def _venue(self) -> VenueAdmin:
        if self._venue_control is None:
            raise NotSupported(
                "this process has no venue connections",
                service=self._instance.service_id,
                wanted="venue",
            )
        return self._venue_control


def _check_level(level: str) -> None:
    if level not in LOG_LEVELS:
        text, allowed = f"no log level {level!r}", ", ".join(LOG_LEVELS)
        raise BadRequest(text, field="level", value=level, allowed=allowed)


def _order(row: admin_pb2.Subscription) -> list[int | str]:
    return [row.symbol, row.channel]
