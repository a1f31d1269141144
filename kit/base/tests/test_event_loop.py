import asyncio
import socket

import pytest
import uvloop

from kit.base.event_loop import EventLoop


@pytest.fixture
def connected():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        yield one


def test_cancelled_attempt_leaves_no_socket_to_close(connected):
    async def cancel():
        loop = asyncio.get_running_loop()
        attempt = loop.create_task(loop.create_connection(asyncio.Protocol, sock=connected))
        # It begins, and waits for the next round of the loop.
        await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        assert connected.fileno() == -1

    uvloop.run(cancel(), loop_factory=EventLoop)


def test_socket_of_a_refused_attempt_stays_with_its_caller():
    async def refuse():
        with socket.socket(type=socket.SOCK_DGRAM) as one:
            with pytest.raises(ValueError, match="Stream Socket was expected"):
                await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=one)
            assert one.fileno() > 0

    uvloop.run(refuse(), loop_factory=EventLoop)


def test_attempt_connects(connected):
    async def connect():
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=connected
        )
        assert transport.get_extra_info("peername") == connected.getpeername()
        transport.close()

    uvloop.run(connect(), loop_factory=EventLoop)
