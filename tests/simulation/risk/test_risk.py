"""Some seeds keep all promises of limits and modes, and a broken one is found."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector import (
    adoptions,
    decision_handler,
    limit_monitor,
    submissions,
    trailing_stops,
    verdicts,
)
from core.inspector.legacy_positions import LegacyPositions
from core.inspector.positions import StrategyOrder
from core.inspector.stop_monitor import StopMonitor
from core.inspector.tests.rig import FastClock
from core.inspector.trailing_stops import TrailingStops
from kit.execution.request_ids import lifecycle_request_id
from kit.risk.limits import LimitRule
from tests.simulation.chain.market import Market
from tests.simulation.chain.runs import SeedRuns
from tests.simulation.chain.venue_faults import VenueFaults
from tests.simulation.history import History
from tests.simulation.risk.promises import Promise
from tests.simulation.risk.run import RiskRun
from tests.simulation.risk.runs import MODULE
from tests.simulation.risk.venue import TradingVenue
from tests.simulation.runs import first_broken

SEEDS = 8
LEAST = {"entries approved": 2, "entries refused": 2, "crash": 1, "mode": 1, "call amend": 0}
"""What happens in each seed, on average, more than so many times."""
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def runs(_postgres_server):
    """Runs of seeds, in a database of their own."""
    found = SeedRuns(f"{_postgres_server.removesuffix('postgres')}risk", RiskRun, MODULE)
    yield found
    found.close()


def test_sample_of_seeds_keeps_all_promises(postgres_url):
    command = [sys.executable, "-m", MODULE, "--seeds", str(SEEDS), "--database", postgres_url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((".", "gen"))}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SEEDS} seeds, 0 failed" in done.stdout
    # Enough happens in a run.
    for kind, least in LEAST.items():
        (count,) = re.findall(f"{kind}: ([0-9]+)", done.stdout)
        assert int(count) > least * SEEDS, done.stdout


def hold_to_no_limit(patch):
    patch.setattr(LimitRule, "is_within", lambda self, value, limit: True)


def give_no_reasons(patch):
    patch.setattr(limit_monitor, "_reason", lambda key, seen: "")


def take_closings_for_entries(patch):
    patch.setattr(decision_handler, "CLOSE", -1)


def allow_entries_in_every_mode(patch):
    patch.setattr(verdicts, "allows_entries", lambda mode: True)


def raise_no_alarms(patch):
    """Stops are looked at, and what is wrong is kept to itself."""

    async def change(self, position, found):
        pass

    async def act(self, position_id, *, is_triggered):
        pass

    patch.setattr(StopMonitor, "_change", change)
    patch.setattr(StopMonitor, "_act", act)


def close_again_before_the_outcome(patch):
    """Nobody asks what became of the closing order before the next one is sent."""

    async def has_pending(connection, position_id):
        return False

    patch.setattr(submissions, "has_pending", has_pending)
    patch.setattr(StrategyOrder, "is_complete", property(lambda self: True))


def trail_wherever_the_market_goes(patch):
    """A stop is amended to where it trails, also if it is nearer to the market already."""
    patch.setattr(TrailingStops, "_may_amend", lambda self, stop, trailing: True)
    patch.setattr(trailing_stops, "_has_passed", lambda trailing, price: True)


def announce_nothing(patch):
    async def look(self):
        pass

    patch.setattr(LegacyPositions, "look", look)


def adopt_without_a_record(patch):
    async def append(connection, stream, events, now_ns):
        pass

    patch.setattr(adoptions, "event_log", SimpleNamespace(append=append))


# The first seed to try is one that finds the fault.
FAULTS = [
    (hold_to_no_limit, Promise.CAPPED, 1),
    (give_no_reasons, Promise.EXPLAINED, 1),
    (take_closings_for_entries, Promise.REDUCED, 0),
    (allow_entries_in_every_mode, Promise.ENTRIES, 0),
    (raise_no_alarms, Promise.PROTECTED, 5),
    (close_again_before_the_outcome, Promise.CLOSED, 11),
    (close_again_before_the_outcome, Promise.ONE_EXIT, 5),
    (trail_wherever_the_market_goes, Promise.TRAILED, 5),
    (announce_nothing, Promise.ANNOUNCED, 3),
    (adopt_without_a_record, Promise.ADOPTED, 5),
]


@pytest.mark.parametrize(("break_it", "promise", "first"), FAULTS)
def test_broken_promise_is_found(monkeypatch, runs, break_it, promise, first):
    break_it(monkeypatch)
    assert first_broken(runs.run_seed, promise, first) is not None


@pytest.fixture
def venue():
    """A venue where everything is of one strategy, and approvals are not looked at."""
    clock, chance = FastClock(), random.Random(0)
    history = History(lambda: 0)
    market = Market(chance, clock, chance)
    found = TradingVenue(chance, clock, market, VenueFaults(), history, owner=lambda _: "ema")
    found._verify = lambda approved: None
    return found, history


def approved(number, **fields):
    content = orders_pb2.OrderContent(
        venue="binance", account="paper", symbol="BTCUSDT", side=types_pb2.SIDE_SELL, size="1",
        **fields,
    )  # fmt: skip
    name = lifecycle_request_id(bytes(16), number)
    return signed_pb2.ApprovedOrder(content=content, request_id=name, expires_time_ns=2**62)


def test_stop_that_moves_away_from_the_market_is_noticed(venue):
    there, history = venue
    stop = there._make(approved(1, type=orders_pb2.ORDER_TYPE_STOP, stop_price="59000"))
    for number, price in enumerate(("59500", "59200", "58999"), 2):
        assert history.broken == []
        amendment = approved(number, type=stop.content.type, stop_price=price)
        amendment.target_client_order_id = stop.client_order_id
        there._amend(amendment)
    assert [one for one, _ in history.broken] == [Promise.TRAILED]


def test_second_closing_order_before_the_end_of_the_first_is_noticed(venue):
    there, history = venue
    first = there._make(approved(1, type=orders_pb2.ORDER_TYPE_MARKET))
    first.state = orders_pb2.ORDER_STATE_FILLED
    there._make(approved(2, type=orders_pb2.ORDER_TYPE_MARKET))
    assert history.broken == []
    there._make(approved(3, type=orders_pb2.ORDER_TYPE_MARKET))
    assert [one for one, _ in history.broken] == [Promise.ONE_EXIT]
