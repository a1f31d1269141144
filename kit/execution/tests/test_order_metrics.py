"""The metrics of an account's orders."""

import asyncio
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.telemetry import Meter
from kit.execution.contract import OutcomeUnknown, RequestRejected
from kit.execution.order_metrics import OrderMetrics
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.simulated_process import run, started, verified

ANSWER_S = 0.3


class Metrics:
    """The metrics of a started account."""

    def __init__(self, found):
        self._meter = Meter("fake")
        OrderMetrics(self._meter, found.clock).follow(found.account)

    def value(self, name, **labels):
        labels = {"account": "main", **labels}
        return self._meter.registry.get_sample_value(f"venuemesh_{name}", labels)


def answer_late(client):
    place = client.place

    async def late(*arguments):
        await asyncio.sleep(ANSWER_S)
        return await place(*arguments)

    client.place = late


def test_states_fills_and_the_time_to_acknowledge_are_counted():
    async def scenario():
        found = await started()
        metrics = Metrics(found)
        assert metrics.value("account_ready") == 1
        assert metrics.value("order_fills_total") == 0
        answer_late(found.account.client)
        order = await found.account.submitter.submit(verified(limit_order(size="1"), "r"))
        assert metrics.value("orders_total", state="sent") == 1
        assert metrics.value("orders_total", state="open") == 1
        assert metrics.value("order_acknowledge_seconds_count") == 1
        assert metrics.value("order_acknowledge_seconds_bucket", le="0.2") == 0
        assert metrics.value("order_acknowledge_seconds_bucket", le="0.5") == 1
        assert metrics.value("orders_open") == 1
        truth = found.venue.by_client_id[order.client_order_id]
        for _ in range(2):
            found.venue.fill(truth, Decimal("0.5"))
        await found.let_pass(1)
        assert metrics.value("order_fills_total") == 2
        assert metrics.value("orders_total", state="filled") == 1
        assert metrics.value("orders_open") == 0
        assert metrics.value("order_acknowledge_seconds_count") == 1

    run(scenario())


def test_rejections_are_counted_by_reason():
    async def scenario():
        found = await started()
        metrics = Metrics(found)

        async def reject(*_):
            return RequestRejected(orders_pb2.REJECT_REASON_WOULD_TAKE, "would take")

        found.account.client.place = reject
        await found.account.submitter.submit(verified(limit_order(), "r"))
        assert metrics.value("order_rejects_total", reason="would_take") == 1
        assert metrics.value("order_acknowledge_seconds_count") == 0

    run(scenario())


def test_an_order_is_unknown_until_the_venue_was_asked():
    async def scenario():
        found = await started()
        metrics = Metrics(found)
        place = found.account.client.place

        async def lose_answer(*arguments):
            await place(*arguments)
            return OutcomeUnknown("the connection was cut")

        found.account.client.place = lose_answer
        found.venue.publishes = False
        await found.account.submitter.submit(verified(limit_order(), "r"))
        assert metrics.value("orders_unknown") == 1
        await found.let_pass(10)
        assert metrics.value("orders_unknown") == 0
        assert metrics.value("orders_total", state="unknown") == 1
        assert metrics.value("orders_total", state="open") == 1

    run(scenario())
