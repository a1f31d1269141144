"""What each call of a desk spends from the budget."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.base.clock import SystemClock
from kit.base.errors import RateLimited
from kit.base.request_budget import Priority, RequestBudget, spending
from kit.connector.orders.rate_limited import RateLimitedExecutionClient
from kit.execution.contract import Accepted, OrderKey, OrderRequest

KEY = OrderKey("BTCUSDT", "0" * 32, "")
BUDGET = RequestBudget("binance", 100, SystemClock())


class Noting:
    """A desk that notes for what its calls are made."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, Priority]] = []

    def __getattr__(self, name):
        async def call(*arguments):
            account = spending()
            assert account is not None
            assert account.budget is BUDGET
            self.noted.append((name, account.priority))
            return Accepted("")

        return call


def wish(**changes) -> OrderRequest:
    fields = {
        "client_order_id": "0" * 32,
        "symbol": "BTCUSDT",
        "side": types_pb2.SIDE_BUY,
        "type": pb.ORDER_TYPE_LIMIT,
        "size": Decimal(1),
        "price": Decimal(1),
    }
    return OrderRequest(**{**fields, **changes})


async def test_cancelling_comes_before_protecting_before_the_rest():
    inner = Noting()
    desk = RateLimitedExecutionClient(inner, BUDGET)
    await desk.cancel(KEY)
    await desk.cancel_all()
    await desk.place(wish(reduce_only=True), Priority.PROTECT)
    await desk.place(wish())
    await desk.amend(KEY, wish())
    await desk.find(KEY)
    assert inner.noted == [
        ("cancel", Priority.CANCEL),
        ("cancel_all", Priority.CANCEL),
        ("place", Priority.PROTECT),
        ("place", Priority.NEW),
        ("amend", Priority.NEW),
        ("find", Priority.PROTECT),
    ]
    assert spending() is None


async def test_a_closed_budget_lets_no_call_out():
    budget = RequestBudget("binance", 100, SystemClock())
    budget.close(60)
    with pytest.raises(RateLimited):
        async with budget.turn(Priority.CANCEL):
            pytest.fail("it was let out")
