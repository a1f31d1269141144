import asyncio

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from conftest import free_port
from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.base.redis_commands import RedisCommands, refuse_cluster
from tests.support.valkey_process import ValkeyProcess, cluster_node


def as_user(url: str, login: str) -> str:
    return f"redis://{login}@{url.rpartition('@')[2]}"


@pytest.fixture
async def commands(valkey_url):
    commands = RedisCommands(valkey_url)
    yield commands
    await commands.close()


async def test_commands_take_text_bytes_and_numbers(commands):
    assert await commands.call("SET", "key", b"\x00\xff\r\n") == b"OK"
    assert await commands.call("GETRANGE", "key", 0, 1) == b"\x00\xff"
    assert await commands.call("GET", "nothing") is None


async def test_commands_side_by_side_do_not_mix(commands):
    numbers = await asyncio.gather(*(commands.call("ECHO", number) for number in range(50)))
    assert numbers == [str(number).encode() for number in range(50)]


async def test_an_error_of_redis_leaves_the_connection_usable(commands, valkey_url):
    with pytest.raises(ResponseError):
        await commands.call("NOSUCHCOMMAND")
    clients = int(await commands.call("CLIENT", "ID"))
    assert int(await commands.call("CLIENT", "ID")) == clients


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_a_late_reply_never_answers_another_command(commands, how):
    waiting = asyncio.create_task(
        commands.call("BLPOP", "list", 30, timeout_seconds=0.05 if how == "timeout" else None)
    )
    await asyncio.wait([waiting], timeout=0.02)
    if how == "cancel":
        waiting.cancel()
    with pytest.raises((RedisTimeoutError, asyncio.CancelledError)):
        await waiting
    assert await commands.call("RPUSH", "list", "late") == 1
    assert await commands.call("ECHO", "mine") == b"mine"


async def test_idle_connections_that_died_with_redis_are_replaced(tmp_path):
    valkey = ValkeyProcess(tmp_path, free_port())
    await valkey.start()
    commands = RedisCommands(valkey.url)
    await asyncio.gather(*(commands.call("PING") for _ in range(3)))
    valkey.kill()
    with pytest.raises(RedisConnectionError):
        await commands.call("PING")
    await valkey.start()
    assert await commands.call("PING") == b"PONG"
    valkey.kill()
    await commands.close()


async def test_the_settings_of_the_url_are_used(valkey_url):
    with redis.Redis.from_url(valkey_url) as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "+ping", "+select")
    commands = RedisCommands(as_user(valkey_url, "reader:secret"))
    assert await commands.call("PING") == b"PONG"
    with pytest.raises(ResponseError):
        await commands.call("GET", "key")
    await commands.close()
    with redis.Redis.from_url(valkey_url) as client:
        client.execute_command("ACL", "DELUSER", "reader")


async def test_a_redis_cluster_is_refused_as_soon_as_it_answers(tmp_path):
    node = cluster_node(tmp_path)
    url = as_user(node.url, "late:secret")
    checking = asyncio.create_task(refuse_cluster(url, SystemClock()))
    await node.start()
    with redis.Redis.from_url(node.url) as client:
        client.execute_command("ACL", "SETUSER", "late", "on", ">secret", "+@all")
    with pytest.raises(SettingError, match=r"cluster_enabled:0") as caught:
        await checking
    assert "secret" not in str(caught.value)
    node.kill()


async def test_a_redis_that_is_no_cluster_or_does_not_say_is_taken(valkey_url):
    with redis.Redis.from_url(valkey_url) as client:
        client.execute_command("ACL", "SETUSER", "quiet", "on", ">secret", "+@all", "-info")
        urls = valkey_url, as_user(valkey_url, "quiet:secret")
        ended = await asyncio.gather(*(refuse_cluster(url, SystemClock()) for url in urls))
        client.execute_command("ACL", "DELUSER", "quiet")
    assert ended == [None, None]
