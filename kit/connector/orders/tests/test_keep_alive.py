"""The order websocket is kept alive with ping frames, or with the venue's own message."""

import asyncio

from kit.connector.orders import order_socket
from kit.connector.orders.tests.test_order_socket import Codec, StandingClock, place


async def test_connection_is_kept_alive_with_the_venues_own_message():
    class Pinging(Codec):
        ping = '{"op":"ping"}'

    clock = StandingClock()
    async with place(clock=clock, codec=Pinging) as at:
        for _ in range(2):
            clock.gone.release()
            assert (await at.written.get())["op"] == "ping"


async def test_connection_is_kept_alive_with_ping_frames(monkeypatch):
    monkeypatch.setattr(order_socket, "PING_S", 0.2)
    async with place() as at:
        while not at.venue.pings:
            await asyncio.sleep(0.01)
        assert at.written.empty()
