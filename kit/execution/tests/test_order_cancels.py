"""A protective order is cancelled with an approval, or by a caller with the role operator."""

import logging

import pytest
from venuemesh.common.v1 import errors_pb2
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, signed_pb2, trade_flow_pb2

from kit.base.access.authority import Authority
from kit.base.access.call_guard import CallGuard, GuardedMethod
from kit.base.access.credentials import FixedToken
from kit.base.access.roles import Role
from kit.base.access.tests.test_tokens import NAMES, token
from kit.base.access.tokens import TokenVerifier
from kit.base.access.trust import TrustedKeys
from kit.base.errors import AccountNotReady, ApprovalRejected, StoreUnavailable
from kit.execution.orders import order_states
from kit.execution.service import TradeFlowServicer
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_caller import VALIDITY_NS, WHERE, caller, exit_order
from kit.execution.tests.simulated_process import run

FLOW = trade_flow_pb2.DESCRIPTOR.services_by_name["TradeFlow"]
CANCEL, CANCEL_ALL = signed_pb2.OPERATION_CANCEL, signed_pb2.OPERATION_CANCEL_ALL
OPEN, CANCELLED = orders_pb2.ORDER_STATE_OPEN, orders_pb2.ORDER_STATE_CANCELLED
LIMIT, STOP = orders_pb2.ORDER_TYPE_LIMIT, orders_pb2.ORDER_TYPE_STOP
OPERATORS = (Role.OPERATOR, Role.ADMIN)
OTHERS = ((Role.TRADER,), (Role.TRADER, Role.VIEWER))


class GuardedCaller:
    """An account with an exit, and callers with tokens."""

    def __init__(self, at, folder, *, required):
        self.at, clock = at, at.world.clock
        self.authority = Authority(folder, clock)
        verifier = TokenVerifier(NAMES, clock)
        self.guard = CallGuard(verifier, clock, required=required, streams_max=1)
        self.guard.trust(TrustedKeys(self.authority.jwks()))

    async def call(self, roles, rpc, **fields):
        """Call a method with a token with these roles, as the caller "desk"."""
        method = FLOW.methods_by_name[rpc]
        request = method.input_type._concrete_class(**WHERE, **fields)
        shown = FixedToken(token(self.authority, self.at.world.clock, *roles)).metadata
        with self.guard.call(shown, GuardedMethod.of(method), request):
            return await getattr(self.at.flow, rpc)(request, None)

    def order(self, key):
        return self.at.world.account.order(key)

    def at_venue(self, key):
        return self.at.world.venue.by_client_id[key].now.state

    async def restart(self):
        world = self.at.world
        world.lose_power()
        running = world.start()
        world.account.verifier._validity_max_ns = VALIDITY_NS
        self.at.account, self.at.flow = (
            world.account,
            TradeFlowServicer("fake", {"main": world.account}),
        )
        return running


async def guarded(folder, *, required=True):
    """An account with an exit, and the id of that."""
    found = GuardedCaller(await caller(), folder, required=required)
    order = await found.at.place(exit_order("2", type=LIMIT, price="110"))
    return found, order.client_order_id


def cancels(key, approved=None):
    """The calls that cancel one order, and how each shows its refusal."""
    one = batches_pb2.OrderCancel(client_order_id=key, approved=approved)
    return {
        "CancelOrder": {"client_order_id": key, "approved": approved},
        "CancelOrders": {"orders": [one]},
    }


async def refusal(call):
    """The text and the reason of a refusal of CancelOrder, CancelOrders or CancelAllOrders."""
    try:
        (result,) = (await call).results
    except ApprovalRejected as error:
        return error.message, error.metadata["why"]
    assert result.error.reason == errors_pb2.ERROR_REASON_APPROVAL_REFUSED
    return result.error.message, result.error.metadata["why"]


@pytest.mark.parametrize("role", OPERATORS)
@pytest.mark.parametrize("rpc", ["CancelOrder", "CancelOrders", "CancelAllOrders"])
def test_operator_cancels_protective_orders_without_an_approval(tmp_path, caplog, rpc, role):
    caplog.set_level(logging.INFO)

    async def scenario():
        found, key = await guarded(tmp_path)
        fields = cancels(key).get(rpc) or {"include_protective": True}
        answer = await found.call([role], rpc, **fields)
        assert found.at_venue(key) == CANCELLED
        if rpc == "CancelAllOrders":
            assert [one.client_order_id for one in answer.orders] == [key]
            assert not answer.left_open
        said = {one.message: one for one in caplog.records}
        assert said["call"].caller == said["cancel of protective orders"].caller == "desk"
        assert said["cancel of protective orders"].permitted_by == "desk, role operator"
        assert said["cancel of protective orders"].token_id
        if rpc != "CancelAllOrders":
            assert key in said["call"].target
        await found.restart()
        await found.at.world.ready()
        assert found.order(key).cancel_requested_by == "desk, role operator"
        shown = await found.call([role], "GetOrder", client_order_id=key)
        assert shown.order.cancel_requested_by == "desk, role operator"

    run(scenario())


@pytest.mark.parametrize("roles", OTHERS)
@pytest.mark.parametrize("rpc", ["CancelOrder", "CancelOrders", "CancelAllOrders"])
def test_trader_is_refused_without_an_approval_and_told_both_ways(tmp_path, rpc, roles):
    async def scenario():
        found, key = await guarded(tmp_path)
        fields = cancels(key).get(rpc) or {"include_protective": True}
        text, why = await refusal(found.call(roles, rpc, **fields))
        assert why == "missing"
        assert "an approval of CANCEL" in text
        assert "a caller with the role operator; desk has trader, viewer" in text
        assert found.at_venue(key) == OPEN
        assert not found.order(key).cancel_requested

    run(scenario())


def test_approval_of_a_trader_is_enough_and_is_noted(tmp_path):
    async def scenario():
        found, key = await guarded(tmp_path)
        content = orders_pb2.OrderContent(**WHERE)
        approved = found.at.approve(content, operation=CANCEL, target_client_order_id=key)
        await found.call([Role.TRADER], "CancelOrder", **cancels(key, approved)["CancelOrder"])
        assert found.at_venue(key) == CANCELLED
        assert found.order(key).cancel_requested_by == "desk, key authority"
        other = (await found.at.place(exit_order("1", type=LIMIT, price="110"))).client_order_id
        entry = (await found.at.place(limit_order())).client_order_id
        approved = found.at.approve(content, operation=CANCEL_ALL)
        await found.call([Role.TRADER], "CancelAllOrders", approved=approved)
        for one in (other, entry):
            assert found.order(one).cancel_requested_by == "desk, key authority"

    run(scenario())


@pytest.mark.parametrize("rpc", ["CancelOrder", "CancelOrders", "CancelAllOrders"])
def test_approval_of_an_operator_that_is_not_valid_is_refused(tmp_path, rpc):
    """What is signed is meant: an approval of another order shows a mistake."""

    async def scenario():
        found, key = await guarded(tmp_path)
        content = orders_pb2.OrderContent(**WHERE)
        wrong = found.at.approve(content, operation=CANCEL, target_client_order_id="other")
        fields = cancels(key, wrong).get(rpc) or {"include_protective": True, "approved": wrong}
        _, why = await refusal(found.call([Role.OPERATOR], rpc, **fields))
        assert why in ("target", "operation")
        assert found.at_venue(key) == OPEN

    run(scenario())


@pytest.mark.parametrize("rpc", ["CancelOrder", "CancelOrders", "CancelAllOrders"])
def test_without_tokens_nobody_is_an_operator(tmp_path, rpc):
    async def scenario():
        found, key = await guarded(tmp_path, required=False)
        fields = cancels(key).get(rpc) or {"include_protective": True}
        text, why = await refusal(found.call([Role.ADMIN], rpc, **fields))
        assert why == "missing"
        assert "the mesh asks for no tokens, so it knows no operator" in text
        assert found.at_venue(key) == OPEN

    run(scenario())


def test_operator_who_does_not_say_so_cancels_entries_only(tmp_path):
    async def scenario():
        found, key = await guarded(tmp_path)
        entry = (await found.at.place(limit_order())).client_order_id
        answer = await found.call([Role.OPERATOR], "CancelAllOrders")
        assert [one.client_order_id for one in answer.orders] == [entry]
        assert [one.client_order_id for one in answer.left_open] == [key]
        assert found.at_venue(key) == OPEN
        assert found.order(entry).cancel_requested_by == "desk"

    run(scenario())


def test_full_disk_does_not_hold_the_cancel_of_an_operator_up(tmp_path):
    async def scenario():
        found, key = await guarded(tmp_path)
        found.at.world.disk.fail(OSError(28, "full"))
        answer = await found.call([Role.OPERATOR], "CancelOrder", client_order_id=key)
        assert answer.order.state == found.at_venue(key) == CANCELLED

    run(scenario())


def test_operator_cancels_all_attempts_of_a_stop_that_waits_here(tmp_path):
    async def scenario():
        found, _ = await guarded(tmp_path)
        stop = await found.at.place(exit_order("1", symbol="BTCUSDT", type=STOP, stop_price="90"))
        assert stop.held_here
        answer = await found.call(
            [Role.OPERATOR], "CancelOrder", client_order_id=stop.client_order_id
        )
        assert answer.order.state == CANCELLED
        await found.restart()
        await found.at.world.ready()
        order = found.order(stop.client_order_id)
        assert (order.state, order.cancel_requested_by) == (
            order_states.CANCELLED,
            "desk, role operator",
        )

    run(scenario())


def test_operator_cancels_all_orders_of_a_journal_that_cannot_be_read(tmp_path):
    async def scenario():
        found, key = await guarded(tmp_path)
        found.at.world.disk.content[20:60] = bytes(40)
        running = await found.restart()
        with pytest.raises(StoreUnavailable):
            await running
        found.at.account.refuse("the journal is damaged")
        with pytest.raises(AccountNotReady, match="the journal is damaged"):
            await found.call([Role.OPERATOR], "CancelAllOrders")
        assert found.at_venue(key) == OPEN
        await found.call([Role.OPERATOR], "CancelAllOrders", include_protective=True)
        assert found.at_venue(key) == CANCELLED

    run(scenario())
