"""The guard before ccxt's own object."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from ccxt.base.errors import NetworkError

from tests.support.waiting import WAIT_SECONDS_MAX
from venues.ccxt.exchange import CURRENT, KEEP_ALIVE_MS_MAX, TRADES_MAX, CcxtExchange, break_socket

URL = "ws://127.0.0.1:9/nowhere"


@pytest.fixture
async def exchange() -> AsyncIterator[CcxtExchange]:
    made = CcxtExchange("kraken", {"options": {"of": "ours"}})
    yield made
    await made.close()


async def test_options_are_joined_with_those_that_protect(exchange: CcxtExchange) -> None:
    options = exchange.api.options
    assert (options["of"], options["tradesLimit"]) == ("ours", TRADES_MAX)
    assert exchange.api.newUpdates
    assert 0 < exchange.api.streaming["keepAlive"] <= KEEP_ALIVE_MS_MAX


@pytest.mark.parametrize("text", ['{"cut in h', '{"channel":"book","type":"update","data":[{}]}'])
async def test_a_message_that_cannot_be_handled_ends_its_socket(
    exchange: CcxtExchange, text: str
) -> None:
    client = exchange.api.client(URL)
    waiting = client.future("anything")
    client.handle_message(SimpleNamespace(type=1, data=text))
    with pytest.raises(NetworkError, match="could not be handled"):
        await asyncio.wait_for(waiting, WAIT_SECONDS_MAX)
    assert exchange.sockets() == []


async def test_a_watcher_between_two_calls_gets_the_error_of_a_lost_socket(
    exchange: CcxtExchange,
) -> None:
    watcher: Any = SimpleNamespace(client=None)
    CURRENT.set(watcher)
    exchange.api._note(URL)
    first = watcher.client
    exchange.api._note(URL)
    assert watcher.client is first
    break_socket(first, "for the test")
    with pytest.raises(NetworkError, match="lost meanwhile"):
        exchange.api._note(URL)


async def test_a_silent_socket_is_ended_and_a_lively_one_is_not(exchange: CcxtExchange) -> None:
    client = exchange.api.client(URL)
    client.isConnected = True
    client.last_message_at = exchange.api.milliseconds() - 30_000
    exchange.break_silent(40)
    assert client.error is None
    exchange.break_silent(20)
    assert isinstance(client.error, NetworkError)
