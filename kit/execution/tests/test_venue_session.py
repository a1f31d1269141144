"""An account takes orders once its venue's stream has begun."""

import asyncio

import pytest
from venuemesh.tradeflow.v1 import accounts_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.reconciliation.venue_session import STREAM_BEGINS_S
from kit.execution.tests.fake_venue import FakeClient
from kit.execution.tests.simulated_process import run, world

READY = accounts_pb2.ACCOUNT_STATE_READY


class LateStream(FakeClient):
    """An execution client whose stream begins after a while."""

    begins_after_s = 0.0

    async def follow(self):
        await asyncio.sleep(self.begins_after_s)
        async for event in super().follow():
            yield event


def published_states(found):
    """The states that the account publishes from now on, each with its second."""
    published = []
    begin_ns = found.clock.time_ns()
    session = found.account.session
    publish = session._listener.publish_account

    def noted():
        second = (found.clock.time_ns() - begin_ns) / NANOSECONDS_PER_SECOND
        published.append((session.readiness.state, second))
        publish()

    session._listener.publish_account = noted
    return published


@pytest.mark.parametrize("begins_after_s", [0.0, 0.7, 3.0, STREAM_BEGINS_S - 1])
def test_an_account_becomes_ready_once_and_stays_ready(begins_after_s):
    published = run(_states(begins_after_s))
    ready = [second for state, second in published if state == READY]
    assert len(ready) == 1
    assert published[-1][0] == READY
    assert begins_after_s < ready[0] < begins_after_s + 1


def test_an_account_without_a_stream_takes_orders_after_a_while():
    published = run(_states(3600.0))
    (ready,) = (second for state, second in published if state == READY)
    assert STREAM_BEGINS_S < ready < STREAM_BEGINS_S + 1


async def _states(begins_after_s):
    found = world()

    def connect(process):
        client = LateStream(found.venue, lambda: process.is_dead)
        client.begins_after_s = begins_after_s
        return client

    found.connect = connect
    found.start()
    published = published_states(found)
    await found.let_pass(30)
    return published
