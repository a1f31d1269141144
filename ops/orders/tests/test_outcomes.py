"""The exit code of ``./venuemesh order`` shows the outcome of the request."""

from contextlib import asynccontextmanager

import grpc
import pytest
from venuemesh.events.v1 import checks_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.tradeflow.v1 import batches_pb2, flatten_pb2, orders_pb2, trade_flow_pb2

from kit.base import error_details
from kit.base.errors import AccountNotReady, InvalidOrder, VenueUnavailable
from ops import gateway
from ops.cli import main, parsed
from ops.orders import outcomes, signing
from ops.orders.calls import CALLS, OrderCalls

AMEND = ("amend", "binance", "ID", "--price", "50.0")
CANCEL = ("cancel", "binance", "ID")
CANCEL_ALL = ("cancel-all", "binance")
PLACE = ("place", "binance", "BTCUSDT", "buy", "1")
CONFIRM = ("confirm", "r1")
OCO = ("oco", "binance", "BTCUSDT", "sell", "1", "--stop", "1", "--trail", "2")


def order(state, price="50", **terms):
    content = orders_pb2.OrderContent(price=price, **terms)
    return orders_pb2.Order(content=content, state=f"ORDER_STATE_{state}")


def one(kind, state, **more):
    return kind(order=order(state, **more))


def placed(state):
    return one(trade_flow_pb2.PlaceOrderResponse, state)


def amended(state, price="50"):
    return one(trade_flow_pb2.AmendOrderResponse, state, price=price)


def cancelled(state):
    return one(trade_flow_pb2.CancelOrderResponse, state)


def grouped(*states):
    return batches_pb2.PlaceOrderGroupResponse(orders=map(order, states))


def submitted(*states, verdict="ALLOW", outcome="TAKEN"):
    answer = inspector_pb2.SubmitManualResponse(lifecycle_id=bytes(16))
    answer.verdict.verdict = f"VERDICT_{verdict}"
    check = answer.verdict.checks.add(name="order_notional_max", projected="60000", limit="500")
    check.result = checks_pb2.CHECK_RESULT_BLOCKED
    if outcome:
        answer.submitted.outcome = f"SUBMISSION_OUTCOME_{outcome}"
        answer.submitted.orders.extend(map(order, states))
    return answer


def proposed(state):
    answer = inspector_pb2.SubmitManualResponse(lifecycle_id=bytes(16))
    answer.proposal.state = f"PROPOSAL_STATE_{state}"
    return answer


def all_cancelled(*states, left=()):
    return trade_flow_pb2.CancelAllOrdersResponse(
        orders=map(order, states), left_open=map(order, left)
    )


@pytest.mark.parametrize(
    ("words", "answer", "exit_code"),
    [
        (PLACE, placed("OPEN"), 0),
        (PLACE, placed("ACKNOWLEDGED"), 0),
        (PLACE, placed("EXPIRED"), 0),
        (PLACE, placed("REJECTED"), 3),
        (PLACE, placed("UNKNOWN"), 4),
        (PLACE, placed("SENT"), 4),
        (PLACE, submitted("OPEN"), 0),
        (PLACE, submitted("REJECTED"), 3),
        (PLACE, submitted(outcome=""), 4),
        (PLACE, proposed("PENDING"), 4),
        (PLACE, proposed("EXPIRED"), 1),
        (CONFIRM, submitted("REJECTED"), 3),
        (CONFIRM, submitted("OPEN"), 0),
        (PLACE, submitted(outcome="REFUSED"), 1),
        (PLACE, submitted(outcome="EXPIRED"), 1),
        (PLACE, submitted(verdict="BLOCK", outcome=""), 1),
        (OCO, submitted("OPEN", "UNKNOWN"), 4),
        (CANCEL, submitted("CANCELLED"), 0),
        (OCO, grouped("OPEN", "OPEN"), 0),
        (OCO, grouped("OPEN", "REJECTED"), 3),
        (OCO, grouped("REJECTED", "UNKNOWN"), 4),
        (AMEND, amended("OPEN"), 0),
        (AMEND, amended("OPEN", price="49"), 4),
        (AMEND, amended("UNKNOWN"), 4),
        (CANCEL, cancelled("CANCELLED"), 0),
        (CANCEL, cancelled("FILLED"), 0),
        (CANCEL, cancelled("OPEN"), 4),
        (CANCEL, cancelled("UNKNOWN"), 4),
        (CANCEL_ALL, all_cancelled("CANCELLED"), 0),
        (CANCEL_ALL, all_cancelled("CANCELLED", left=["OPEN"]), 5),
        (CANCEL_ALL, all_cancelled("CANCELLED", "UNKNOWN", left=["OPEN"]), 4),
        (("show", "binance", "ID"), one(trade_flow_pb2.GetOrderResponse, "REJECTED"), 0),
    ],
)
def test_answer_has_its_exit_code(words, answer, exit_code):
    assert outcomes.of_answer(answer, parsed("order", list(words))) == exit_code


def test_amended_size_of_a_group_is_not_compared():
    answer = trade_flow_pb2.AmendOrderResponse(
        order=order("OPEN", size="2", group=orders_pb2.OrderGroup(group_id="g"))
    )
    assert outcomes.of_answer(answer, parsed("order", [*AMEND, "--size", "3"])) == 0
    answer.order.content.ClearField("group")
    assert outcomes.of_answer(answer, parsed("order", [*AMEND, "--size", "3"])) == 4


@pytest.fixture
def answering(monkeypatch):
    """Runs a command whose call has this answer, or fails with this error."""

    @asynccontextmanager
    async def connected(mesh):
        async with grpc.aio.insecure_channel(mesh.address) as channel:
            yield channel

    async def no_signer(*arguments):
        return None

    nowhere = gateway.Gateway("http://127.0.0.1:1", "127.0.0.1:1", False)
    monkeypatch.setattr(gateway, "require", lambda chosen: nowhere)
    monkeypatch.setattr(gateway, "connected", connected)
    monkeypatch.setattr(signing, "signer", no_signer)

    def run(words, answer):
        async def call(calls):
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setitem(CALLS, words[0], call)
        return main(["order", *words])

    return run


def failed(error):
    metadata = grpc.aio.Metadata(*error_details.trailing_metadata(error))
    return grpc.aio.AioRpcError(error.code, grpc.aio.Metadata(), metadata, error.message)


NOT_READY = AccountNotReady("it takes no orders", account="main", state="", detail="")
NOT_AMENDED = InvalidOrder("it was not amended: halted", field="content", value="", allowed="")
WRONG_PRICE = InvalidOrder("price is '1'", field="price", value="1", allowed="")


@pytest.mark.parametrize(
    ("words", "answer", "exit_code", "printed"),
    [
        (PLACE, placed("OPEN"), 0, "open"),
        (PLACE, placed("REJECTED"), 3, "rejected"),
        (PLACE, failed(NOT_READY), 1, "ACCOUNT_NOT_READY"),
        (PLACE, submitted(outcome=""), 4, "repeat it with --id"),
        (PLACE, submitted("OPEN"), 0, f"audit why event {bytes(16).hex()}"),
        (PLACE, submitted(verdict="BLOCK", outcome=""), 1, "order_notional_max"),
        (PLACE, submitted(verdict="BLOCK", outcome=""), 1, "500"),
        (PLACE, submitted(outcome="REFUSED"), 1, "nothing was sent"),
        (PLACE, failed(VenueUnavailable("no answer")), 4, "repeat it with --id"),
        (CANCEL, failed(VenueUnavailable("no answer")), 4, "VENUE_UNAVAILABLE"),
        (AMEND, failed(NOT_AMENDED), 3, "halted"),
        (AMEND, failed(WRONG_PRICE), 1, "price is '1'"),
        (("list", "binance"), failed(VenueUnavailable("no answer")), 1, "VENUE_UNAVAILABLE"),
        (("place", "binance"), None, 2, "required: SYMBOL"),
    ],
)
def test_command_ends_with_the_exit_code(answering, capsys, words, answer, exit_code, printed):
    assert answering(words, answer) == exit_code
    shown = capsys.readouterr()
    assert printed in shown.out + shown.err


def test_flatten_that_leaves_something_open_has_an_exit_code_of_its_own(
    answering, capsys, monkeypatch
):
    left = [{"symbol": "BTCUSDT", "found": "1", "detail": "rejected: halted"}]

    class Stub:
        async def Flatten(self, request, **options):
            return flatten_pb2.FlattenResponse(left_open=left)

    class Inspector:
        async def SubmitManual(self, request, **options):
            return inspector_pb2.SubmitManualResponse()

    async def flatten(calls):
        calls._stub, calls._inspector = Stub(), Inspector()
        async for answer in OrderCalls._flatten(calls):
            yield answer

    monkeypatch.setattr(OrderCalls, "answers", flatten)
    assert answering(("flatten", "binance", "--yes"), None) == 5
    assert "left open: BTCUSDT 1 rejected: halted" in capsys.readouterr().err
