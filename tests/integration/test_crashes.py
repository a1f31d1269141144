"""Repeated kill -9 of all processes except the venue during a replay loses nothing.

A killed venue process loses the events that it had not published, and publishes gaps for them.
"""

import random
import time
from collections import Counter

import pytest

from tests.integration import capture, recorded
from tests.integration.conftest import wait_until_recorded
from tests.integration.followers import LiveTrades, following
from tests.integration.mesh import replaying

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

VICTIMS = ("recorder", "ingest", "bars", "bridge", "valkey", "postgres", "envoy")
SEED = 20240808
PAUSE_SECONDS_MAX = 1.0
SPEED = "1.5"


@pytest.fixture(scope="module")
def truth(short_capture):
    """The events of the played capture."""
    return capture.read(capture.lines(short_capture))


@pytest.fixture(scope="module")
def live():
    """A subscriber through the gateway."""
    return LiveTrades()


@pytest.fixture(scope="module")
def survivor(short_capture, truth, live):
    """A mesh that has played a capture while its processes were killed."""
    with replaying(short_capture, SPEED) as mesh, following(mesh, live):
        mesh.wait_until(lambda: mesh.replay()["frames_played"], "the capture begins")
        mesh.kills = kill_until_played(mesh)
        mesh.wait_until_running()
        wait_until_recorded(mesh, truth)
        mesh.wait_until(lambda: len(live.counts) == len(truth.trades), "the live subscriber")
        yield mesh


def kill_until_played(mesh):
    """Kill one of them after the other at random times. Returns how often each was killed."""
    chance = random.Random(SEED)
    kills = Counter()
    pids = {}
    while not mesh.replay()["finished"]:
        fewest = min(kills[name] for name in VICTIMS)
        victim = chance.choice([name for name in VICTIMS if kills[name] == fewest])
        mesh.wait_until(
            lambda victim=victim: mesh.children()[victim]["pid"] not in (None, pids.get(victim)),
            f"{victim} is back",
        )
        pids[victim] = mesh.kill(victim)
        kills[victim] += 1
        time.sleep(chance.uniform(0, PAUSE_SECONDS_MAX))
    return kills


def test_each_process_was_killed_and_restarted(survivor):
    assert set(survivor.kills) == set(VICTIMS)
    restarts = {name: child["restarts"] for name, child in survivor.children().items()}
    assert {name: restarts[name] for name in VICTIMS} == survivor.kills
    # No process ended because another one was unavailable.
    assert "ended with code" not in survivor.output.read_text()


def test_every_trade_is_recorded_once_and_exactly(survivor, truth):
    assert recorded.trades(survivor) == truth.trades


def test_quotes_and_book_are_complete(survivor, truth):
    assert recorded.quotes(survivor) == truth.quotes
    snapshot, *rest = recorded.book_updates(survivor)
    assert snapshot.snapshot
    assert [found.update for found in rest] == truth.joining_updates


@pytest.mark.parametrize(("interval", "seconds"), [("1s", 1), ("1m", 60)])
def test_bars_equal_bars_of_the_trades(interval, seconds, survivor, truth):
    assert recorded.bars(survivor, interval) == capture.bars(truth.trades, seconds)


def test_a_live_subscriber_has_every_trade_once(survivor, live, truth):
    assert live.counts == Counter(trade.trade_id for trade in truth.trades)
    assert live.gaps == []


def test_no_gap_is_recorded(survivor):
    assert recorded.gaps(survivor) == []


def test_no_process_is_left_running(survivor):
    assert survivor.stop() == 0
    assert survivor.leftovers() == {}
