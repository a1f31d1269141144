"""Limits of requests: stated once as a rule, in the comment as the same number."""

import re

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from gateway import service_contracts

CONTRACTS = service_contracts.load()
RANGE = re.compile(r"\b(\d+) to (\d+)\b")
CHECKED = {"string.max_len", "repeated.max_items", "uint32.lte"}
"""What kit/base/request_rules knows."""


def _fields():
    for file in CONTRACTS.descriptors.file:
        if not file.name.startswith("venuemesh/"):
            continue
        comments = {
            tuple(place.path): " ".join(place.leading_comments.split())
            for place in file.source_code_info.location
        }
        for number, message in enumerate(file.message_type):
            for place, field in enumerate(message.field):
                name = f"{file.package}.{message.name}.{field.name}"
                yield name, field, comments.get((4, number, 2, place), "")


FIELDS = {name: (field, comment) for name, field, comment in _fields()}
REQUESTS = {
    name: found for name, found in FIELDS.items() if name.split(".")[-2].endswith("Request")
}


def _rules(field):
    return field.options.Extensions[validate_pb2.field]


def test_only_rules_are_used_that_every_process_checks():
    for name, (field, _) in FIELDS.items():
        for kind, rules in _rules(field).ListFields():
            used = {f"{kind.name}.{rule.name}" for rule, _ in rules.ListFields()}
            assert used <= CHECKED, name


@pytest.mark.parametrize("name", [name for name in REQUESTS if name.endswith("page_size")])
def test_the_comment_of_a_page_size_states_the_limit(name):
    field, comment = REQUESTS[name]
    assert int(RANGE.search(comment)[2]) == _rules(field).uint32.lte
    assert "0 means" in comment


def test_numbers_with_a_range_have_a_rule():
    for name, (field, comment) in REQUESTS.items():
        found = RANGE.search(comment)
        if field.type == FieldDescriptorProto.TYPE_UINT32 and found:
            assert int(found[2]) == _rules(field).uint32.lte, name


def test_ids_in_requests_have_a_length():
    for name, (field, _) in REQUESTS.items():
        if field.name in {"venue", "symbol", "service_id", "page_token"}:
            signed = {"venuemesh.tradeflow.v1.HeartbeatRequest"}
            processes = "venuemesh.registry.v1."
            if name.rpartition(".")[0] not in signed and not name.startswith(processes):
                assert _rules(field).string.max_len, name
