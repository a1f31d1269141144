"""Studio in a real browser without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ops.studio_build import StudioBuild
from tests.integration.mesh import Mesh

PAGE_WAIT_MS = 30_000
BUILD_SECONDS_MAX = 240.0
VIEWPORT = {"width": 1440, "height": 900}


def studio_of(mesh: Mesh) -> str:
    """The address of Studio, once it is built."""
    if not StudioBuild().is_current():
        if shutil.which("npm") is None:
            pytest.skip("Studio is not built, and there is no npm to build it")
        mesh.wait_until(
            lambda: "Studio is built" in mesh.output.read_text(), "a Studio", BUILD_SECONDS_MAX
        )
    return f"http://{mesh.gateway}/"


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
def open_page(browser: Any) -> Iterator[Any]:
    """A page, on which nothing may go wrong."""
    page = browser.new_page(viewport=VIEWPORT)
    page.set_default_timeout(PAGE_WAIT_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []
