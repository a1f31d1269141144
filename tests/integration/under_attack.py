"""A mesh that tests attack, with a reader that must notice nothing."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from kit.base.access import authority, tokens
from kit.base.access.local_tokens import command_token, process_token
from kit.base.access.roles import Role
from kit.base.access.tokens import MeshNames, TokenTerms
from kit.base.clock import SystemClock
from tests.integration.followers import LiveTrades, following
from tests.integration.mesh import CALL_SECONDS_MAX, VENUE, Mesh, new_folder, running


@dataclass(frozen=True)
class UnderAttack:
    """A mesh, and a reader that must notice nothing."""

    mesh: Mesh
    live: LiveTrades

    def port(self, name: str) -> str:
        return f"127.0.0.1:{self.mesh.port(name)}"

    def token(self, *roles: Role, mesh_id: str = "local") -> str:
        return command_token(self.mesh.data, mesh_id, roles)

    def of_process(self, service_id: str, kind: str) -> str:
        return process_token(self.mesh.data, "local", service_id, kind)

    def expired(self) -> str:
        key = authority.read_keys(self.mesh.data / authority.FOLDER)[-1]
        terms = TokenTerms("late", frozenset({Role.ADMIN}), -60)
        return tokens.issue(terms, key, MeshNames("local"), SystemClock())[0]


@contextmanager
def attacking() -> Iterator[UnderAttack]:
    """Until the end of the context. Raises AssertionError if the reader has noticed anything."""
    live = LiveTrades()
    options = ("--world", "simulate", "--seed", "7", "--venues", VENUE)
    with new_folder() as data, running(data, *options) as mesh:
        mesh.wait_until_running()
        with following(mesh, live) as follower:
            mesh.wait_until(lambda: live.counts, "the first trade")
            # The bridge may have registered a moment after the first attempt.
            follower.ends.clear()
            yield UnderAttack(mesh, live)
            # Of the whole attack the reader has noticed nothing.
            before = max(live.counts)
            mesh.wait_until(lambda: max(live.counts) > before, "trades go on")
            assert follower.ends == []
            assert live.gaps == []
            assert set(live.counts.values()) == {1}
            first, last = min(live.counts), max(live.counts)
            assert len(live.counts) == last - first + 1


def code_of(call) -> grpc.StatusCode:
    """The status of a unary call."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def answers(attacked: UnderAttack, path: str, body: object = None, **headers: str):
    """Status and text of a call with a token that may do everything."""
    token = headers.pop("token", attacked.token(Role.ADMIN))
    shown = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    shown |= {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{attacked.mesh.gateway}{path}", data, shown)
    try:
        with urllib.request.urlopen(request, timeout=CALL_SECONDS_MAX) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
