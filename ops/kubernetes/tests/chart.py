"""The chart: its values, and what helm makes of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ops.project import ROOT

CHART = ROOT / "ops" / "kubernetes"
SIZES = sorted(file.stem for file in (CHART / "sizes").glob("*.yaml"))
RELEASE = "mesh"
KUBE_VERSION = "1.29.0"
"""The oldest one that the chart is for. Without a version, helm renders for that of its build."""
PROGRAM_SECONDS_MAX = 300

Json = dict[str, Any]


def read(file: Path) -> Json:
    """The content of a YAML file."""
    return YAML(typ="safe").load(file.read_text())


def values() -> Json:
    """The default values."""
    return read(CHART / "values.yaml")


def processes() -> dict[str, Json]:
    """The processes of the values with their defaults, by service id."""
    found = values()
    venues = {name: found["venueDefaults"] | own for name, own in found["venues"].items()}
    services = {name: found["serviceDefaults"] | own for name, own in found["services"].items()}
    return venues | services


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program from PATH or from beside Python, or skip the test where there is none."""
    folders = os.pathsep.join((os.environ["PATH"], str(Path(sys.executable).parent)))
    found = shutil.which(program, path=folders)
    if found is None:
        pytest.skip(f"{program} is not installed, see CONTRIBUTING.md")
    return subprocess.run(
        (found, *arguments),
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS_MAX,
        check=False,
    )


def helm(
    action: str, *arguments: str, size: str = "", version: str = KUBE_VERSION
) -> subprocess.CompletedProcess[str]:
    """Run helm with the values of a size."""
    chosen = ("--values", str(CHART / "sizes" / f"{size}.yaml")) if size else ()
    return run("helm", action, *arguments, "--kube-version", version, *chosen)


def manifest(size: str = "", *options: str) -> str:
    """What helm makes of the values of a size."""
    done = helm("template", RELEASE, str(CHART), *options, size=size)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(text: str) -> list[Json]:
    """The objects of a manifest."""
    return [found for found in YAML(typ="safe").load_all(text) if found]


def of_kind(found: Iterable[Json], *kinds: str) -> dict[str, Json]:
    """The objects of some kinds, by name without the release."""
    return {
        one["metadata"]["name"].removeprefix(f"{RELEASE}-"): one
        for one in found
        if one["kind"] in kinds
    }


def pods(found: Iterable[Json]) -> dict[str, Json]:
    """The template of each pod, by the name of its workload."""
    workloads = of_kind(found, "StatefulSet", "Deployment", "Job")
    return {name: workload["spec"]["template"] for name, workload in workloads.items()}


def containers(pod: Json) -> dict[str, Json]:
    """All containers of a pod, by name."""
    spec = pod["spec"]
    return {found["name"]: found for found in spec.get("initContainers", []) + spec["containers"]}
