"""Nothing but an order that a verifier has accepted can be submitted."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mypy import api
from venuemesh.tradeflow.v1 import signed_pb2

from kit.execution.approval.verifier import VerifiedOrder
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import amend, run, started, verified

PROJECT = Path(__file__).parents[3]
APPROVED = signed_pb2.ApprovedOrder(
    content=limit_order(), request_id="r", expires_time_ns=1 << 62, signature=b"forged"
)


@pytest.mark.parametrize("seal", [None, object(), True])
def test_only_the_verifier_makes_a_verified_order(seal):
    with pytest.raises(TypeError, match="only ApprovalVerifier"):
        VerifiedOrder(APPROVED, seal)


def test_a_verified_order_cannot_be_changed():
    order = verified(limit_order(size="2"), "r")
    order.content.size = "1000"
    assert order.content.size == "2"
    for name in ("content", "request_id", "expires_time_ns", "other"):
        with pytest.raises(AttributeError):
            setattr(order, name, "")


@pytest.mark.parametrize(
    "forged",
    [
        APPROVED,
        limit_order(),
        SimpleNamespace(content=limit_order(), request_id="r", expires_time_ns=1 << 62),
        object.__new__(VerifiedOrder),
    ],
)
def test_an_order_that_is_not_verified_is_neither_written_nor_sent(forged):
    async def scenario():
        found = await started()
        with pytest.raises((TypeError, AttributeError)):
            await found.account.submitter.submit(forged)
        member = SimpleNamespace(order=forged, held_here=False)
        with pytest.raises((TypeError, AttributeError)):
            await found.account.submitter.submit_group([member])
        assert not found.venue.sends
        assert not found.account.state.index.orders
        order = await found.account.submitter.submit(verified(limit_order(), "s"))
        with pytest.raises((TypeError, AttributeError)):
            await found.account.amender.amend(order, forged)
        await amend(found.account.amender, order, limit_order(size="3"), "a")
        assert found.venue.by_client_id[order.key].now.size == 3

    run(scenario())


def test_the_types_reject_every_other_argument(tmp_path):
    file = tmp_path / "bypass.py"
    file.write_text(
        """
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2
from kit.execution.sending.order_amender import OrderAmender
from kit.execution.orders.order import Order
from kit.execution.sending.submitter import CheckedOrder, OrderSubmitter
from kit.execution.approval.verifier import ApprovalVerifier, VerifiedOrder


async def bypass(
    submitter: OrderSubmitter,
    amender: OrderAmender,
    order: Order,
    approved: signed_pb2.ApprovedOrder,
    content: orders_pb2.OrderContent,
) -> None:
    await submitter.submit(approved)
    await submitter.submit(content)
    await submitter.submit(VerifiedOrder(approved, None))
    await submitter.submit(VerifiedOrder(approved))
    await submitter.submit_group([CheckedOrder(approved, False)])
    await amender.amend(order, approved)


class Forged(VerifiedOrder):
    pass


async def allowed(
    submitter: OrderSubmitter, verifier: ApprovalVerifier, approved: signed_pb2.ApprovedOrder
) -> None:
    await submitter.submit(verifier.verify(approved, 0))
"""
    )
    config = str(PROJECT / "pyproject.toml")
    cache = str(PROJECT / ".mypy_cache")
    out, _, _ = api.run(["--config-file", config, "--cache-dir", cache, str(file)])
    lines = {int(line.split(":")[1]) for line in out.splitlines() if ": error:" in line}
    assert lines == {16, 17, 18, 19, 20, 21, 24}, out
