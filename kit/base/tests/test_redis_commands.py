import asyncio

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from conftest import free_port
from kit.base.redis_commands import RedisCommands
from tests.support.valkey_process import ValkeyProcess


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
    commands = RedisCommands(valkey_url.replace("redis://", "redis://reader:secret@"))
    assert await commands.call("PING") == b"PONG"
    with pytest.raises(ResponseError):
        await commands.call("GET", "key")
    await commands.close()
    with redis.Redis.from_url(valkey_url) as client:
        client.execute_command("ACL", "DELUSER", "reader")
