"""The tools that are made of the REST API."""

import re

import pytest
from jsonschema import Draft202012Validator

from gateway import service_contracts
from gateway.mcp.tests.catalogs import catalog, document
from gateway.mcp.tools import DEFAULT_TOOLS, TOOLSETS, ToolCatalog, toolset_of
from kit.base.access.roles import Role

NAME = re.compile(r"[a-z][a-z0-9_]{2,63}")
METHODS = [
    (contract, method)
    for contract in service_contracts.load().services
    for method in contract.methods
    if method.binding
]
LISTED_BYTES_MAX = 120_000


def test_each_operation_that_reads_once_is_a_tool_and_no_other():
    expected = {
        (method.binding.verb, method.binding.path)
        for _, method in METHODS
        if not method.streams and not method.is_mutating
    }
    assert {(tool.verb, tool.path) for tool in catalog().tools.values()} == expected
    assert len(catalog().tools) == len(expected)


def test_with_trading_a_trader_proposes_orders_and_nothing_else_is_added():
    trading = ToolCatalog(document(), has_trading=True)
    (name,) = trading.tools.keys() - catalog().tools.keys()
    tool = trading.tools[name]
    assert name == "risk_submit_manual"
    assert (tool.is_read_only, tool.roles, tool.is_default) == (False, {Role.TRADER}, True)
    assert all(one.is_read_only for one in catalog().tools.values())


def test_models_may_call_no_other_method_that_changes_something():
    allowed = {f"{contract.name}/{method.name}" for contract, method in METHODS
               if method.models_may_call}  # fmt: skip
    assert allowed == {"venuemesh.inspector.v1.Inspector/SubmitManual"}


@pytest.mark.parametrize("tool", catalog().tools.values(), ids=lambda tool: tool.name)
def test_a_tool_is_described(tool):
    assert NAME.fullmatch(tool.name)
    assert tool.title
    assert tool.roles
    Draft202012Validator.check_schema(tool.input_schema)
    assert "Roles:" not in tool.description
    assert not [name for name in tool.input_schema["properties"] if "." in name or "_ns" in name]
    fields = {argument.field for argument in tool.arguments.values()}
    operation = document()["paths"][tool.path][tool.verb.lower()]
    assert fields == {parameter["name"] for parameter in operation["parameters"]}


def test_each_contract_of_a_toolset_is_there():
    there = {contract.name.rpartition(".")[2] for contract, _ in METHODS}
    assert {name for names in TOOLSETS.values() for name in names} <= there
    assert toolset_of("TradeFlow") == "orders"
    assert toolset_of("NewThing") == "new_thing"


def test_the_default_is_short():
    listed = catalog().of_toolsets(frozenset())
    assert {tool.name for tool in listed} == DEFAULT_TOOLS
    assert {tool.toolset for tool in listed} == TOOLSETS.keys()
    # With the two that lead to the others.
    assert 20 <= len(listed) + 2 <= 25


def test_toolsets_are_chosen():
    ledger = catalog().of_toolsets(frozenset({"ledger"}))
    assert {tool.toolset for tool in ledger} == {"ledger"}
    assert len(catalog().of_toolsets(frozenset({"all"}))) == len(catalog().tools)


def test_an_enum_has_its_values():
    properties = catalog().tools["history_list_trades"].input_schema["properties"]
    assert properties["order"]["enum"] == ["SORT_ORDER_OLDEST_FIRST", "SORT_ORDER_NEWEST_FIRST"]


def test_reasons_have_remedies():
    assert catalog().remedies["BAD_REQUEST"].endswith("Correct the request.")
