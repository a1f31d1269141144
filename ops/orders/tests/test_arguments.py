"""Command-line arguments become an order."""

from functools import partial

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from ops.cli import main, parsed
from ops.errors import OperationsError
from ops.orders import arguments, groups


def content(*words):
    chosen = parsed("order", ["place", "binance", "BTCUSDT", "buy", "0.5", *words])
    return arguments.content(chosen)


@pytest.mark.parametrize(
    ("words", "type_name", "price", "stop_price"),
    [
        ([], "MARKET", "", ""),
        (["--price", "60000"], "LIMIT", "60000", ""),
        (["--stop", "59000"], "STOP", "", "59000"),
        (["--stop", "59000", "--price", "58990"], "STOP_LIMIT", "58990", "59000"),
        (["--take-profit", "7"], "TAKE_PROFIT", "", "7"),
        (["--take-profit", "7", "--price", "8"], "TAKE_PROFIT_LIMIT", "8", "7"),
        (["--trail", "12.5"], "TRAILING_STOP", "", ""),
    ],
)
def test_prices_say_the_type(words, type_name, price, stop_price):
    found = content(*words)
    assert found.type == orders_pb2.OrderType.Value(f"ORDER_TYPE_{type_name}")
    assert (found.price, found.stop_price) == (price, stop_price)


def test_all_of_it_is_in_the_order():
    found = content("--price", "1", "--lifetime", "ioc", "--post-only", "--account", "desk")
    assert (found.venue, found.account, found.symbol) == ("binance", "desk", "BTCUSDT")
    assert (found.side, found.size) == (types_pb2.SIDE_BUY, "0.5")
    assert found.time_in_force == orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
    assert found.post_only
    assert not found.reduce_only
    assert not found.self_trade_prevention


def test_self_trade_prevention_is_in_orders_and_groups():
    found = content("--self-trade", "cancel-maker")
    assert found.self_trade_prevention == orders_pb2.SELF_TRADE_PREVENTION_CANCEL_MAKER
    words = ["bracket", "binance", "BTCUSDT", "buy", "1", "--stop", "9", "--self-trade", "allow"]
    members = groups.contents(parsed("order", words)).values()
    assert {one.self_trade_prevention for one in members} == {
        orders_pb2.SELF_TRADE_PREVENTION_ALLOW
    }


def test_a_request_id_is_new_unless_it_is_named():
    given = ["place", "binance", "BTCUSDT", "buy", "1"]
    parse = partial(parsed, "order")
    assert arguments.request_id(parse([*given, "--id", "mine"])) == "mine"
    assert len({arguments.request_id(parse(given)) for _ in range(5)}) == 5


@pytest.mark.parametrize(
    "words",
    [
        ["place", "binance", "BTCUSDT", "hold", "1"],
        ["place", "binance", "BTCUSDT", "buy", "1", "--stop", "1", "--trail", "2"],
        ["cancel", "binance"],
        ["amend", "binance", "ID", "--siz", "1"],
        ["nothing"],
        [],
    ],
)
def test_error_of_a_verb_is_one_line(words, capsys):
    assert main(["order", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def amended(*words):
    content = orders_pb2.OrderContent(
        symbol="BTCUSDT", size="2", price="100", stop_price="99", post_only=True
    )
    chosen = parsed("order", ["amend", "binance", "ID", *words])
    return arguments.amended(orders_pb2.Order(content=content), chosen), content


def test_amendment_changes_the_named_fields_only():
    found, before = amended("--size", "3", "--stop-price", "98")
    assert (found.size, found.stop_price) == ("3", "98")
    found.size, found.stop_price = before.size, before.stop_price
    assert found == before


def test_amendment_of_nothing_is_rejected():
    with pytest.raises(OperationsError, match="at least one of --size, --price, --stop-price"):
        amended()


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "18446744073709551616", "\u0661"])
def test_epoch_that_the_contract_cannot_have_is_wrong_use(text, capsys):
    words = ["cancel", "binance", "ID", "--key", "k", f"--epoch={text}"]
    assert main(["order", *words]) == 2
    assert "a whole number from 0 to 18446744073709551615" in capsys.readouterr().err
