"""Admits the calls that a process serves.

Each call shows a token. A call without one, with one that is not valid, or of a caller without the
method's roles is refused. A stream ends when its token expires or is revoked. Calls that change
something are logged with their caller, and kept for the log of all events.

A model changes nothing, whatever its roles: of the methods that may change something it calls those
only whose contract says so. A model is who shows a token for models, and who calls through the
tools of the gateway, which add the header ``FOR_MODEL`` to each call.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from venuemesh.events.v1.system_pb2 import CallMade

from kit.base import telemetry
from kit.base.access import roles
from kit.base.access.credentials import AUTHORIZATION, SCHEME
from kit.base.access.made_calls import MadeCalls
from kit.base.access.roles import Role
from kit.base.access.tokens import MODEL, Caller, TokenVerifier
from kit.base.access.trust import TrustedKeys
from kit.base.clock import Clock
from kit.base.errors import (
    CallerLimited,
    InternalError,
    RoleMissing,
    TokenInvalid,
    TokenMissing,
    VenuemeshError,
)
from kit.base.request_id import current_request_id

SESSION_COOKIES = "venuemesh_session_"
"""Begins the names of cookies with a token. The gateway's port follows: a browser sends the cookies
of all meshes on a host name to each of them."""
FOR_MODEL = ("x-venuemesh-model", "1")
"""A header of calls that are made for a model. It takes rights away and gives none."""
SESSIONS_MAX = 16
"""Cookies of sessions that are looked at, of one call."""
RESERVED_SHARE = 4
"""Of the streams that a process serves at a time, one in so many is for processes of the mesh."""
CHECK_INTERVAL_S = 1.0
"""How often the tokens of running streams are looked at."""
NOBODY = Caller("nobody", roles.with_implied(Role))
"""The caller while the mesh requires no tokens: everybody who can connect may do everything."""
TARGET_FIELDS = (
    "venue", "account", "symbol", "client_order_id", "request_id",
    "service_id", "repair_id", "token_id", "caller",
    "scope", "strategy", "name", "group_id", "hold_id", "level",
)  # fmt: skip
"""Request fields that name the subject of a call."""
TARGET_LENGTH_MAX = 512

Metadata = Iterable[tuple[str, str | bytes]]

_log = telemetry.logger("calls")
_current: ContextVar[Caller] = ContextVar("caller", default=NOBODY)


def current_caller() -> Caller:
    """Who made the call that is being served."""
    return _current.get()


def streams_for_caller(most: int) -> int:
    """Of ``most`` streams that are served at a time, those among which the caller's may be: people
    and programs cannot take all from the processes of the mesh."""
    return most if _current.get().is_process else most - most // RESERVED_SHARE


def require_kind(kind: str, claim: str) -> None:
    """Raise RoleMissing unless a process of this kind calls. ``claim``: what it claims to do."""
    caller = _current.get()
    if caller is not NOBODY and caller.kind != kind:
        text = f"only a process of kind {kind} may {claim}, not {caller.name}"
        raise RoleMissing(text, method=claim, roles=kind)


def require_service(service_id: str, kind: str = "") -> None:
    """Raise RoleMissing for a process that speaks for another one, or as another kind."""
    caller = _current.get()
    if caller is not NOBODY and (caller.name != service_id or kind not in ("", caller.kind)):
        text = f"{caller.name} ({caller.kind}) cannot speak for {service_id} {kind}".strip()
        raise RoleMissing(text, method="Registry", roles=service_id)


def require_role(caller: Caller, method: "GuardedMethod") -> None:
    """Raise RoleMissing for a caller who has none of the roles of a method."""
    if caller.roles.isdisjoint(method.roles):
        needed = ", ".join(sorted(method.roles))
        have = ", ".join(sorted(caller.roles))
        raise RoleMissing(
            f"{method.path} needs the role {needed}; {caller.name} has {have}",
            method=method.path,
            roles=needed,
        )


def require_for_models(caller: Caller, method: "GuardedMethod") -> None:
    """Raise RoleMissing for a model that calls what models may not."""
    if caller.is_model and method.is_mutating and not method.models_may_call:
        text = f"{method.path} may change something, and {caller.name} is a model: a person must "
        raise RoleMissing(f"{text}call it", method=method.path, roles="no model")


@dataclass(frozen=True, slots=True)
class GuardedMethod:
    """What the guard knows of a method."""

    path: str
    """For example "/venuemesh.live.v1.Live/Subscribe"."""
    roles: frozenset[Role]
    is_mutating: bool
    models_may_call: bool = False

    @classmethod
    def of(cls, method: MethodDescriptor) -> "GuardedMethod":
        """A method whose contract names no roles can be called by nobody."""
        options = method.GetOptions()
        needed = roles.of_method(options)
        path = f"/{method.containing_service.full_name}/{method.name}"
        return cls(path, needed, roles.is_mutating(options), roles.models_may_call(options))


class RunningStream:
    """A stream that can be ended with an error while it runs."""

    __slots__ = ("_error", "_is_waiting", "_task")

    def __init__(self, task: "asyncio.Task[Any] | None") -> None:
        self._task = task
        self._is_waiting = True
        self._error: VenuemeshError | None = None

    def sending(self) -> None:
        """Call this before a response is sent. Raises the error with which the stream was ended."""
        self._is_waiting = False
        self.raise_if_ended()

    def sent(self) -> None:
        """Call this after it was sent. Raises the error with which the stream was ended."""
        self.raise_if_ended()
        self._is_waiting = True

    def end(self, error: VenuemeshError) -> None:
        """End the stream: at once if it waits for its next response, otherwise when the present
        one is sent."""
        if self._error is not None or self._task is None:
            return
        self._error = error
        if self._is_waiting:
            # gRPC would end a call that is cancelled while it sends without any status.
            self._task.cancel()

    def raise_if_ended(self) -> None:
        if self._error is not None:
            if self._task is not None and self._task.cancelling():
                self._task.uncancel()
            raise self._error


class CallGuard:
    """The guard of one process."""

    def __init__(
        self, verifier: TokenVerifier, clock: Clock, *, required: bool, streams_max: int
    ) -> None:
        """``streams_max``: streams of one token."""
        self.trust_revision = ""
        self.made_calls = MadeCalls(clock)
        """What has changed something, for the log of all events."""
        self._verifier = verifier
        self._clock = clock
        self._required = required
        self._streams_max = streams_max
        self._streams: dict[Caller, set[RunningStream]] = {}

    def trust(self, keys: TrustedKeys) -> None:
        """Verify with these keys from now on, and end the streams of revoked tokens."""
        self._verifier.trust(keys)
        self.trust_revision = keys.revision
        self._end_streams()

    async def run(self) -> None:
        """End the streams of expired tokens, endlessly."""
        while True:
            await self._clock.sleep(CHECK_INTERVAL_S)
            self._end_streams()

    def identify(self, metadata: Metadata) -> Caller:
        """Who calls. Raises TokenMissing and the errors of TokenVerifier."""
        caller = self._verified(metadata) if self._required else NOBODY
        if _first(metadata, FOR_MODEL[0]) and not caller.is_process:
            return replace(caller, kind=MODEL)
        return caller

    @contextmanager
    def call(
        self, metadata: Metadata, method: GuardedMethod, request: Message, peer: str | None = None
    ) -> Iterator[None]:
        """A unary call. Raises the errors of TokenVerifier, TokenMissing and RoleMissing."""
        caller = self._admit(metadata, method, peer)
        if not method.is_mutating or caller.is_process:
            yield
            return
        outcome = "CANCELLED"
        try:
            yield
            outcome = "OK"
        except VenuemeshError as error:
            outcome = error.reason
            raise
        except Exception:
            outcome = InternalError.reason
            raise
        finally:
            self._note(caller, method, request, outcome)

    @contextmanager
    def stream(
        self, metadata: Metadata, method: GuardedMethod, peer: str | None = None
    ) -> Iterator[RunningStream]:
        """A stream of the current task. Raises like ``call``, CallerLimited, and TokenExpired or
        TokenRevoked when the token ends while the stream runs."""
        caller = self._admit(metadata, method, peer)
        stream = RunningStream(asyncio.current_task())
        if caller is NOBODY or caller.is_process:
            yield stream
            return
        running = self._streams.setdefault(caller, set())
        if (count := self._count(caller)) >= self._streams_max:
            text = f"{caller.name} has {count} streams at this process, the most allowed"
            raise CallerLimited(text, limit=self._streams_max)
        running.add(stream)
        try:
            yield stream
        except asyncio.CancelledError:
            stream.raise_if_ended()
            raise
        finally:
            running.discard(stream)
            if not running:
                self._streams.pop(caller, None)

    def _admit(self, metadata: Metadata, method: GuardedMethod, peer: str | None) -> Caller:
        """``peer``: the service of the connection's certificate; None without TLS."""
        caller = self.identify(metadata)
        if peer is not None and caller.is_process and caller.name != peer:
            raise TokenInvalid(f"a connection of {peer} cannot show the token of {caller.name}")
        require_role(caller, method)
        require_for_models(caller, method)
        _current.set(caller)
        return caller

    def _verified(self, metadata: Metadata) -> Caller:
        *others, last = _tokens(metadata)
        for token in others:
            with suppress(VenuemeshError):
                return self._verifier.verify(token)
        return self._verifier.verify(last)

    def _note(self, caller: Caller, method: GuardedMethod, request: Message, outcome: str) -> None:
        call = CallMade(
            caller=caller.name,
            roles=sorted(caller.roles),
            method=method.path,
            target=_target(request),
            outcome=outcome,
            request_id=current_request_id(),
        )
        self.made_calls.add(call)
        detail = {name.name: getattr(call, name.name) for name in call.DESCRIPTOR.fields}
        detail["roles"] = list(call.roles)
        _log.info("call", extra={**detail, "token_id": caller.token_id})

    def _count(self, caller: Caller) -> int:
        """Streams of a token and of its renewals."""
        first = caller.first_token_id
        others = (found for one, found in self._streams.items() if one.first_token_id == first)
        return sum(map(len, others))

    def _end_streams(self) -> None:
        for caller, streams in self._streams.items():
            try:
                self._verifier.check(caller)
            except VenuemeshError as error:
                for stream in streams:
                    stream.end(error)


def _tokens(metadata: Metadata) -> list[str]:
    """The token that a call shows, or those of its cookies. Raises TokenMissing."""
    shown = _first(metadata, AUTHORIZATION)
    if shown[: len(SCHEME)].lower() == SCHEME.lower():
        return [shown[len(SCHEME) :].strip()]
    found = []
    for key, value in metadata:
        if key == "cookie":
            for part in str(value).split(";"):
                name, _, token = part.strip().partition("=")
                if name.startswith(SESSION_COOKIES) and token:
                    found.append(token)
    if found:
        return found[-SESSIONS_MAX:]
    raise TokenMissing('this call needs a token: send "authorization: Bearer TOKEN"')


def _first(metadata: Metadata, wanted: str) -> str:
    return next((str(value) for key, value in metadata if key == wanted), "")


def _target(request: Message) -> str:
    found = " ".join(f"{name}={value}" for name, value in dict(_targets(request)).items())
    return found[:TARGET_LENGTH_MAX]


def _targets(request: Message) -> Iterator[tuple[str, str]]:
    fields: Mapping[str, Any] = request.DESCRIPTOR.fields_by_name
    for name in TARGET_FIELDS:
        if name in fields and isinstance(value := getattr(request, name), str) and value:
            yield name, value
    cancels: Any = getattr(request, "orders", ())
    if cancels:
        yield "client_order_ids", ",".join(one.client_order_id for one in cancels)
    approved: Any = getattr(request, "approved", None)
    if approved is not None:
        # The first order of a group or batch names the account.
        one = approved if isinstance(approved, Message) else next(iter(approved), None)
        if one is not None:
            yield from _targets(one)
            yield from _targets(one.content)  # type: ignore[union-attr]
