"""The services of a running mesh have the rights that they need in the stores, and no others."""

from pathlib import Path

import psycopg
import pytest
import redis

from ops.embedded.store_passwords import StorePasswords, user_of_service
from ops.supervisor.store_access import DATABASE_SERVICES, REDIS_SERVICES
from tests.integration.mesh import Mesh

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def test_each_service_logs_in_as_itself_and_lacks_no_right(simulated: Mesh):
    def roles() -> set[str]:
        query = "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename IS NOT NULL"
        return {name for (name,) in simulated.sql(query)} - {"venuemesh_owner", "postgres"}

    simulated.get("/v1/history/binance/BTCUSDT/trades")
    simulated.get("/v1/ledger/trialBalance")
    running = simulated.children().keys()
    expected = set(map(user_of_service, DATABASE_SERVICES & running))
    simulated.wait_until(lambda: roles() == expected, "every role has a session")
    log = (simulated.data / "logs" / "postgres.log").read_text()
    assert "permission denied" not in log
    with redis.Redis.from_url(simulated.redis_url()) as client:
        users = {client["user"] for client in client.client_list()} - {"venuemesh_owner"}
        # They log in when they have something to write.
        idle = set(map(user_of_service, ("repair", "ledger")))
        assert users | idle == set(map(user_of_service, REDIS_SERVICES & running))
        assert client.acl_log() == []


def test_no_password_is_shown_anywhere(simulated: Mesh):
    folder = StorePasswords.of_mesh(simulated.data).folder
    passwords = [file.read_bytes().strip() for file in folder.iterdir()]
    pids = [child["pid"] for child in simulated.children().values()]
    shown = [Path(f"/proc/{pid}/{name}") for pid in pids for name in ("cmdline", "environ")]
    shown += (simulated.data / "logs").iterdir()
    shown += [simulated.data / "state.json", simulated.output]
    for file in shown:
        content = file.read_bytes()
        assert not [password for password in passwords if password in content], file


def test_history_reads_only(simulated: Mesh):
    url = simulated.database_url("venuemesh_history")
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("DELETE FROM bars")
    assert caught.value.sqlstate in ("25006", "42501")
