"""The metrics of every process, named by the conventions of Prometheus."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.mesh import OWN_SERVICES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

OTHER_UNITS = re.compile(
    r"_(ms|us|ns|millis|millisecond|milliseconds|microseconds|nanoseconds|minutes|hours"
    r"|kb|mb|gb|kib|mib|kilobytes|megabytes|percent)(_|$)"
)
"""Units that are not base units."""
PROCESS_METRICS = {
    "process_cpu_seconds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
}


@pytest.fixture(scope="module", params=sorted(OWN_SERVICES))
def families(request, simulated):
    """The metric families of one process, by name."""
    page = simulated.metrics(request.param)
    return {family.name: family for family in text_string_to_metric_families(page)}


def test_names_follow_the_conventions(families):
    assert not [name for name in families if OTHER_UNITS.search(name)]
    assert not [name for name in families if not re.fullmatch(r"[a-z][a-z0-9_]*", name)]
    assert not [name for name, family in families.items() if not family.documentation]
    assert not [name for name in families if not name.startswith(("venuemesh_", "process_"))]
    for name, family in families.items():
        if family.type == "counter":
            assert {sample.name for sample in family.samples} <= {f"{name}_total"}
        else:
            assert not name.endswith(("_total", "_count", "_sum", "_bucket"))
        if family.type == "histogram":
            assert name.endswith(("_seconds", "_bytes"))


def test_every_process_reports_itself_and_its_version(families):
    assert families.keys() >= PROCESS_METRICS
    (build,) = families["venuemesh_build_info"].samples
    assert build.value == 1
    assert build.labels["version"]
    assert build.labels["service"] in OWN_SERVICES
