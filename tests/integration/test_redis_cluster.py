"""A Redis Cluster, which is not supported, ends every process that uses Redis."""

import asyncio

import pytest

from kit.base.runtime import EXIT_WRONG_SETTING
from tests.support.service_process import ServiceProcess
from tests.support.valkey_process import cluster_node
from tests.support.waiting import WAIT_SECONDS_MAX

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.mark.parametrize("service", ["bars", "bridge", "ingest", "recorder", "repair"])
def test_a_redis_cluster_is_refused_at_start(service, tmp_path, postgres_url):
    node = cluster_node(tmp_path)
    asyncio.run(node.start())
    process = ServiceProcess(service, {"REDIS_URL": node.url, "DATABASE_URL": postgres_url})
    with (tmp_path / "errors").open("wb") as errors:
        process.start(stderr=errors)
    try:
        process.process.wait(WAIT_SECONDS_MAX)
    finally:
        process.kill()
        node.kill()
    assert process.process.returncode == EXIT_WRONG_SETTING
    text = (tmp_path / "errors").read_text()
    assert "setting mesh.redis_url" in text
    assert "Redis Cluster is not supported" in text
