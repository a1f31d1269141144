"""A connection that stays for as long as it is alive, and comes back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import WSMsgType, web

from conftest import free_port
from kit.base.clock import Clock, SystemClock
from kit.base.websocket import Websocket
from tests.support.manual_clock import ManualClock
from tests.support.waiting import until

SILENCE_S = 60.0
PING_INTERVAL_S = 1.0

Handler = Callable[[web.WebSocketResponse], Awaitable[None]]


class Sink:
    """Records its calls."""

    def __init__(self) -> None:
        self.opened_count = 0
        self.received: list[bytes] = []
        self.closed_because: list[str] = []

    def frames(self, payloads: list[bytes], received_time_ns: int) -> None:
        self.received += payloads

    def opened(self, socket: Websocket) -> None:
        self.opened_count += 1

    def closed(self, reason: str) -> None:
        self.closed_because.append(reason)


@asynccontextmanager
async def connected(
    handle: Handler,
    clock: Clock,
    may_try: Callable[[], Awaitable[None]] | None = None,
    ping_interval_s: float | None = None,
) -> AsyncIterator[Sink]:
    """A websocket that is kept to a server that does this. Silence is measured by the clock."""

    async def converse(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(autoping=False)
        await websocket.prepare(request)
        await handle(websocket)
        return websocket

    application = web.Application()
    application.router.add_get("/", converse)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    sink = Sink()
    url = f"ws://127.0.0.1:{port}/"
    socket = Websocket(url, sink, clock, ping_interval_s, SILENCE_S, may_try)
    task = asyncio.create_task(socket.run())
    try:
        yield sink
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await runner.cleanup()


async def test_a_server_that_only_pings_is_answered_and_kept():
    answered = asyncio.Event()
    clock = ManualClock()

    async def ping_for_long(websocket: web.WebSocketResponse) -> None:
        for _ in range(4):
            await websocket.ping(b"still there")
            message = await websocket.receive()
            assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"still there")
            await clock.advance(0.9 * SILENCE_S)
        answered.set()
        await websocket.receive()

    async with connected(ping_for_long, clock) as sink:
        await until(answered.is_set)
        assert (sink.opened_count, sink.closed_because) == (1, [])


async def test_connection_that_only_answers_our_pings_is_kept():
    answered_for_long = asyncio.Event()
    clock = ManualClock()

    async def answer_pings(websocket: web.WebSocketResponse) -> None:
        for _ in range(2):
            message = await websocket.receive()
            assert message.type == WSMsgType.PING
            # The next ping is sent after the answer to this one has arrived.
            await clock.advance(0.9 * SILENCE_S)
            await websocket.pong(message.data)
        answered_for_long.set()
        await websocket.receive()

    async with connected(answer_pings, clock, ping_interval_s=PING_INTERVAL_S) as sink:
        await until(answered_for_long.is_set)
        assert (sink.opened_count, sink.closed_because) == (1, [])


async def test_a_silent_connection_is_made_again():
    clock = ManualClock()

    async def say_nothing(websocket: web.WebSocketResponse) -> None:
        await websocket.receive()

    async with connected(say_nothing, clock) as sink:
        await until(lambda: sink.opened_count == 1)
        await clock.advance(0.9 * SILENCE_S)
        assert sink.closed_because == []
        await clock.advance(0.5 * SILENCE_S)
        await until(lambda: len(sink.closed_because) == 1)
        while sink.opened_count < 2:
            await clock.advance(1)
        assert len(sink.closed_because) == 1


async def test_parts_of_a_message_are_put_together():
    async def send_in_parts(websocket: web.WebSocketResponse) -> None:
        await websocket.send_frame(b"one whole", WSMsgType.TEXT)
        # RFC 6455, 5.4: a first part, a continuation, and the last one.
        for header, part in ((0x01, b"in "), (0x00, b"three "), (0x80, b"parts")):
            websocket._req.transport.write(bytes((header, len(part))) + part)
        await websocket.receive()

    async with connected(send_in_parts, ManualClock()) as sink:
        await until(lambda: len(sink.received) == 2)
        assert sink.received == [b"one whole", b"in three parts"]


async def test_each_attempt_waits_until_it_may():
    asked = 0
    allowed = asyncio.Semaphore(1)

    async def may_try() -> None:
        nonlocal asked
        asked += 1
        await allowed.acquire()

    async def close_at_once(websocket: web.WebSocketResponse) -> None:
        await websocket.close()

    async with connected(close_at_once, SystemClock(), may_try) as sink:
        await until(lambda: asked == 2)
        assert sink.opened_count == 1
        allowed.release()
        await until(lambda: asked == 3)
        assert sink.opened_count == 2


async def test_a_venue_that_refuses_us_is_left_alone_for_as_long_as_it_says():
    slept_s: list[float] = []

    class Clock(SystemClock):
        async def sleep(self, seconds: float) -> None:
            slept_s.append(seconds)
            await asyncio.Event().wait()

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "17"})

    application = web.Application()
    application.router.add_get("/", refuse)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    task = asyncio.create_task(Websocket(f"ws://127.0.0.1:{port}/", Sink(), Clock()).run())
    await until(lambda: slept_s)
    task.cancel()
    await runner.cleanup()
    assert 17 < slept_s[0] < 18
