"""Documents and tasks for models."""

import re

import pytest

from gateway.mcp import guides, tasks
from gateway.mcp.call_errors import InvalidCall
from gateway.mcp.tests.catalogs import catalog

FILL = {"venue": "okx", "account": "main", "symbol": "BTC-USDT", "fill_id": "7"}
ARGUMENTS = {"investigate_gap": {"venue": "okx"}, "explain_fill": FILL, "morning_check": {}}
TOOL = re.compile(r"\b(?:history|mesh|market|orders|risk|ledger|strategy)_[a-z_]+")


def test_runbooks_and_guides_can_be_read():
    found = guides.guides()
    assert found["venuemesh://runbooks/gaps-frequent"].read().startswith("# ")
    assert found["venuemesh://guides/schema"].title == "The database"
    assert found["venuemesh://strategies/trend"].title
    assert not [uri for uri in found if "README" in uri]


def test_an_image_without_the_documents_has_none(tmp_path):
    assert guides.guides(tmp_path) == {}


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_task_names_tools_and_documents_that_are_there(name):
    text = tasks.text_of(name, ARGUMENTS[name])
    named = set(TOOL.findall(text))
    assert named
    assert named <= catalog().tools.keys()
    there = guides.guides()
    assert all(uri in there for uri in re.findall(r"venuemesh://[a-z/-]+[a-z]\b(?!/)", text))
    assert all(value in text for value in ARGUMENTS[name].values())


def test_a_value_of_a_task_has_no_hidden_characters():
    assert "okx2" in tasks.text_of("investigate_gap", {"venue": "okx\u200b\x002"})


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("investigate_gaps", {}, "did you mean 'investigate_gap'"),
        ("investigate_gap", {}, "each required: venue"),
        ("investigate_gap", {"venue": "a", "more": "b"}, "each required: venue"),
        ("investigate_gap", {"venue": "a" * 1_000}, "at most 128 characters"),
    ],
)
def test_a_wrong_task_is_an_error_of_the_protocol(name, arguments, reason):
    with pytest.raises(InvalidCall, match=reason):
        tasks.text_of(name, arguments)
