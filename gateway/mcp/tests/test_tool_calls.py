"""Calls of tools, with a gateway that answers what a test says."""

import pytest
from jsonschema import Draft202012Validator

from gateway.mcp.call_errors import InvalidCall
from gateway.mcp.gateway_client import CallFailed
from gateway.mcp.tests.catalogs import CHARACTERS_MAX, FakeGateway, by, calls_of, catalog
from gateway.mcp.tool_calls import EMPTY, MORE_ROWS
from gateway.tests.fakes import StillClock
from kit.base.access.roles import Role

BOOK = {"venue": "kraken", "symbol": "BTC/USDT"}
LONG = "x" * 60


def trades(count, token=""):
    rows = [{"trade_id": str(number), "price": "1.5", "side": LONG} for number in range(count)]
    return {"trades": rows, "next_page_token": token}


async def call(gateway, name, arguments, *roles):
    return await calls_of(gateway).call(name, arguments, by(*roles))


async def test_a_call_has_the_callers_token_and_his_arguments():
    gateway = FakeGateway({"symbol": "BTC/USDT"})
    await call(gateway, "market_get_order_book", BOOK | {"depth": 5})
    ((request, headers),) = gateway.requests
    assert request.path == "/v1/venues/kraken/instruments/BTC%2FUSDT/book"
    assert request.query == [("depth", "5")]
    assert headers["authorization"] == "Bearer secret"


async def test_arguments_become_fields_of_the_request():
    gateway = FakeGateway({})
    arguments = BOOK | {"start_time": "-1h", "order": "SORT_ORDER_NEWEST_FIRST", "page_size": 7}
    await call(gateway, "history_list_trades", arguments)
    hour_ago = StillClock().now_ns - 3_600_000_000_000
    assert gateway.query == {
        "range.start_time_ns": str(hour_ago),
        "order": "SORT_ORDER_NEWEST_FIRST",
        "page_size": "7",
    }


async def test_lists_and_booleans_become_queries():
    gateway = FakeGateway({})
    groupings = ["ORDER_COSTS_GROUPING_VENUE", "ORDER_COSTS_GROUPING_STRATEGY"]
    await call(gateway, "history_summarize_order_costs", {"groupings": groupings})
    assert gateway.requests[0][0].query == [("groupings", one) for one in groupings]
    await call(gateway, "ledger_list_holds", {"pending_only": True})
    assert gateway.query["pending_only"] == "true"


async def test_an_operation_with_a_body_gets_it_as_it_is():
    gateway = FakeGateway({"decision": {}})
    tool = catalog().tools["strategy_decide"]
    name = next(iter(tool.input_schema["properties"]))
    await call(gateway, tool.name, {name: {}})
    assert gateway.requests[0][0].body == {name: {}}


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("market_get_orderbook", {}, "did you mean 'market_get_order_book'"),
        ("market_get_order_book", BOOK | {"dept": 1}, "did you mean 'depth'"),
        ("market_get_order_book", {"venue": "kraken"}, "'symbol' is a required property"),
        ("market_get_order_book", BOOK | {"depth": "many"}, "depth: 'many' is not of type"),
        ("market_get_order_book", BOOK | {"venue": "k" * 100_000}, "venue: 'kkkk"),
        ("history_list_trades", BOOK | {"start_time": "now"}, "'now' is no time"),
        ("history_list_trades", BOOK | {"page_size": 5_000}, "greater than the maximum of 500"),
        ("history_list_trades", BOOK | {"order": "NEWEST"}, "'NEWEST' is not one of"),
        ("mesh_list_tokens", {}, "needs the role admin; model has viewer"),
    ],
)
async def test_a_wrong_call_is_an_error_of_the_protocol(name, arguments, reason):
    gateway = FakeGateway({})
    with pytest.raises(InvalidCall) as caught:
        await call(gateway, name, arguments)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 1_000
    assert gateway.requests == []


async def test_a_role_is_enough_for_its_tools():
    gateway = FakeGateway({"tokens": [{"token_id": "t-1"}]})
    result = await call(gateway, "mesh_list_tokens", {}, Role.ADMIN)
    assert result.content["answer"]["tokens"]["rows"] == [["t-1"]]


async def test_a_failed_call_says_why_and_what_to_do_next():
    failure = CallFailed("UNKNOWN_INSTRUMENT", "kraken does not list\x00 X", {})
    result = await call(FakeGateway(failure), "market_get_order_book", BOOK)
    assert result.failed
    first, second = result.text.splitlines()
    assert first == "UNKNOWN_INSTRUMENT: kraken does not list X"
    assert "market_list_instruments" in second
    assert result.content == {}


async def test_a_reason_without_a_step_of_its_own_has_the_remedy_of_the_contract():
    failure = CallFailed("STORE_UNAVAILABLE", "away", {"allowed": "later"})
    result = await call(FakeGateway(failure), "ledger_get_equity", {})
    assert "Allowed: later" in result.text
    assert "Try again later." in result.text


async def test_a_list_has_pages_that_a_model_can_read():
    gateway = FakeGateway(trades(3, token="t"))
    result = await call(gateway, "history_list_trades", BOOK)
    assert gateway.query["page_size"] == "50"
    assert MORE_ROWS in result.content["notes"]
    await call(gateway, "history_list_trades", BOOK | {"page_token": "t"})
    assert gateway.query["page_token"] == "t"


async def test_a_page_that_is_too_long_is_read_again_with_fewer_rows():
    gateway = FakeGateway(lambda request: trades(int(dict(request.query)["page_size"]), token="t"))
    result = await call(gateway, "history_list_trades", BOOK | {"page_size": 500})
    assert len(result.text) <= CHARACTERS_MAX
    shown = len(result.content["answer"]["trades"]["rows"])
    assert shown == int(gateway.query["page_size"])
    assert shown > 10


async def test_an_answer_without_pages_is_cut_and_says_so():
    levels = [{"price": LONG, "size": "1"} for _ in range(1_000)]
    gateway = FakeGateway({"bids": levels, "asks": levels[:2]})
    result = await call(gateway, "market_get_order_book", BOOK)
    assert len(result.text) <= CHARACTERS_MAX
    kept = len(result.content["answer"]["bids"]["rows"])
    assert f"the first {kept} of 1000 rows" in " ".join(result.content["notes"])
    assert len(result.content["answer"]["asks"]["rows"]) == 2
    validator = Draft202012Validator(catalog().tools["market_get_order_book"].output_schema)
    validator.validate(result.content)


async def test_an_empty_list_is_said_to_be_empty():
    result = await call(FakeGateway(trades(0)), "history_list_trades", BOOK)
    assert result.content == {"answer": {}, "notes": [EMPTY]}


async def test_columns_are_chosen():
    gateway = FakeGateway(trades(2))
    arguments = BOOK | {"columns": ["price", "trade_id"]}
    result = await call(gateway, "history_list_trades", arguments)
    table = {"columns": ["trade_id", "price"], "rows": [["0", "1.5"], ["1", "1.5"]]}
    assert result.content["answer"]["trades"] == table
    with pytest.raises(InvalidCall, match="no column 'prize'; did you mean 'price'"):
        await call(gateway, "history_list_trades", BOOK | {"columns": ["prize"]})
