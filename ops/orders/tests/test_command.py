"""What ``./venuemesh order`` says when a request fails."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from venuemesh.tradeflow.v1 import trade_flow_pb2

from ops import gateway
from ops.cli import parsed
from ops.commands import order
from ops.errors import OperationsError
from ops.orders.calls import OrderCalls
from ops.tables import console

MESH = SimpleNamespace(mesh_id="local", world="simulate", gateway="http://127.0.0.1:1")
"""A mesh whose gateway does not answer."""


@pytest.fixture
def failure(tmp_path, monkeypatch):
    """Runs a command that fails, and returns its text."""
    monkeypatch.setattr(gateway.state, "read", lambda data: MESH)
    monkeypatch.setattr(gateway.data_folder, "in_use", lambda data: True)

    def run(*words):
        with pytest.raises(OperationsError) as caught:
            order.run(parsed("order", [*words, "--data", str(tmp_path)]))
        return str(caught.value)

    return run


def test_order_that_may_have_been_placed_is_repeated_with_its_id(failure):
    text = failure("place", "binance", "BTCUSDT", "buy", "1", "--id", "r1")
    assert text.startswith("UNAVAILABLE: ")
    assert "repeat it with --id r1" in text
    group = ("oco", "binance", "BTCUSDT", "buy", "1", "--stop", "1", "--trail", "2")
    assert "repeat it with --id " in failure(*group)
    assert "--id" not in failure("list", "binance")


def test_inspector_that_does_not_answer_is_named_with_what_works_without_it(failure):
    text = failure("place", "binance", "BTCUSDT", "buy", "1")
    assert "the inspector approves orders, and it did not answer" in text
    assert "--key" in text
    assert "inspector" not in failure("cancel", "binance", "ID")


def test_order_that_is_no_text_is_one_line(failure):
    assert "is no text in UTF-8" in failure("place", "binance", "BTCUSDT", "buy", "\udcff")


def test_heartbeat_needs_a_key(failure):
    assert "--key" in failure("heartbeat", "binance")


@pytest.mark.parametrize("words", [(), ("--include-protective",)])
async def test_cancel_all_includes_protective_orders_if_it_is_told_to(words):
    asked = []

    async def cancel_all(request, **options):
        asked.append(request)
        return trade_flow_pb2.CancelAllOrdersResponse()

    chosen = parsed("order", ["cancel-all", "binance", *words])
    channel = SimpleNamespace(unary_unary=Mock(return_value=cancel_all), unary_stream=Mock())
    calls = OrderCalls(channel, None, chosen)
    async for _ in calls.answers():
        pass
    assert [one.include_protective for one in asked] == [bool(words)]
    assert not asked[0].HasField("approved")


def test_brackets_in_texts_of_venues_are_printed():
    shown_here = console()
    with shown_here.capture() as shown:
        shown_here.print("order", "[bold]EOrder[/x]")
    assert "[bold]EOrder[/x]" in shown.get()
