"""Lists alike: every one is paged, with the same fields."""

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from gateway import service_contracts

CONTRACTS = service_contracts.load()
MESSAGES = {
    f"{file.package}.{message.name}": message
    for file in CONTRACTS.descriptors.file
    for message in file.message_type
}
LISTS = [
    method
    for contract in CONTRACTS.services
    for method in contract.methods
    if method.name.startswith("List")
]
# Of requests, from the beginning. The type of a field is its encoding, which cannot change. JSON
# and generated code do not differ.
VARIABLE_LENGTH_TIMES = {
    "venuemesh.history.v1.TimeRange.start_time_ns",
    "venuemesh.history.v1.TimeRange.end_time_ns",
    "venuemesh.marketdata.v1.ListTradesRequest.start_time_ns",
    "venuemesh.marketdata.v1.ListCandlesRequest.start_time_ns",
}


@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.request)
def test_a_list_is_paged(method):
    request = {field.name: field.type for field in MESSAGES[method.request].field}
    response = {field.name: field.type for field in MESSAGES[method.response].field}
    assert request["page_size"] == FieldDescriptorProto.TYPE_UINT32
    assert request["page_token"] == FieldDescriptorProto.TYPE_STRING
    assert response["next_page_token"] == FieldDescriptorProto.TYPE_STRING


def test_a_time_is_a_number_of_fixed_length():
    other = {
        f"{name}.{field.name}"
        for name, message in MESSAGES.items()
        for field in message.field
        if name.startswith("venuemesh.")
        and field.name.endswith("_time_ns")
        and field.type != FieldDescriptorProto.TYPE_SFIXED64
    }
    assert other == VARIABLE_LENGTH_TIMES


def test_rest_paths_are_alike():
    paths = {
        (method.binding.verb, method.binding.path)
        for contract in CONTRACTS.services
        for method in contract.methods
        if method.binding
    }
    collections = {path.split("/")[2].partition(":")[0] for _, path in paths}
    for name in collections:
        assert f"{name}s" not in collections, f"/v1/{name} and /v1/{name}s"
