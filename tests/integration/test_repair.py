"""Holes that are cut into a session, found, and mended from the exchange's own history."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from venuemesh.repair.v1 import repair_pb2, repair_pb2_grpc

from tests.integration import capture, recorded
from tests.integration.mesh import (
    NO_TRADING,
    SYMBOL,
    VENUE,
    Mesh,
    new_folder,
    replaying,
    running,
)
from tests.integration.simulation import TRADES_MIN, exchange_trades

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SETTINGS = {
    # Refills are off: otherwise the venue's process would request missing trades immediately.
    "VENUEMESH_VENUES_BINANCE_REFILL_S": "0",
    "VENUEMESH_VENUES_BYBIT_REFILL_S": "0",
    "VENUEMESH_REPAIR_SETTLE_S": "1",
    "VENUEMESH_REPAIR_FIND_INTERVAL_S": "1",
    "VENUEMESH_REPAIR_CANDLES_INTERVAL_S": "2",
    "VENUEMESH_REPAIR_QUALITY_INTERVAL_S": "1",
}
BY_HAND = {"VENUEMESH_REPAIR_AUTOMATIC": "false"}
CUTS = (
    {"fault": "drop", "channel": "trades", "count": 1, "at_s": 20},
    {"fault": "drop", "channel": "trades", "count": 100, "at_s": 61},
    {"fault": "silence", "channel": "trades", "seconds": 25, "at_s": 110},
    {"fault": "reorder", "channel": "trades", "count": 3, "at_s": 150},
    {"fault": "drop", "channel": "trades", "count": 5, "probability": 0.2, "at_s": 180},
    {"fault": "disconnect", "channel": "trades", "at_s": 240},
)
"""Faults during a captured session, at seconds of its own time."""
REPAIR_SECONDS_MAX = 120.0
DROPPED = 12
AWAY_CALLS = 8
"""Failing connection attempts: the outage is longer than Bybit's newest 60 trades."""


@pytest.fixture(scope="module")
def cut_session() -> Iterator[Mesh]:
    """A mesh of two exchanges without automatic repair."""
    arguments = ("--world", "simulate", "--seed", "7", "--venues", "binance,bybit")
    with (
        mock.patch.dict(os.environ, SETTINGS | BY_HAND),
        new_folder() as data,
        running(data, *arguments, *NO_TRADING) as mesh,
    ):
        mesh.wait_until_running()
        mesh.wait_until(lambda: recorded.trades_after(mesh, 0) >= TRADES_MIN, "trades are recorded")
        yield mesh


@pytest.fixture(scope="module")
def cut_capture(long_capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh that has played a captured session with holes, and mends them by itself."""
    script = tmp_path_factory.mktemp("faults") / "faults.jsonl"
    script.write_text("".join(json.dumps({"venue": VENUE, **cut}) + "\n" for cut in CUTS))
    settings = SETTINGS | {"VENUEMESH_SIMULATOR_FAULTS": str(script)}
    with (
        mock.patch.dict(os.environ, settings),
        replaying(long_capture, "max", *NO_TRADING) as mesh,
    ):
        mesh.wait_until(lambda: mesh.replay()["finished"], "the capture has been played")
        yield mesh


def order(mesh: Mesh, fault: str, **fields: object) -> None:
    """Let something go wrong at an exchange."""
    body = {"venue": VENUE, "fault": fault, **fields}
    status, _ = mesh.post("/faults", body, port="simulator")
    assert status == 200


def drop(mesh: Mesh) -> None:
    """Cut a hole of DROPPED trades, and see trades come after it."""
    before = missing(mesh)
    order(mesh, "drop", channel="trades", symbol=SYMBOL, count=DROPPED)
    mesh.wait_until(lambda: missing(mesh) >= before + DROPPED, "the gap is recorded")


def gaps_of(mesh: Mesh) -> list[tuple[str | None, int]]:
    """State of each trade gap of the instrument, and the number of missing trades."""
    return mesh.sql(
        "SELECT fill_outcome, first_id_after - last_id_before - 1 FROM gaps"
        " WHERE venue = %s AND symbol = %s AND channel = 'trades' AND reason = 'sequence'",
        VENUE,
        SYMBOL,
    )


def missing(mesh: Mesh) -> int:
    """Missing trades of the gaps. A stalled machine may cause further ones."""
    return sum(count for _, count in gaps_of(mesh))


def holes(mesh: Mesh, venue: str, symbol: str = SYMBOL) -> list[repair_pb2.Hole]:
    """The jobs of Repair, read through the gateway."""
    request = repair_pb2.ListHolesRequest(venue=venue, symbol=symbol)
    return list(repair_pb2_grpc.RepairStub(mesh.channel).ListHoles(request).holes)


def open_trades(mesh: Mesh) -> int:
    """Trades that are missing in holes that are found and not mended."""
    return sum(
        hole.first_id_after - hole.last_id_before - 1
        for hole in holes(mesh, VENUE)
        if hole.state == repair_pb2.HOLE_STATE_OPEN
    )


def states(mesh: Mesh, venue: str) -> set[int]:
    """States of the holes of the instrument."""
    return {hole.state for hole in holes(mesh, venue)}


def quality(mesh: Mesh, venue: str) -> float:
    """The newest score of the last hour."""
    return mesh.sql(
        "SELECT score FROM quality WHERE venue = %s AND symbol = %s"
        " ORDER BY computed_time_ns DESC, window_start_ns DESC LIMIT 1",
        venue,
        SYMBOL,
    )[0][0]


def is_whole(mesh: Mesh) -> bool:
    """Whether the score is full. Holes caused by a stalled machine are repaired, too."""
    if repair_pb2.HOLE_STATE_OPEN in states(mesh, VENUE):
        start(mesh, VENUE, "")
    return quality(mesh, VENUE) == 1


def start(mesh: Mesh, venue: str, repair_id: str) -> repair_pb2.RepairJob:
    """Ask for a repair of everything."""
    request = repair_pb2.StartRepairRequest(venue=venue, symbol=SYMBOL, repair_id=repair_id)
    return repair_pb2_grpc.RepairStub(mesh.channel).StartRepair(request).job


def job(mesh: Mesh, repair_id: str) -> repair_pb2.RepairJob:
    """The current state of a repair job."""
    request = repair_pb2.GetRepairRequest(repair_id=repair_id)
    return repair_pb2_grpc.RepairStub(mesh.channel).GetRepair(request).job


def assert_whole(mesh: Mesh) -> None:
    """Every trade of the exchange is recorded, once."""
    found = recorded.trades(mesh)
    truth = exchange_trades(mesh, found[0].trade_id)
    last = truth[-1].trade_id
    assert sorted(one for one in found if one.trade_id <= last) == [
        one for one in truth if one.trade_id <= found[-1].trade_id
    ]


def test_holes_of_a_captured_session_are_filled(cut_capture, truth):
    mesh = cut_capture
    count = len(truth.trades)
    mesh.wait_until(
        lambda: recorded.trades_after(mesh, 0) == count,
        "all trades are recorded",
        REPAIR_SECONDS_MAX,
    )
    assert recorded.trades(mesh) == truth.trades
    mesh.wait_until(lambda: states(mesh, VENUE) == {repair_pb2.HOLE_STATE_FILLED}, "all are filled")
    mended = [hole for hole in holes(mesh, VENUE) if "were missing" in hole.detail]
    assert len(mended) >= len(CUTS) - 2
    mesh.wait_until(
        lambda: recorded.bars(mesh, "1m") == capture.bars(truth.trades, 60), "the bars are amended"
    )
    open_gaps = "SELECT count(*) FROM gaps WHERE channel = 'trades' AND fill_outcome IS NULL"
    mesh.wait_until(
        lambda: mesh.sql(f"{open_gaps} AND reason <> 'out_of_order'") == [(0,)], "no gap is open"
    )
    # The exchange's own candles are the witness.
    compared = "SELECT count(*), count(*) FILTER (WHERE verdict <> 0) FROM bar_checks"
    mesh.wait_until(lambda: mesh.sql(compared)[0][0] >= 2, "minutes were compared")
    assert mesh.sql(compared)[0][1] == 0
    mesh.wait_until(lambda: quality(mesh, VENUE) == 1, "the score is whole")


def test_a_hole_is_found_repaired_and_proven(cut_session):
    mesh = cut_session
    drop(mesh)
    mesh.wait_until(lambda: states(mesh, VENUE) == {repair_pb2.HOLE_STATE_OPEN}, "it is found")
    mesh.wait_until(lambda: quality(mesh, VENUE) < 1, "the score is lower")
    start(mesh, VENUE, "first")
    watched = repair_pb2_grpc.RepairStub(mesh.channel).WatchRepair(
        repair_pb2.WatchRepairRequest(repair_id="first"), timeout=REPAIR_SECONDS_MAX
    )
    seen = [response.job for response in watched]
    assert seen[-1].state == repair_pb2.REPAIR_STATE_DONE
    assert (seen[-1].hole_count, seen[-1].filled_count) == (1, 1)
    assert seen[-1].trade_count == DROPPED
    (hole,) = holes(mesh, VENUE)
    assert hole.state == repair_pb2.HOLE_STATE_FILLED
    assert "both sides join by their ids" in hole.detail
    assert gaps_of(mesh) == [("complete", DROPPED)]
    assert mesh.sql("SELECT count(*) FROM trades WHERE repair_id = 'first'") == [(DROPPED,)]
    assert_whole(mesh)
    mesh.wait_until(lambda: is_whole(mesh), "the score is whole again")


def test_a_killed_repair_is_resumed(cut_session):
    mesh = cut_session
    for _ in range(2):
        drop(mesh)
    mesh.wait_until(lambda: open_trades(mesh) >= 2 * DROPPED, "both are found")
    order(mesh, "rest_delay", path="/api/v3/trades", seconds=5, count=1)
    start(mesh, VENUE, "second")
    running_state = repair_pb2.REPAIR_STATE_RUNNING
    mesh.wait_until(lambda: job(mesh, "second").state == running_state, "it runs")
    for _ in range(3):
        pid = mesh.kill("repair")
        mesh.wait_until(
            lambda pid=pid: mesh.children()["repair"]["pid"] not in (None, pid), "it is back"
        )
    done = repair_pb2.REPAIR_STATE_DONE
    mesh.wait_until(lambda: job(mesh, "second").state == done, "it is done", REPAIR_SECONDS_MAX)
    assert job(mesh, "second").trade_count >= 2 * DROPPED
    mesh.wait_until(lambda: is_whole(mesh), "the score is whole again")
    # The recorder writes the outcome from the stream of repairs, some time after the job is done.
    mesh.wait_until(
        lambda: {outcome for outcome, _ in gaps_of(mesh)} == {"complete"}, "every gap has ended"
    )
    assert_whole(mesh)


def test_a_gap_stays_when_the_exchange_no_longer_has_the_trades(cut_session):
    mesh = cut_session
    order(mesh, "rest_503", venue="bybit", path="/v5/public", count=AWAY_CALLS)
    order(mesh, "disconnect", venue="bybit", channel="trades", symbol=SYMBOL, count=1)
    mesh.wait_until(lambda: holes(mesh, "bybit"), "the hole is found", REPAIR_SECONDS_MAX)
    start(mesh, "bybit", "third")
    ended = repair_pb2.REPAIR_STATE_INCOMPLETE
    mesh.wait_until(lambda: job(mesh, "third").state == ended, "it has ended", REPAIR_SECONDS_MAX)
    (hole,) = holes(mesh, "bybit")
    assert hole.state == repair_pb2.HOLE_STATE_UNAVAILABLE
    assert "the venue tells only trades" in hole.detail
    outcomes = {row[0] for row in mesh.sql(
        "SELECT fill_outcome FROM gaps WHERE venue = 'bybit' AND symbol = %s"
        " AND channel = 'trades'", SYMBOL,
    )}  # fmt: skip
    assert outcomes <= {"unavailable", "partial"}
    mesh.wait_until(lambda: quality(mesh, "bybit") < 1, "the score is lower")
