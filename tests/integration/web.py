"""Studio in a real browser without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from venuemesh.access.v1.tokens_pb2 import CreateSignInLinkRequest
from venuemesh.access.v1.tokens_pb2_grpc import TokensStub

from ops.studio_build import StudioBuild
from tests.integration.mesh import Mesh, shown_channel

PAGE_WAIT_MS = 30_000
BUILD_SECONDS_MAX = 240.0
VIEWPORT = {"width": 1440, "height": 900}


class StudioAddress(str):
    """The address of a Studio, and the token of a caller that may create links to it."""

    __slots__ = ("token",)
    token: str

    def __new__(cls, address: str, token: str) -> Self:
        made = super().__new__(cls, address)
        made.token = token
        return made

    def sign_in_link(self) -> str:
        """A link that signs a browser in once."""
        with shown_channel(urlsplit(self).netloc, self.token) as channel:
            link = TokensStub(channel).CreateSignInLink(CreateSignInLinkRequest())
        return f"{self.rstrip('/')}{link.path}"


def studio_of(mesh: Mesh) -> StudioAddress:
    """The address of Studio, once it is built."""
    if not StudioBuild().is_current():
        if shutil.which("npm") is None:
            pytest.skip("Studio is not built, and there is no npm to build it")
        mesh.wait_until(
            lambda: "Studio is built" in mesh.output.read_text(), "a Studio", BUILD_SECONDS_MAX
        )
    return StudioAddress(f"http://{mesh.gateway}/", mesh.token)


@contextmanager
def running_browser() -> Iterator[Any]:
    """A browser. Skips the test where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on the PATH")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        # No sandbox: tests may run as root.
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@contextmanager
def open_page(browser: Any, studio: StudioAddress) -> Iterator[Any]:
    """A page that is signed in, on which nothing may go wrong."""
    page = browser.new_page(viewport=VIEWPORT)
    page.set_default_timeout(PAGE_WAIT_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(studio.sign_in_link())
    page.wait_for_url(lambda url: "/sign-in" not in url)
    yield page
    page.close()
    assert errors == []
