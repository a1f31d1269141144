"""From a fresh clone to a chart that moves, and to a book in Go.

The steps of a newcomer: clone, ``./venuemesh up`` with all venues, the link that signs in to Studio
in a browser, then ``go run`` of the first example with a token. Nothing is there before but the
caches of pip and npm; Go begins with none.
"""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.options import ROOT, Options
from benchmarks.report import Figure, Report
from tests.integration.mesh import free_base_port
from tests.integration.web import VIEWPORT, running_browser

SECONDS_MAX = 300.0
LINK = re.compile(r"http://127\.0\.0\.1:\d+/sign-in\S+")
GO_EXAMPLE = ("go", "run", "./clients/go/examples/book", "binance", "BTCUSDT")
Seconds = dict[str, float]


def run(options: Options) -> Report:
    """Seconds from the start of the clone, and those of the Go example from its own."""
    found = [_run() for _ in options.mesh_runs]
    targets = {"proven book in Go": "under 120"}
    figures = [
        Figure(name, "s", [seconds[name] for seconds in found], targets.get(name, ""))
        for name in found[0]
    ]
    return Report("clone: a newcomer's first steps, all venues", figures)


def _run() -> Seconds:
    started = time.monotonic()
    seconds: Seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "venuemesh")
        _finish(("git", "clone", "-q", str(ROOT), str(clone)), Path(folder))
        with _up(clone) as (output, gateway):
            link = _wait_for(LINK, output)
            seconds["sign-in link"] = time.monotonic() - started
            _wait_for(re.compile("Studio is built"), output)
            seconds["Studio built"] = time.monotonic() - started
            _see_chart_move(link)
            seconds["chart that moves"] = time.monotonic() - started
            seconds["proven book in Go"] = _prove_book_in_go(clone, gateway)
    return seconds


@contextmanager
def _up(clone: Path) -> Iterator[tuple[Path, str]]:
    """The output of a mesh that runs in a clone, and the address of its gateway."""
    port = free_base_port()
    output = clone.parent / "up.log"
    with output.open("w") as log:
        mesh = subprocess.Popen(
            ("./venuemesh", "up", "--base-port", str(port)),
            cwd=clone,
            env=_environment(),
            stdout=log,
            stderr=log,
        )
        try:
            yield output, f"127.0.0.1:{port}"
        finally:
            mesh.send_signal(signal.SIGINT)
            mesh.wait(SECONDS_MAX)


def _see_chart_move(link: str) -> None:
    with running_browser() as browser:
        page = browser.new_page(viewport=VIEWPORT)
        page.goto(link)
        page.wait_for_selector("canvas", timeout=SECONDS_MAX * 1000)
        before = page.screenshot()
        while page.screenshot() == before:
            time.sleep(0.1)


def _prove_book_in_go(clone: Path, gateway: str) -> float:
    token = _finish(("./venuemesh", "token", "issue", "--for", "1h"), clone).split()[-1]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as caches:
        own = {
            "GOCACHE": f"{caches}/build",
            "GOMODCACHE": f"{caches}/modules",
            "GOFLAGS": "-modcacherw",
            "VENUEMESH_GATEWAY": gateway,
            "VENUEMESH_TOKEN": token,
        }
        answer = _finish(GO_EXAMPLE, clone, own)
        taken = time.monotonic() - started
    if "proven" not in answer:
        raise RuntimeError(f"the Go example printed no proven book: {answer}")
    return taken


def _finish(command: tuple[str, ...], folder: Path, own: dict[str, str] | None = None) -> str:
    finished = subprocess.run(
        command,
        cwd=folder,
        env=_environment() | (own or {}),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS_MAX,
    )
    return finished.stdout


def _environment() -> dict[str, str]:
    """Without the settings of this checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VENUEMESH_")}


def _wait_for(pattern: re.Pattern[str], output: Path) -> str:
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        if found := pattern.search(output.read_text()):
            return found[0]
        time.sleep(0.1)
    raise TimeoutError(f"{pattern.pattern!r} did not appear: {output.read_text()[-2000:]}")
