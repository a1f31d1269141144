"""The mesh of this folder, and the clients."""

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock

import pytest

from tests.integration import recorded
from tests.integration.clients import programs
from tests.integration.clients.programs import Example, Shown
from tests.integration.mesh import Mesh, new_folder, running
from tests.integration.orders import OrderCaller
from tests.integration.simulation import SIMULATE

TRADES_MIN = 5


class PageHandler(SimpleHTTPRequestHandler):
    """Serves the page of the client for TypeScript."""

    def log_message(self, *message: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="package")
def web_page() -> Iterator[str]:
    """The origin of a web server with the examples for browsers."""
    handler = partial(PageHandler, directory=programs.CLIENTS / "typescript" / "dist" / "browser")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="package")
def mesh(web_page: str) -> Iterator[Mesh]:
    """A mesh with trades, a book and an account that takes orders."""
    known = mock.patch.dict(os.environ, {"VENUEMESH_GATEWAY_ORIGINS": web_page})
    with known, new_folder() as data, running(data, *SIMULATE) as mesh:
        mesh.wait_until_running()
        mesh.wait_until(OrderCaller(mesh).takes_requests, "the account is ready")
        mesh.wait_until(lambda: OrderCaller(mesh).best_bid() > 0, "there is a book")
        mesh.wait_until(lambda: recorded.trades_after(mesh, 0) >= TRADES_MIN, "trades are recorded")
        yield mesh


@pytest.fixture(scope="package")
def shown(mesh: Mesh) -> Shown:
    """What a program gets to know of the mesh."""
    return Shown(mesh.gateway, mesh.token)


@pytest.fixture(scope="package")
def go() -> None:
    """The client for Go is ready."""
    programs.prepare("go")


@pytest.fixture(scope="package")
def typescript() -> None:
    """The client for TypeScript is compiled."""
    programs.prepare("typescript")


@pytest.fixture(scope="package")
def python() -> None:
    """The client for Python is installed without anything of the mesh."""
    programs.prepare("python")


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Example:
    """A parametrised example, whose client is ready."""
    found: Example = request.param
    request.getfixturevalue(found.language)
    return found
