"""What is sent over a connection, and when it is closed, by a clock that no one waits for."""

import asyncio
from dataclasses import replace

import pytest

from kit.simulator.connection import ClientConnection
from kit.simulator.dialect import ConnectionRules, WebsocketSession
from kit.simulator.keepalive import keep_alive
from kit.simulator.tests.fakes import FakeClock, FakeExchange
from tests.support.waiting import WAIT_SECONDS_MAX

RULES = ConnectionRules(20, 60, 5, 100, 86_400)
SECOND_NS = 1_000_000_000


class Wire(ClientConnection):
    """A connection without a socket, which writes down what happens to it, and when."""

    def __init__(self, clock: FakeClock, answers: bool = True) -> None:
        super().__init__(None, None, WebsocketSession(), clock.now_ns)  # type: ignore[arg-type]
        self.happened: list[tuple[int, str]] = []
        self._clock = clock
        self._answers = answers
        self._ended = False

    @property
    def open(self) -> bool:
        return not self._ended

    def note(self, what: str) -> None:
        self.happened.append((self._clock.now_ns // SECOND_NS, what))

    async def ping(self, payload: bytes) -> None:
        self.note("ping")
        if self._answers:
            self.last_pong_ns = self._clock.now_ns

    def reply(self, payload: bytes) -> None:
        self.note(payload.decode())

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.note(f"{code} {reason}")
        self._ended = True

    def reset(self) -> None:
        self.note("reset")
        self._ended = True


class Ticking(FakeExchange):
    def __init__(self, rules: ConnectionRules) -> None:
        super().__init__()
        self.rules = rules

    def tick(self, session, market_view) -> list[bytes]:
        return [b"tick"] if session.streams else []


async def lived(wire: Wire, clock: FakeClock, rules: ConnectionRules) -> list[tuple[int, str]]:
    """What happened until its end, in seconds of its life."""
    born_s = clock.now_ns // SECOND_NS
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await keep_alive(wire, Ticking(rules), None, clock)  # type: ignore[arg-type]
    return [(at_s - born_s, what) for at_s, what in wire.happened]


async def test_pings_until_the_lifetime_is_over():
    clock = FakeClock()
    happened = await lived(Wire(clock), clock, replace(RULES, lifetime_s=50))
    assert happened == [(20, "ping"), (40, "ping"), (51, "1001 lifetime is over")]


@pytest.mark.parametrize(
    ("fields", "happened"),
    [
        ({}, (61, "1001 no pong")),
        ({"idle_s": 30}, (31, "1001 idle")),
        ({"subscribe_within_s": 5}, (6, "1001 no subscription")),
    ],
)
async def test_a_connection_that_breaks_a_rule_is_closed(fields, happened):
    clock = FakeClock()
    wire = Wire(clock, answers=bool(fields))
    assert (await lived(wire, clock, replace(RULES, **fields)))[-1] == happened


async def test_a_connection_that_keeps_the_rules_stays_open():
    clock = FakeClock()

    class Talking(Wire):
        async def ping(self, payload: bytes) -> None:
            await super().ping(payload)
            self.last_message_ns = clock.now_ns

    wire = Talking(clock)
    wire.subscribed = True
    rules = replace(RULES, idle_s=30, subscribe_within_s=5, lifetime_s=100)
    assert (await lived(wire, clock, rules))[-1] == (101, "1001 lifetime is over")


async def test_a_second_is_a_tick():
    clock = FakeClock()
    wire = Wire(clock)
    await FakeExchange().receive(wire.session, "book/A", None)  # type: ignore[arg-type]
    happened = await lived(wire, clock, replace(RULES, lifetime_s=3))
    assert happened == [(1, "tick"), (2, "tick"), (3, "tick"), (4, "1001 lifetime is over")]


async def test_a_stalled_connection_is_reset_when_its_pong_is_due():
    clock = FakeClock()
    wire = Wire(clock)
    wire.stalled = True
    assert await lived(wire, clock, replace(RULES, idle_s=5)) == [(61, "reset")]
