"""The tools of this version, and a gateway that answers what a test says."""

from functools import cache

from gateway import openapi, service_contracts
from gateway.mcp.gateway_client import CallFailed
from gateway.mcp.tool_calls import ToolCaller, ToolCalls
from gateway.mcp.tools import ToolCatalog
from gateway.tests.fakes import StillClock
from kit.base.access.roles import Role, with_implied
from kit.base.access.tokens import Caller

CHARACTERS_MAX = 4_000


@cache
def document():
    return openapi.document(service_contracts.load(), "session")


@cache
def catalog() -> ToolCatalog:
    return ToolCatalog(document())


def by(*roles: Role) -> ToolCaller:
    caller = Caller("model", with_implied(roles or [Role.VIEWER]))
    return ToolCaller(caller, {"authorization": "Bearer secret", "x-request-id": "r-1"})


class FakeGateway:
    """Answers each call with what it is given, or by a function of the request."""

    def __init__(self, answer) -> None:
        self.requests = []
        self._answer = answer

    async def call(self, request, headers):
        self.requests.append((request, dict(headers)))
        answer = self._answer(request) if callable(self._answer) else self._answer
        if isinstance(answer, CallFailed):
            raise answer
        return answer

    @property
    def query(self):
        """Of the newest request."""
        return dict(self.requests[-1][0].query)


def calls_of(gateway: FakeGateway, characters_max: int = CHARACTERS_MAX) -> ToolCalls:
    return ToolCalls(catalog(), gateway, StillClock(), characters_max)
