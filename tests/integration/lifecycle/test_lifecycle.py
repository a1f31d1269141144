"""From a bar to the books in a mesh of processes, each of which is killed once on the way."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.integration.lifecycle import chains
from tests.integration.lifecycle.chains import STEPS
from tests.integration.mesh import VENUE, Mesh, new_folder, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

VICTIMS = ("detector", "advisor", "inspector", VENUE, "ledger", "bars", "audit")
CHAIN_SECONDS_MAX = 240.0
FIGURES = ("slippage_bps", "fee_bps", "expected_fee_bps")
"""Of an order's costs."""
OPTIONS = ("--world", "simulate", "--seed", "7", "--venues", VENUE)


STRATEGIES = Path(__file__).parent / "strategies"


@pytest.fixture(scope="module")
def mesh():
    """Runs a strategy on a paper account that opens and closes positions all the time."""
    with pytest.MonkeyPatch.context() as patch, new_folder() as data:
        patch.setenv("VENUEMESH_DETECTOR_STRATEGIES_FOLDER", str(STRATEGIES))
        with running(data, *OPTIONS) as mesh:
            mesh.wait_until_running()
            yield mesh


def wait_for_whole_chain(mesh: Mesh, known: set[bytes]) -> bytes:
    """Wait for a chain that was not known. Returns its lifecycle id."""
    found: list[bytes] = []

    def is_there() -> bool:
        found[:] = chains.whole_chains(mesh).keys() - known
        return bool(found)

    mesh.wait_until(is_there, "a signal has reached the books", CHAIN_SECONDS_MAX)
    return found[0]


def test_a_fill_explains_itself(mesh):
    lifecycle_id = wait_for_whole_chain(mesh, set())
    fill = chains.chains(mesh)[lifecycle_id].events["order_filled"][0]
    answer = chains.why(mesh, fill)
    assert list(answer.lifecycle_ids) == [lifecycle_id]
    assert {one.event.WhichOneof("payload") for one in answer.events} >= set(STEPS)
    assert not answer.missing_ids
    # Each step follows from the one before it.
    effects = {(link.cause_id, link.effect_id) for link in answer.links}
    by_name = {one.event.WhichOneof("payload"): one.event.event_id for one in answer.events}
    for before, after in (STEPS[0:2], STEPS[1:3], STEPS[2:4]):
        assert (by_name[before], by_name[after]) in effects


def test_killed_processes_lose_and_double_nothing(mesh):
    for victim in VICTIMS:
        known = set(chains.chains(mesh))
        pid = mesh.kill(victim)
        mesh.wait_until(
            lambda victim=victim, pid=pid: mesh.children()[victim]["pid"] not in (None, pid),
            f"{victim} is back",
        )
        # A signal of afterwards reaches the books.
        wait_for_whole_chain(mesh, known)
        chains.check_each_once(mesh)
        chains.check_position(mesh)
    mesh.wait_until_running()


def test_the_books_and_the_log_are_right(mesh):
    def books_are_right() -> bool:
        status, balance = mesh.get("/v1/ledger/trialBalance")
        return status == 200 and balance["balanced"]

    mesh.wait_until(books_are_right, "the books balance")
    status, verified = mesh.get("/v1/ledger:verify")
    assert (status, verified["correct"]) == (200, True), verified
    chains.check_each_once(mesh)


def test_what_the_orders_have_cost_is_known(mesh):
    path = "/v1/orderCosts?page_size=200"
    found: list[dict] = []

    def one_is_complete() -> bool:
        status, answer = mesh.get(path)
        assert status == 200, answer
        # Exits wait for their price, and an order beside a kill may lack quotes.
        found[:] = [
            one
            for one in answer["orders"]
            if one["complete"] and all(_known(one, name) for name in FIGURES)
        ]
        return bool(found)

    # A mark-out takes a minute, and the quotes of afterwards.
    mesh.wait_until(one_is_complete, "the costs of an order are complete", CHAIN_SECONDS_MAX)
    one = found[0]
    assert one["strategy"]
    assert [markout["horizon_ms"] for markout in one["markouts"]] == [1_000, 10_000, 60_000]
    # The catalog knows the fee schedule, and the simulated exchange charges by it.
    assert Decimal(one["fee_bps"]["value"]) > 0
    assert Decimal(one["expected_fee_bps"]["value"]) > 0
    shortfall = {name: Decimal(part["value"]) for name, part in one["shortfall"].items()}
    parts = shortfall["price_cost"] + shortfall["fee_cost"] + shortfall["unfilled_cost"]
    assert abs(parts - shortfall["total_cost"]) <= Decimal("2e-18")
    status, summary = mesh.get("/v1/orderCosts:summarize?groupings=1&groupings=2")
    assert status == 200, summary
    assert {one["venue"] for one in summary["groups"]} == {VENUE}
    assert any(group["slippage_bps"].get("value") for group in summary["groups"])


def _known(one: dict, name: str) -> bool:
    return bool(one[name].get("value"))
