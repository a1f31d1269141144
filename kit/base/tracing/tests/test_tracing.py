"""Without a collector nothing of OpenTelemetry is loaded."""

import subprocess
import sys

import pytest

from kit.base.errors import SettingError
from kit.base.telemetry import Meter
from kit.base.tracing import spans
from kit.base.tracing.settings import TelemetrySettings

PROCESSES = (
    *(f"core.{name}.app" for name in ("bars", "bridge", "history", "ingest", "recorder", "repair")),
    "core.playback.app",
    "gateway.app",
    "kit.connector.process.app",
)
START = """
import importlib, sys
from kit.base.runtime import ProcessIdentity, Runtime
from kit.base.settings import MeshSettings
importlib.import_module(sys.argv[1])
async def main():
    Runtime(ProcessIdentity("one", "one", "one", 1), MeshSettings(data_dir=sys.argv[2]))
import asyncio
asyncio.run(main())
print([name for name in sys.modules if name.startswith("opentelemetry.proto")])
"""


@pytest.mark.parametrize("module", PROCESSES)
def test_no_process_imports_the_format_of_traces_without_a_collector(module, tmp_path):
    # redis imports the API of OpenTelemetry, 0.4 MB, where another package has brought it.
    command = [sys.executable, "-c", START, module, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.parametrize(
    "settings",
    [
        {"otlp_endpoint": "127.0.0.1:4317"},
        {"otlp_endpoint": "https://collector:4317"},
        {"otlp_endpoint": "http://collector"},
        {"otlp_endpoint": "http://collector:none"},
        {"trace_sample_ratio": 1.5},
    ],
)
def test_settings_that_cannot_be_used_are_rejected(settings):
    with pytest.raises(SettingError, match=r"setting telemetry\."):
        TelemetrySettings(**settings)


@pytest.fixture
async def tracing():
    meter = Meter("one")
    spans.start(TelemetrySettings(otlp_endpoint="http://127.0.0.1:1"), "one", "1", meter)
    yield meter
    await spans.stop()


async def test_a_trace_is_continued(tracing):
    shown = f"00-{'ab' * 16}-{'cd' * 8}-01"
    with spans.call_span("/a.B/C", [("traceparent", shown)]):
        ((name, value),) = spans.outgoing()
    assert name == "traceparent"
    assert value.startswith(f"00-{'ab' * 16}-")
    assert "cd" * 8 not in value
    assert value.endswith("-01")


@pytest.mark.parametrize(
    "shown", ["", "00-short", f"00-{'0' * 32}-{'cd' * 8}-01", f"00-{'ab' * 16}-{'0' * 16}-01"]
)
async def test_a_trace_that_is_not_valid_is_replaced(tracing, shown):
    with spans.call_span("/a.B/C", [("traceparent", shown)]):
        ((_, value),) = spans.outgoing()
    assert "ab" * 16 not in value


async def test_a_trace_that_the_caller_does_not_sample_is_not_sent(tracing):
    with spans.call_span("/a.B/C", [("traceparent", f"00-{'ab' * 16}-{'cd' * 8}-00")]):
        assert spans.outgoing()[0][1].endswith("-00")
    await spans.stop()
    assert tracing.registry.get_sample_value("venuemesh_trace_spans_dropped_total") == 0


async def test_spans_are_dropped_and_counted_while_the_collector_is_away(tracing):
    with spans.call_span("/a.B/C", []), spans.store_span("redis", "XREAD"):
        pass
    await spans.stop()
    assert tracing.registry.get_sample_value("venuemesh_trace_spans_dropped_total") == 2
    assert spans.outgoing() == ()
