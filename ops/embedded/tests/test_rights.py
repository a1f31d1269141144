"""What the users of the embedded stores may do, and what is refused."""

import psycopg
import pytest
import redis
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import START, Cursor, StreamKey
from kit.base.database import Database
from kit.base.errors import StoreUnavailable
from kit.base.migration import migrate
from kit.base.store_urls import with_password
from kit.marketdata.delivery.redis_streams import RedisStreams, StreamEntry
from ops.embedded.store_passwords import StorePasswords, user_of_service

TRADES = StreamKey("binance", types_pb2.CHANNEL_TRADES)
REPAIRS = StreamKey("binance", types_pb2.CHANNEL_REPAIRS)
READERS = ("recorder", "bars", "bridge")
EVENT_MAKERS = ("ledger", "audit", "detector", "advisor", "inspector")


@pytest.fixture
def redis_url(valkey_url: str, store_passwords: StorePasswords):
    """Makes the URL of a service."""

    def url(service: str) -> str:
        user = user_of_service(service)
        bare = f"redis://{user}@{valkey_url.rpartition('@')[2]}"
        return with_password(bare, store_passwords.password("redis", user))

    return url


@pytest.fixture
async def database_url(postgres_url: str, store_passwords: StorePasswords):
    """Makes the URL of a service, in a database with the schema."""

    def url(service: str) -> str:
        role = user_of_service(service)
        bare = f"postgresql://{role}@{postgres_url.rpartition('@')[2]}"
        return with_password(bare, store_passwords.password("postgresql", role))

    return url


async def write(url: str, key: StreamKey) -> None:
    streams = RedisStreams(url)
    try:
        newest = await streams.last(key) or START
        entry = StreamEntry(key, Cursor(1, newest.sequence + 1), b"batch")
        await streams.append_after({key: newest}, [entry])
        await streams.register(key)
    finally:
        await streams.close()


@pytest.mark.parametrize("service", READERS)
async def test_readers_of_the_streams_read_and_commit_only(redis_url, service):
    await write(redis_url("ingest"), TRADES)
    streams = RedisStreams(redis_url(service))
    assert await streams.keys() == [TRADES]
    assert await streams.last(TRADES) == Cursor(1, 1)
    assert [entry.cursor for entry in await streams.read({TRADES: START}, 9)] == [Cursor(1, 1)]
    await streams.commit(service, {TRADES: Cursor(1, 1)})
    for forbidden in (
        streams.append([StreamEntry(TRADES, Cursor(1, 2), b"x")]),
        streams.trim_to_length(TRADES, 0),
        streams.register(REPAIRS),
    ):
        with pytest.raises(StoreUnavailable, match=f"command of user 'venuemesh_{service}'"):
            await forbidden
    await streams.close()


async def test_ingest_writes_trims_and_measures_streams(redis_url):
    await write(redis_url("ingest"), TRADES)
    streams = RedisStreams(redis_url("ingest"))
    assert await streams.stream_bytes(TRADES) > 0
    assert await streams.memory_bytes() > 0
    assert await streams.length(TRADES) == 1
    assert await streams.groups(TRADES) == {}
    assert [entry.cursor for entry in await streams.newest(TRADES, 1)] == [Cursor(1, 1)]
    await streams.trim_before(TRADES, Cursor(1, 1))
    await streams.close()


async def test_repair_writes_the_stream_of_repairs_only(redis_url):
    await write(redis_url("repair"), REPAIRS)
    streams = RedisStreams(redis_url("repair"))
    assert await streams.groups(REPAIRS) == {}
    with pytest.raises(StoreUnavailable, match="venuemesh_repair"):
        await streams.append([StreamEntry(TRADES, Cursor(1, 1), b"x")])
    # A right that is missing is not an empty stream.
    with pytest.raises(StoreUnavailable, match="venuemesh_repair"):
        await streams.last(TRADES)
    await streams.close()


@pytest.mark.parametrize("service", EVENT_MAKERS)
def test_makers_of_events_reach_the_streams_of_events_only(redis_url, service):
    with redis.Redis.from_url(redis_url(service)) as client:
        client.xadd("ev:{ledger}", {"b": b"event"}, id="1-1")
        client.eval("return redis.call('XINFO', 'STREAM', KEYS[1])", 1, "ev:{ledger}")
        client.xtrim("ev:{ledger}", 1)
        assert client.xread({"ev:{ledger}": "0-0"})
        assert client.xrevrange("ev:{ledger}", count=1)
        forbidden = ("XADD md:{x}:trades * b 1", "XREAD STREAMS md:{x}:trades 0", "DEL ev:{ledger}")
        for command in forbidden:
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command.split())


@pytest.mark.parametrize("service", ["ingest", "repair", *READERS, *EVENT_MAKERS])
@pytest.mark.parametrize(
    "command",
    ["FLUSHALL", "CONFIG GET *", "KEYS *", "SET md:{x}:trades 1", "DEL md:streams", "ACL LIST"],
)
def test_no_service_may_do_more_in_valkey(redis_url, service, command):
    with (
        redis.Redis.from_url(redis_url(service)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command.split())


def test_nobody_reaches_valkey_without_a_login(valkey_url):
    url = f"redis://{valkey_url.rpartition('@')[2]}"
    with (
        redis.Redis.from_url(url) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()


FORBIDDEN = {
    "recorder": ["DELETE FROM leases", "UPDATE holes SET detail = ''"],
    "bars": [
        "DELETE FROM leases",
        "DELETE FROM trade_rows",
        "SELECT make_days('trade_rows', ARRAY[0])",
    ],
    "repair": ["DELETE FROM trade_rows", "UPDATE bars SET open = 0"],
    "history": ["DELETE FROM bars", "SELECT make_days('trade_rows', ARRAY[0])"],
    "ledger": ["UPDATE events SET body = ''", "DELETE FROM events", "DELETE FROM leases"],
    "audit": [
        "UPDATE events SET subject = ''",
        "INSERT INTO event_streams VALUES ('a', 1, 1)",
        "UPDATE audit_leaves SET hash = ''",
        "DELETE FROM audit_checkpoints",
    ],
    "advisor": ["UPDATE events SET body = ''", "INSERT INTO ledger_groups DEFAULT VALUES"],
    "detector": ["UPDATE events SET body = ''", "DELETE FROM detector_instances"],
    "inspector": ["DELETE FROM inspector_orders", "UPDATE inspector_fills SET size = 0"],
    "notifier": ["INSERT INTO events DEFAULT VALUES", "UPDATE inspector_modes SET mode = 1"],
    "reader": ["INSERT INTO instruments (venue, symbol) VALUES ('a', 'b')"],
}


@pytest.mark.parametrize("service", FORBIDDEN)
async def test_no_service_may_do_more_in_postgresql(database_url, service):
    everywhere = [
        "CREATE TABLE mine ()",
        "DROP TABLE trade_rows",
        "ALTER TABLE trade_rows ADD COLUMN mine int",
        "TRUNCATE trade_rows",
        "UPDATE schema_migrations SET number = 0",
        "SET ROLE venuemesh_owner",
        "SELECT pg_read_file('pg_hba.conf')",
    ]
    with psycopg.connect(database_url(service), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        assert connection.execute("SELECT count(*) FROM trades").fetchone() == (0,)
        for statement in (*everywhere, *FORBIDDEN[service]):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("service", EVENT_MAKERS)
async def test_makers_of_events_store_them_and_take_leases(database_url, service):
    allowed = [
        "SELECT sequence FROM event_streams WHERE stream = 'system' FOR UPDATE",
        "UPDATE event_streams SET sequence = sequence + 1 WHERE stream = 'system'",
        "INSERT INTO events VALUES ('system', 1, 'id', '', '', 0, '')",
        "INSERT INTO event_positions VALUES ('it', 'system', 1)",
        "UPDATE event_positions SET sequence = 2",
        "INSERT INTO leases VALUES ('one', 'it', 1, now())",
        "SELECT * FROM leases FOR UPDATE",
    ]
    with psycopg.connect(database_url(service)) as connection:
        for statement in allowed:
            connection.execute(statement)
        stored = connection.execute("SELECT stream, sequence FROM events")
        assert stored.fetchall() == [("system", 1)]


@pytest.mark.parametrize("service", ["history", "reader"])
async def test_those_who_read_only_begin_no_writing_transaction(database_url, service):
    with psycopg.connect(database_url(service)) as connection:
        row = connection.execute("SHOW transaction_read_only").fetchone()
    assert row == ("on",)


async def test_a_refused_statement_names_the_role_and_what_to_do(database_url):
    database = Database(database_url("bars"))
    with pytest.raises(StoreUnavailable) as caught:
        async with database.transaction() as connection:
            await connection.execute("DELETE FROM trade_rows")
    assert caught.value.message == (
        "PostgreSQL refuses a statement of role 'venuemesh_bars': permission denied for table"
        " trade_rows; run ./venuemesh migrate as the owner of the tables"
    )
    await database.close()


@pytest.mark.parametrize("role", ["venuemesh_bars", "postgres", "nobody_knows"])
async def test_a_rejected_login_is_not_an_absent_server(postgres_url, role):
    url = f"postgresql://{role}:wr0ng@{postgres_url.rpartition('@')[2]}"
    database = Database(url)
    with pytest.raises(StoreUnavailable) as caught:
        async with database.transaction():
            raise AssertionError("it let us in")
    text = caught.value.message
    assert text.startswith(f"PostgreSQL rejects the login of role '{role}': ")
    assert text.endswith("; correct mesh.database_url or mesh.database_password_file")
    assert "wr0ng" not in text
    assert "\n" not in text
    await database.close()


@pytest.mark.parametrize("login", ["venuemesh_bars:wr0ng@", "unknown:wr0ng@", ""])
async def test_a_rejected_login_is_not_an_absent_redis(valkey_url, login):
    streams = RedisStreams(f"redis://{login}{valkey_url.rpartition('@')[2]}")
    user = login.partition(":")[0] or "default"
    for call in (streams.keys(), streams.read({TRADES: START}, 1), streams.last(TRADES)):
        with pytest.raises(StoreUnavailable) as caught:
            await call
        text = caught.value.message
        assert text.startswith(f"Redis rejects the login of user '{user}': ")
        assert text.endswith("; correct mesh.redis_url or mesh.redis_password_file")
        assert "wr0ng" not in text
    await streams.close()


async def test_rights_that_are_not_listed_are_taken_away(postgres_url, database_url):
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("GRANT DELETE ON trade_rows TO venuemesh_history")
        owner.execute("REVOKE SELECT ON bars FROM venuemesh_history")
        await migrate(postgres_url)
        query = "SELECT has_table_privilege('venuemesh_history', %s, %s)"
        rows = [("trade_rows", "DELETE"), ("bars", "SELECT")]
        found = [owner.execute(query, row).fetchone() for row in rows]
        before = owner.execute("SELECT max(xmin::text::bigint) FROM pg_class").fetchone()
        await migrate(postgres_url)
        after = owner.execute("SELECT max(xmin::text::bigint) FROM pg_class").fetchone()
    assert found == [(False,), (True,)]
    assert after == before, "rights that are there are not given again"


async def test_a_role_without_the_schema_waits_for_its_owner(empty_postgres_url, store_passwords):
    role = "venuemesh_bars"
    bare = f"postgresql://{role}@{empty_postgres_url.rpartition('@')[2]}"
    url = with_password(bare, store_passwords.password("postgresql", role))
    with pytest.raises(StoreUnavailable, match="refuses a statement of role 'venuemesh_bars'"):
        await migrate(url)
    await migrate(empty_postgres_url)
    assert not (await migrate(url)).applied
