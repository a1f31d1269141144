"""Orders of models at a real mesh: nothing is sent before a person has confirmed it."""

import json
import os
import secrets
import subprocess
import sys
from decimal import Decimal

import pytest

from tests.integration.mesh import CALL_SECONDS_MAX, ROOT, SYMBOL, VENUE
from tests.integration.scripted_model import scripted_model

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

DEMO = {"venue": VENUE, "account": "demo"}


@pytest.fixture(scope="module")
def mesh(simulated):
    simulated.wait_until_registered()
    return simulated


def rest(mesh, path):
    status, answer = mesh.get(path)
    assert status == 200, answer
    return answer


@pytest.fixture
def robot(mesh):
    """The token of a model that may propose orders."""
    terms = {"caller": "robot", "roles": ["ROLE_TRADER", "ROLE_OPERATOR"], "for_model": True}
    status, answer = mesh.post("/v1/tokens", terms)
    assert status == 200, answer
    return answer["token"]


def proposed(mesh, request_id):
    """The arguments of a purchase that rests in the book."""
    bids = rest(mesh, f"/v1/venues/{VENUE}/instruments/{SYMBOL}/book?depth=1")["bids"]
    price = (Decimal(bids[0]["price"]) * Decimal("0.97")).quantize(Decimal("0.01"))
    content = {
        **DEMO,
        "symbol": SYMBOL,
        "side": "SIDE_BUY",
        "type": "ORDER_TYPE_LIMIT",
        "size": "0.01",
        "price": str(price),
    }
    return {
        "request_id": request_id,
        "operation": "OPERATION_PLACE",
        "reason": "the spread is wide",
        "content": content,
    }


def order_command(mesh, *words):
    """Runs as the user of the machine."""
    return subprocess.run(
        [sys.executable, "-m", "ops.cli", "order", *words, "--data", str(mesh.data), "--json"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
        cwd=ROOT,
        capture_output=True,
        timeout=CALL_SECONDS_MAX * 2,
        check=False,
    )


async def test_an_order_of_a_model_is_sent_when_a_person_confirms_it(mesh, robot):
    arguments = proposed(mesh, "model-1")
    async with scripted_model(mesh, robot) as model:
        answer = await model.answer("risk_submit_manual", **arguments)
        assert answer["proposal"]["state"] == "PROPOSAL_STATE_PENDING"
        assert "verdict" not in answer
        orders = f"/v1/venues/{VENUE}/orders?account=demo"
        before = rest(mesh, orders)["orders"]
        listed = json.loads(order_command(mesh, "proposals").stdout)["proposals"]
        assert [one["requested"]["request_id"] for one in listed] == ["model-1"]

        confirmed = order_command(mesh, "confirm", "model-1")
        assert confirmed.returncode == 0, confirmed.stderr
        assert len(rest(mesh, orders)["orders"]) == len(before) + 1
        seen = await model.answer("risk_submit_manual", **arguments)
    assert seen["submitted"]["outcome"] == "SUBMISSION_OUTCOME_TAKEN"
    assert seen["verdict"]["verdict"] == "VERDICT_ALLOW"
    client_order_id = seen["submitted"]["orders"]["rows"][0][
        seen["submitted"]["orders"]["columns"].index("client_order_id")
    ]
    assert order_command(mesh, "cancel", VENUE, client_order_id).returncode == 0


async def test_an_amendment_of_a_model_is_done_when_a_person_confirms_it(mesh, robot):
    placed = proposed(mesh, "model-2")
    order_path = f"/v1/venues/{VENUE}/orders/{{}}?account=demo"
    async with scripted_model(mesh, robot) as model:
        await model.answer("risk_submit_manual", **placed)
        taken = json.loads(order_command(mesh, "confirm", "model-2").stdout)
        (order,) = taken["submitted"]["submitted"]["orders"]
        target = order["client_order_id"]
        # This venue amends an order to a smaller size only.
        amended = placed | {
            "request_id": "model-3",
            "operation": "OPERATION_AMEND",
            "target_client_order_id": target,
            "content": placed["content"] | {"size": "0.005"},
        }
        answer = await model.answer("risk_submit_manual", **amended)
        assert answer["proposal"]["state"] == "PROPOSAL_STATE_PENDING"
        assert rest(mesh, order_path.format(target))["order"]["content"]["size"] == "0.01"
        confirmed = order_command(mesh, "confirm", "model-3")
        assert confirmed.returncode == 0, confirmed.stdout + confirmed.stderr
        assert rest(mesh, order_path.format(target))["order"]["content"]["size"] == "0.005"
        seen = await model.answer("risk_submit_manual", **amended)
    assert seen["submitted"]["outcome"] == "SUBMISSION_OUTCOME_TAKEN"
    assert order_command(mesh, "cancel", VENUE, target).returncode == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/inspector/proposals/{id}:confirm", {}),
        ("/v1/inspector/proposals/{id}:decline", {}),
        ("/v1/inspector/modes", {"scope": "mesh", "mode": "TRADING_MODE_HALTED", "reason": "x"}),
        ("/v1/inspector/orders:batch", {"requests": [{}]}),
        (f"/v1/venues/{VENUE}/orders:cancelAll", {"account": "demo"}),
    ],
)
async def test_a_model_with_its_token_in_hand_goes_round_nothing(mesh, robot, path, body):
    request_id = secrets.token_hex(8)
    async with scripted_model(mesh, robot) as model:
        await model.answer("risk_submit_manual", **proposed(mesh, request_id))
    status, answer = mesh.post(path.replace("{id}", request_id), body, token=robot)
    assert (status, answer["details"][0]["reason"]) == (403, "ROLE_MISSING")
    assert order_command(mesh, "decline", request_id).returncode == 0
