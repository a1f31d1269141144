"""The advisor in a running mesh: it asks the venues, and is reached through the gateway."""

import time

import pytest

from tests.integration.mesh import SYMBOL, VENUE, Mesh

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

NANOSECONDS_PER_SECOND = 1_000_000_000


def signal() -> dict[str, object]:
    """One on a bar that has just ended."""
    now_ns = time.time_ns()
    return {
        "strategy": "try",
        "venue": VENUE,
        "account": "demo",
        "symbol": SYMBOL,
        "action": "POSITION_ACTION_OPEN",
        "side": "SIDE_BUY",
        "conviction": 0.9,
        "expires_time_ns": str(now_ns + 60 * NANOSECONDS_PER_SECOND),
        "bar": {
            "venue": VENUE,
            "symbol": SYMBOL,
            "open_time_ns": str(now_ns - NANOSECONDS_PER_SECOND),
            "close_time_ns": str(now_ns),
            "covered_ns": str(NANOSECONDS_PER_SECOND),
            "volume": "2",
            "buy_volume": "1",
        },
        "request": {"notional": "100", "stop_distance": "50", "target_distance": "100"},
    }


def decided(mesh: Mesh, raised: dict[str, object]) -> dict[str, object]:
    status, answer = mesh.post("/v1/advisor:decide", {"signal": raised})
    assert status == 200, answer
    return answer["decision"]


def test_it_knows_prices_terms_and_positions_of_the_mesh(simulated: Mesh):
    wanted = {"quote.ask_price", "book.cursor", "instrument.price_tick", "position.size"}

    def known() -> dict[str, str]:
        return {one["fact_id"]: one["value"] for one in decided(simulated, signal())["facts"]}

    simulated.wait_until(lambda: known().keys() >= wanted, "the advisor knows the market")
    price = known()["quote.ask_price"]

    def is_issued() -> bool:
        raised = signal()
        raised["bar"] = {**raised["bar"], "close": price}
        found.append(decided(simulated, raised))
        return found[-1]["outcome"] == "DECISION_OUTCOME_INTENT_ISSUED"

    found: list[dict[str, object]] = []
    simulated.wait_until(is_issued, "an intent is issued")
    intent = found[-1]["intent"]
    assert float(intent["stop_price"]) < float(intent["reference_price"])
    assert float(intent["size"]) > 0
    assert "venuemesh_advisor_decisions_total" in simulated.metrics("advisor")
