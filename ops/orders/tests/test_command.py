"""What ``./venuemesh order`` says when a request fails."""

from types import SimpleNamespace

import pytest

from ops.commands import order
from ops.errors import OperationsError

MESH = SimpleNamespace(mesh_id="local", world="simulate", gateway="http://127.0.0.1:1")
"""A mesh whose gateway does not answer."""


@pytest.fixture
def failure(tmp_path, monkeypatch):
    """Runs a command that fails, and returns its text."""
    monkeypatch.setattr(order.state, "read", lambda data: MESH)

    def run(*words):
        with pytest.raises(OperationsError) as caught:
            order.run([*words, "--data", str(tmp_path)])
        return str(caught.value)

    return run


def test_order_that_may_have_been_placed_is_repeated_with_its_id(failure):
    text = failure("place", "binance", "BTCUSDT", "buy", "1", "--id", "r1")
    assert text.startswith("UNAVAILABLE: ")
    assert "repeat it with --id r1" in text
    group = ("oco", "binance", "BTCUSDT", "buy", "1", "--stop", "1", "--trail", "2")
    assert "repeat it with --id " in failure(*group)
    assert "--id" not in failure("list", "binance")


@pytest.mark.parametrize(
    ("size", "reason"),
    [("abc", "size is 'abc'"), ("1e999999", "size is"), ("\udcff", "is no text in UTF-8")],
)
def test_order_that_cannot_be_signed_is_one_line(failure, size, reason):
    assert reason in failure("place", "binance", "BTCUSDT", "buy", size)


def test_brackets_in_texts_of_venues_are_printed():
    with order._console.capture() as shown:
        order._console.print("order", "[bold]EOrder[/x]")
    assert "[bold]EOrder[/x]" in shown.get()
