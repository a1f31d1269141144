"""Jobs of TimescaleDB that fail. The views are tables of the same names in plain PostgreSQL: what a
real TimescaleDB puts into them is not tested here."""

import psycopg
import pytest
from venuemesh.registry.v1 import registry_pb2

from core.recorder.background_jobs import BackgroundJobMonitor
from kit.base.clock import SystemClock
from kit.base.database import Database
from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter

VIEWS = """
CREATE SCHEMA timescaledb_information;
CREATE TABLE timescaledb_information.jobs (job_id int, proc_name name, hypertable_name name);
CREATE TABLE timescaledb_information.job_stats (
    job_id int, last_run_status text, job_status text, next_start timestamptz);
CREATE TABLE timescaledb_information.job_errors (
    job_id int, finish_time timestamptz, err_message text);
INSERT INTO timescaledb_information.jobs VALUES
    (1, 'policy_telemetry', NULL), (1000, 'policy_retention', 'trade_rows'),
    (1001, 'policy_compression', 'quote_rows');
INSERT INTO timescaledb_information.job_stats VALUES
    (1, 'Failed', 'Scheduled', now()), (1000, 'Success', 'Scheduled', now()),
    (1001, NULL, 'Scheduled', now());
INSERT INTO timescaledb_information.job_errors VALUES
    (1, now(), 'no network'), (1000, now() - interval '1 day', 'an old error'),
    (1000, now(), 'cannot drop portal "x"');
"""
FAIL = "UPDATE timescaledb_information.job_stats SET last_run_status = 'Failed' WHERE job_id = 1000"
HEAL = FAIL.replace("Failed", "Success")
DELAY = (
    "UPDATE timescaledb_information.job_stats SET next_start = now() - interval '61 minutes'"
    " WHERE job_id = 1001"
)


class Rig:
    """A monitor and its database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.database = Database(url)
        self.meter = Meter("recorder")
        self._monitor = BackgroundJobMonitor(
            self.database, self.meter, DegradedReasons(self.meter), SystemClock()
        )

    async def look(self, *statements: str) -> None:
        """Change the views, then look once."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        await self._monitor.look()

    def failing(self, job: str) -> float | None:
        return self.meter.registry.get_sample_value(
            "venuemesh_database_job_failing", {"background_job": job}
        )


@pytest.fixture
async def rig(postgres_url):
    rig = Rig(postgres_url)
    yield rig
    await rig.database.close()


async def test_a_database_without_timescaledb_has_no_jobs(rig):
    await rig.look()
    assert rig.meter.state == registry_pb2.SERVICE_STATE_SERVING


async def test_a_job_that_failed_degrades_the_recorder_until_it_succeeds(rig):
    await rig.look(VIEWS)
    assert rig.meter.state == registry_pb2.SERVICE_STATE_SERVING
    assert rig.failing("policy_retention of trade_rows") == 0
    await rig.look(FAIL)
    assert rig.meter.state == registry_pb2.SERVICE_STATE_DEGRADED
    assert rig.meter.detail.startswith(
        'database jobs: policy_retention of trade_rows failed: cannot drop portal "x"'
    )
    assert rig.failing("policy_retention of trade_rows") == 1
    assert rig.failing("policy_compression of quote_rows") == 0
    await rig.look(HEAL)
    assert rig.meter.detail == ""
    assert rig.failing("policy_retention of trade_rows") == 0


async def test_a_job_without_a_worker_process_is_reported_with_the_setting(rig, superuser_url):
    name = superuser_url.rpartition("/")[2]
    workers = f"ALTER DATABASE {name} SET timescaledb.max_background_workers = '16'"
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(workers.encode())
    await rig.look(VIEWS, DELAY)
    needed = 16 + 8 + 3
    assert rig.meter.detail == (
        "database jobs: policy_compression of quote_rows was not started when it was due;"
        f" max_worker_processes is 8; set it to {needed} or more"
    )
