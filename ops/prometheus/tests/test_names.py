"""Alerts and dashboard ask for metrics that there are, and each alert has its runbook."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ALERTS = ROOT / "ops" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "ops" / "grafana" / "venuemesh.json"
SOURCES = ("kit", "core", "gateway")


@pytest.fixture(scope="module")
def made() -> set[str]:
    """The names of all metrics that the processes make."""
    text = "\n".join(file.read_text() for name in SOURCES for file in (ROOT / name).rglob("*.py"))
    named = re.findall(r'\.(?:counter|gauge|histogram)\(\s*"(\w+)"', text)
    return {f"venuemesh_{name}" for name in named} | set(re.findall(r'"(venuemesh_\w+)"', text))


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=lambda file: file.name)
def test_every_metric_is_made(file: Path, made: set[str]) -> None:
    asked = re.findall(r"\bvenuemesh_\w+?(?=_total\b|_bucket\b|\b)", file.read_text())
    assert asked
    assert not set(asked) - made


def test_every_alert_has_a_runbook() -> None:
    text = ALERTS.read_text()
    runbooks = re.findall(r"runbook: (\S+)", text)
    assert len(runbooks) == text.count("- alert: ")
    assert not [name for name in runbooks if not (ROOT / name).is_file()]


def test_the_dashboard_describes_its_panels() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["uid"] == "venuemesh"
    assert all(panel["description"] and panel["targets"] for panel in dashboard["panels"])
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
