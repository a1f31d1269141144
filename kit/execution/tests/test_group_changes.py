"""Groups whose orders are cancelled or amended, or whose process is restarted."""

import asyncio
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2, trade_flow_pb2

from kit.base.errors import InvalidOrder
from kit.execution.tests.order_caller import caller
from kit.execution.tests.order_groups import (
    SIGNER,
    WHERE,
    bracket,
    entries,
    fill,
    flow,
    live,
    placed,
    standing,
)
from kit.execution.tests.simulated_process import heartbeat, run

STEP_S = 3


async def amended(world, entry, content, request_id="a"):
    """The order after an amendment."""
    request = trade_flow_pb2.AmendOrderRequest(
        client_order_id=entry.key,
        approved=SIGNER.approve(
            content, request_id, 1 << 62, signed_pb2.OPERATION_AMEND, entry.key
        ),
        **WHERE,
    )
    return (await flow(world).AmendOrder(request, None)).order


def test_cancelled_order_leaves_the_others_of_its_group():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        await found.account.submitter.cancel(profit)
        fill(found, entry, "0.5")
        await found.account.submitter.cancel(entry)
        await found.let_pass(STEP_S)
        assert standing([entry, profit, stop]) == ["CANCELLED", "CANCELLED", "OPEN"]
        assert not live(found)
        found.prices.trade("95")
        await found.let_pass(STEP_S)
        assert live(found)[stop.key].size == Decimal("0.5")

    run(scenario())


def test_cancel_all_ends_a_group():
    async def scenario():
        found, members = await placed(bracket())
        fill(found, members[0], "0.5")
        found.prices.trade("95")
        await found.account.submitter.cancel_all()
        await found.let_pass(60)
        assert set(standing(members)) == {"CANCELLED"}
        assert found.venue.sends == {members[0].key: 1}

    run(scenario())


def test_cancel_all_without_an_approval_leaves_the_exits_of_what_was_filled():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        fill(found, entry, "0.5")
        request = trade_flow_pb2.CancelAllOrdersRequest(**WHERE)
        answer = await flow(found).CancelAllOrders(request, None)
        assert [one.client_order_id for one in answer.orders] == [entry.key]
        assert {one.client_order_id for one in answer.left_open} == {profit.key, stop.key}
        await found.let_pass(STEP_S)
        assert standing([entry, profit, stop]) == ["CANCELLED", "OPEN", "OPEN"]
        assert live(found)[profit.key].size == Decimal("0.5")

    run(scenario())


def test_price_that_was_passed_before_there_is_something_to_close_counts_with_the_next_trade():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        found.prices.trade("94")
        await found.let_pass(STEP_S)
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        assert live(found).keys() == {profit.key}
        found.prices.trade("94")
        await found.let_pass(STEP_S)
        assert live(found).keys() == {stop.key}

    run(scenario())


def test_silent_authority_keeps_the_exits_of_what_was_filled():
    async def scenario():
        found, members = await placed(bracket())
        fill(found, members[0], "0.5")
        await found.account.heartbeat(heartbeat(found.account, 1))
        await found.let_pass(30)
        assert standing(members) == ["CANCELLED", "OPEN", "OPEN"]
        assert [order.size for order in live(found).values()] == [Decimal("0.5")]

    run(scenario())


def test_silent_authority_ends_a_group_without_a_fill():
    async def scenario():
        found, members = await placed(bracket())
        await found.account.heartbeat(heartbeat(found.account, 1))
        await found.let_pass(30)
        assert standing(members) == ["CANCELLED", "CANCELLED", "CANCELLED"]
        assert not live(found)

    run(scenario())


def test_group_amendment_changes_the_price_only():
    async def scenario():
        contents = bracket()
        found, (entry, profit, _) = await placed(contents)
        fill(found, entry, "0.5")
        content = contents["g1"]

        async def amend(request_id):
            return (await amended(found, profit, content, request_id)).content

        content.size = "1"
        with pytest.raises(InvalidOrder) as refused:
            await amend("a1")
        assert refused.value.metadata["field"] == "size"
        content.size, content.price = "2", "120"
        told = await amend("a2")
        assert (told.price, told.size) == ("120", "0.5")
        fill(found, entry, "1.5")
        await found.let_pass(STEP_S)
        assert (live(found)[profit.key].price, live(found)[profit.key].size) == (120, 2)
        content.price = "115"
        await amend("a3")
        assert (live(found)[profit.key].price, live(found)[profit.key].size) == (115, 2)

    run(scenario())


def test_amended_exit_is_on_its_side_of_the_entry_until_that_has_a_fill():
    async def scenario():
        contents = bracket(price="97")
        found, (entry, _, stop) = await placed(contents)
        content = contents["g2"]
        content.stop_price = "98"
        with pytest.raises(InvalidOrder, match="below the entry's price 97"):
            await amended(found, stop, content, "a1")
        fill(found, entry, "0.5")
        await found.let_pass(STEP_S)
        assert (await amended(found, stop, content, "a2")).content.stop_price == "98"

    run(scenario())


def test_restart_continues_the_work_of_a_group():
    async def scenario():
        contents = bracket()
        found, (entry, profit, stop) = await placed(contents)
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        found.prices.trade("95")
        found.crash()
        fill(found, profit, "0.5")
        found.start()
        await found.ready()
        await found.let_pass(60)
        entry, profit, stop = entries(found, contents)
        if not stop.is_triggered:
            # The disk had not got it yet: what protects is there as before.
            assert live(found).keys() == {profit.key}
            found.prices.trade("95")
            await found.let_pass(STEP_S)
        assert live(found).keys() == {stop.key}
        assert live(found)[stop.key].size == Decimal("1.5")
        assert set(found.venue.sends.values()) == {1}

    run(scenario())


def test_exit_is_not_cancelled_while_the_disk_is_full():
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        fill(found, entry, 2)
        await found.let_pass(STEP_S)
        found.disk.fail(OSError(28, "full"))
        found.prices.trade("95")
        await found.let_pass(30)
        assert live(found).keys() == {profit.key}
        found.disk.fail(None)
        await found.let_pass(5)
        assert live(found).keys() == {stop.key}

    run(scenario())


def test_incomplete_group_is_logged(caplog):
    async def scenario():
        found, (entry, profit, stop) = await placed(bracket())
        fill(found, entry, "1.5")
        await found.account.submitter.cancel(profit)
        await found.account.submitter.cancel(stop)
        await found.let_pass(STEP_S)
        (said,) = [one for one in caplog.records if one.message == "group ended incomplete"]
        assert (said.group, said.left) == ("g", "1.5")

    run(scenario())


def test_amendment_keeps_the_reduced_size():
    async def scenario():
        contents = bracket()
        found, (entry, profit, _) = await placed(contents)
        fill(found, entry, "0.5")
        await found.account.submitter.cancel(entry)
        await found.let_pass(STEP_S)
        contents["g1"].price = "120"
        order = await amended(found, profit, contents["g1"])
        assert (order.content.price, order.content.size) == ("120", "0.5")
        assert live(found)[profit.key].size == Decimal("0.5")

    run(scenario())


def test_amendment_of_an_order_being_sent_lapses():
    async def scenario():
        contents = bracket()
        found, (entry, profit, _) = await placed(contents)
        fill(found, entry, "0.5")
        await found.let_pass(STEP_S)
        contents["g1"].price = "120"
        releasing = asyncio.ensure_future(found.account.submitter.release(profit))
        while not profit.is_sending:
            await asyncio.sleep(0)
        with pytest.raises(InvalidOrder, match="sent meanwhile"):
            await amended(found, profit, contents["g1"])
        await releasing
        sent = live(found)[profit.key]
        assert (sent.price, sent.size) == (Decimal(110), Decimal("0.5"))

    run(scenario())


def test_amended_exit_of_a_derivative_still_only_reduces():
    """Its content does not say so: an edit at the venue could forget it."""

    async def scenario():
        at = await caller()
        contents = bracket(symbol="SWAP")
        for content in contents.values():
            content.symbol = "SWAP"
        orders = await at.place_group(*contents.values())
        keys = [one.client_order_id for one in orders]
        at.world.venue.fill(at.world.venue.by_client_id[keys[0]], Decimal(2))
        await at.world.let_pass(STEP_S)
        asked = []
        amend = at.account.client.amend

        async def watched(key, request, priority):
            asked.append(request)
            return await amend(key, request, priority)

        at.account.client.amend = watched
        content = orders_pb2.OrderContent()
        content.CopyFrom(contents["g1"])
        content.price = "111"
        await at.amend(keys[1], content)
        assert [(one.price, one.reduce_only) for one in asked] == [(111, True)]

    run(scenario())
