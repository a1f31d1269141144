"""The fixtures themselves: real servers, empty for each test."""

import psycopg
import pytest
import redis


@pytest.mark.parametrize("turn", [1, 2])
def test_valkey_is_empty_for_each_test(valkey_url: str, turn: int):
    with redis.Redis.from_url(valkey_url) as client:
        assert client.dbsize() == 0
        client.set("left", turn)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.parametrize("turn", [1, 2])
def test_database_is_fresh_for_each_test(postgres_url: str, turn: int):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE left_behind (turn integer)")
        row = connection.execute("SHOW server_encoding").fetchone()
    assert row == ("UTF8",)
