"""An approval is used for the operation that it names, and refused with a reason for others."""

from base64 import b64encode
from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2, trade_flow_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import ApprovalRejected, VenuemeshError
from kit.execution.approval.keys import ApproverKeys
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.execution.approval.verifier import AccountScope, ApprovalVerifier
from kit.execution.service import TradeFlowServicer
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import (
    KEY,
    SCOPE,
    Prices,
    heartbeat,
    run,
    started,
    world,
)
from kit.execution.tests.test_keys import APPROVER, write

PLACE, AMEND = signed_pb2.OPERATION_PLACE, signed_pb2.OPERATION_AMEND
CANCEL = signed_pb2.OPERATION_CANCEL
WHERE = {"venue": "fake", "account": "main"}
ADDRESS = orders_pb2.OrderContent(**WHERE)
VALIDITY_NS = 60 * NANOSECONDS_PER_SECOND
AUTHORITY = APPROVER | {"accounts": '["*"]'}
KEYS = {
    key_id: Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))
    for number, key_id in enumerate(("revoked", "ended", "elsewhere", "next"), 2)
}


def approver(key_id, **values):
    """Another key of the approvers file."""
    public = b64encode(KEYS[key_id].public_key().public_bytes_raw()).decode()
    return AUTHORITY | {"key_id": f'"{key_id}"', "public_key": f'"{public}"', **values}


APPROVERS = (
    AUTHORITY,
    approver("revoked", revoked="true"),
    approver("ended", not_after="2023-01-01T00:00:00Z"),
    approver("elsewhere", accounts='["fake/other"]'),
    approver("next", first_epoch="2"),
)
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))


class ApprovalCaller:
    """An account with an approvers file, and the calls that use an approval."""

    def __init__(self, world, file):
        self.world, self.file = world, file
        self.flow = TradeFlowServicer("fake", {"main": world.account})

    def approve(self, operation=PLACE, target="", **changes):
        """An approval to place "n", or to amend another order; some parts are changed."""
        content = changes.pop("content", None) or limit_order(size="3")
        key = changes.pop("key", None) or KEYS.get(changes.get("key_id", ""), KEY)
        scope = changes.pop("scope", SCOPE)
        seconds = changes.pop("seconds", 30)
        signer = ApprovalSigner(changes.pop("key_id", "authority"), key, 1, scope)
        ends_ns = self.world.clock.time_ns() + seconds * NANOSECONDS_PER_SECOND
        approved = signer.approve(content, "n", ends_ns, operation, target)
        for name, value in changes.items():
            setattr(approved, name, value)
        return approved

    async def place(self, approved):
        request = trade_flow_pb2.PlaceOrderRequest(approved=approved)
        return (await self.flow.PlaceOrder(request, None)).order

    async def amend(self, approved, key):
        request = trade_flow_pb2.AmendOrderRequest(approved=approved, client_order_id=key, **WHERE)
        return (await self.flow.AmendOrder(request, None)).order

    async def use(self, use, approved, key):
        """Amend the order with this key, verify the approval only, or place an order."""
        if use == "amend":
            return await self.amend(approved, key)
        if use == "verify":
            return self.world.account.verify(approved, PLACE)
        return await self.place(approved)

    async def open(self, request_id):
        """Place an order of size 2. Returns its client order id."""
        ends_ns = self.world.clock.time_ns() + 30 * NANOSECONDS_PER_SECOND
        signer = ApprovalSigner("authority", KEY, 1, SCOPE)
        approved = signer.approve(limit_order(size="2"), request_id, ends_ns)
        return (await self.place(approved)).client_order_id


async def ready_caller(folder):
    found = world()
    file = folder / "approvers.toml"
    write(file, *APPROVERS)

    def verifier():
        find_key = ApproverKeys(file, found.clock).find
        return ApprovalVerifier(AccountScope(SCOPE, "fake", "main"), find_key, VALIDITY_NS)

    found.prices, found.verify = Prices(), verifier
    found.start()
    await found.ready()
    return ApprovalCaller(found, file)


INVALID = [
    ("other account", {"content": limit_order(account="other")}, "verify", "account"),
    ("other venue", {"content": limit_order(venue="other")}, "verify", "account"),
    ("other mesh", {"scope": MeshScope("other", "live")}, "place", "mesh"),
    ("other world", {"scope": MeshScope("test", "simulate")}, "place", "world"),
    ("expired", {"seconds": 0}, "place", "expired"),
    ("too long", {"seconds": 61}, "place", "validity"),
    ("unknown key", {"key_id": "nobody"}, "place", "unknown_key"),
    ("wrong signature", {"key": STRANGER}, "place", "signature"),
    ("no signature", {"signature": b""}, "place", "missing"),
    ("revoked key", {"key_id": "revoked"}, "place", "revoked"),
    ("key past its end", {"key_id": "ended"}, "place", "key_expired"),
    ("key of another account", {"key_id": "elsewhere"}, "place", "account"),
    ("epoch of another key", {"key_id": "next"}, "place", "unregistered_epoch"),
]
"""Approvals that are valid for no operation."""
USES = [
    *INVALID,
    *(
        (name, {"operation": AMEND, "target": "a", **changes}, "amend", why)
        for name, changes, _, why in INVALID
    ),
    ("amendment used to place", {"operation": AMEND, "target": "a"}, "place", "operation"),
    ("cancel used to place", {"operation": CANCEL, "target": "a"}, "place", "operation"),
    ("no operation", {"operation": signed_pb2.OPERATION_UNSPECIFIED}, "place", "operation"),
    ("place used to amend", {}, "amend", "operation"),
    ("cancel used to amend", {"operation": CANCEL, "target": "a"}, "amend", "operation"),
    ("other target", {"operation": AMEND, "target": "b"}, "amend", "target"),
    ("amendment without a target", {"operation": AMEND}, "amend", "target"),
    ("placing with a target", {"target": "a"}, "place", "target"),
    ("changed operation", {"operation": AMEND, "target": "a"}, "changed", "signature"),
]


@pytest.mark.parametrize(("changes", "use", "why"), [each[1:] for each in USES])
def test_approval_is_refused_for_every_other_use(tmp_path, changes, use, why):
    async def scenario():
        at = await ready_caller(tmp_path)
        keys = {name: await at.open(name) for name in ("a", "b")}
        await at.world.let_pass(0.1)
        disk, venue = bytes(at.world.disk.content), at.world.venue
        sent, known = Counter(venue.calls), dict(at.world.account.state.index.orders)
        target = keys.get(changes.get("target", ""), "")
        approved = at.approve(**{**changes, "target": target})
        if use == "changed":
            approved.operation = PLACE
        with pytest.raises(ApprovalRejected) as caught:
            await at.use(use, approved, keys["a"])
        assert caught.value.metadata["why"] == why
        index = at.world.account.state.index
        assert index.orders == known
        assert not any(order.amendments for order in index.orders.values())
        await at.world.let_pass(0.1)
        assert venue.calls == sent
        assert at.world.disk.content == disk

    run(scenario())


def test_key_that_is_revoked_while_the_process_runs_approves_nothing_more(tmp_path):
    async def scenario():
        at = await ready_caller(tmp_path)
        first = await at.open("a")
        write(at.file, AUTHORITY | {"revoked": "true"})
        await at.world.let_pass(2)
        for call in (at.place(at.approve()), at.amend(at.approve(AMEND, first), first)):
            with pytest.raises(ApprovalRejected) as caught:
                await call
            assert caught.value.metadata["why"] == "revoked"

    run(scenario())


def test_order_and_amendment_are_sent_while_their_approval_is_valid(tmp_path):
    async def scenario():
        at = await ready_caller(tmp_path)
        client, given = at.world.venue.client, []

        def noted(call, place):
            async def noting(*arguments):
                given.append(arguments[place].send_within_s)
                return await call(*arguments)

            return noting

        client.place, client.amend = noted(client.place, 0), noted(client.amend, 1)
        first = await at.open("a")
        await at.amend(at.approve(AMEND, first), first)
        assert [29 < one <= 30 for one in given] == [True, True]

    run(scenario())


def test_replayed_approval_has_no_second_effect(tmp_path):
    async def scenario():
        at = await ready_caller(tmp_path)
        first, second = await at.open("a"), await at.open("b")
        approved = at.approve()
        order = await at.place(approved)
        amendment = at.approve(AMEND, first, content=limit_order(size="1.5"), request_id="n")
        assert (await at.place(approved)).client_order_id == order.client_order_id
        assert len(at.world.account.state.index.orders) == 3
        for key in (first, second):
            with pytest.raises(VenuemeshError) as caught:
                await at.amend(amendment, key)
            assert caught.value.reason == "REQUEST_ID_REUSED"
        with pytest.raises(VenuemeshError) as caught:
            await at.amend(approved, first)
        assert caught.value.reason == "REQUEST_ID_REUSED"

    run(scenario())


def test_submitter_and_amender_refuse_an_approval_of_another_operation(tmp_path):
    async def scenario():
        at = await ready_caller(tmp_path)
        account = at.world.account
        first, second = await at.open("a"), await at.open("b")
        placing = account.verifier.verify(at.approve(), at.world.clock.time_ns())
        amending = account.verifier.verify(at.approve(AMEND, first), at.world.clock.time_ns())
        with pytest.raises(ApprovalRejected):
            await account.submitter.submit(amending)
        order = account.state.index.orders[second]
        for wrong in (placing, amending):
            with pytest.raises(ApprovalRejected):
                await account.amender.amend(order, wrong)
        assert not order.amendments

    run(scenario())


def test_protective_order_is_cancelled_with_an_approval_only(tmp_path):
    async def scenario():
        at = await ready_caller(tmp_path)
        entry = await at.open("a")
        stop = await at.place(at.approve(content=limit_order(reduce_only=True, size="1")))
        named = {"client_order_id": stop.client_order_id, **WHERE}
        refused = {
            "missing": None,
            "operation": at.approve(),
            "target": at.approve(CANCEL, entry),
        }
        for why, approved in refused.items():
            request = trade_flow_pb2.CancelOrderRequest(approved=approved, **named)
            with pytest.raises(ApprovalRejected) as caught:
                await at.flow.CancelOrder(request, None)
            assert caught.value.metadata["why"] == why
        order = at.world.account.state.index.orders[stop.client_order_id]
        assert not order.cancel_requested
        everything = trade_flow_pb2.CancelAllOrdersRequest(**WHERE)
        answer = await at.flow.CancelAllOrders(everything, None)
        assert [one.client_order_id for one in answer.orders] == [entry]
        assert answer.orders[0].state == orders_pb2.ORDER_STATE_CANCELLED
        assert [one.client_order_id for one in answer.left_open] == [stop.client_order_id]
        assert not order.is_final
        assert stop.client_order_id in at.world.venue.by_client_id
        cancel = at.approve(CANCEL, stop.client_order_id, content=ADDRESS)
        request = trade_flow_pb2.CancelOrderRequest(approved=cancel, **named)
        cancelled = (await at.flow.CancelOrder(request, None)).order
        assert cancelled.state == orders_pb2.ORDER_STATE_CANCELLED
        # One that has ended is returned unchanged, without an approval.
        again = trade_flow_pb2.CancelOrderRequest(**named)
        assert (await at.flow.CancelOrder(again, None)).order == cancelled

    run(scenario())


def test_approval_to_cancel_all_is_for_one_symbol_and_includes_protective_orders(tmp_path):
    async def scenario():
        at = await ready_caller(tmp_path)
        await at.open("a")
        await at.place(at.approve(content=limit_order(reduce_only=True, size="1")))
        cancel_all = signed_pb2.OPERATION_CANCEL_ALL
        for why, approved, symbol in (
            ("operation", at.approve(CANCEL, content=ADDRESS), ""),
            ("target", at.approve(cancel_all, content=ADDRESS), "BTCUSDT"),
        ):
            request = trade_flow_pb2.CancelAllOrdersRequest(
                approved=approved, symbol=symbol, **WHERE
            )
            with pytest.raises(ApprovalRejected) as caught:
                await at.flow.CancelAllOrders(request, None)
            assert caught.value.metadata["why"] == why
        assert len(at.world.account.state.index.open) == 2
        request = trade_flow_pb2.CancelAllOrdersRequest(
            approved=at.approve(cancel_all, content=ADDRESS), **WHERE
        )
        answer = await at.flow.CancelAllOrders(request, None)
        assert len(answer.orders) == 2
        assert not answer.left_open
        assert not at.world.account.state.index.open

    run(scenario())


def test_journal_keeps_the_key_and_the_signature(tmp_path):
    async def scenario():
        at = await ready_caller(tmp_path)
        approved = at.approve()
        order = await at.place(approved)
        amendment = at.approve(AMEND, order.client_order_id, content=limit_order(size="4"))
        amendment = ApprovalSigner("authority", KEY, 1, SCOPE).approve(
            limit_order(size="4"), "m", amendment.expires_time_ns, AMEND, order.client_order_id
        )
        await at.amend(amendment, order.client_order_id)
        at.world.crash()
        at.world.start()
        await at.world.ready()
        found = at.world.account.state.index.orders[order.client_order_id]
        assert (found.key_id, found.signature) == ("authority", approved.signature)
        assert found.intent().signature == approved.signature
        kept = found.amendments["m"]
        assert (kept.key_id, kept.signature) == ("authority", amendment.signature)

    run(scenario())


def test_heartbeat_ahead_of_time_does_not_void_those_that_follow():
    async def scenario():
        found = await started()
        account, clock = found.account, found.clock
        signers = [ApprovalSigner("authority", KEY, epoch, SCOPE) for epoch in (3, 4)]
        far = signers[0].heartbeat("fake", "main", clock.time_ns() + 20 * NANOSECONDS_PER_SECOND)
        with pytest.raises(ApprovalRejected) as caught:
            await account.heartbeat(far)
        assert caught.value.metadata["why"] == "future"
        await account.heartbeat(heartbeat(account, 3))
        near = signers[0].heartbeat("fake", "main", clock.time_ns() + NANOSECONDS_PER_SECOND)
        await account.heartbeat(near)
        account.dead_man.has_fired = True
        await account.heartbeat(heartbeat(account, 4))
        assert not account.dead_man.has_fired

    run(scenario())
