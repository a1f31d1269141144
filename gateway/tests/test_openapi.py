"""The OpenAPI document: a kept validator accepts it, and it says what the contracts say."""

import openapi_spec_validator
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory

from gateway import openapi, service_contracts

CONTRACTS = service_contracts.load()
DOCUMENT = openapi.document(CONTRACTS, "session")
BOUND = [method for contract in CONTRACTS.services for method in contract.methods if method.binding]
SUMMARY_LENGTH_MAX = 140


def operation(method):
    return DOCUMENT["paths"][method.binding.path][method.binding.verb.lower()]


def parse(full_name, example):
    descriptor = descriptor_pool.Default().FindMessageTypeByName(full_name)
    return json_format.ParseDict(example, message_factory.GetMessageClass(descriptor)())


def test_a_validator_accepts_the_document():
    kind = openapi_spec_validator.OpenAPIV31SpecValidator
    assert [str(error) for error in kind(DOCUMENT).iter_errors()] == []


@pytest.mark.parametrize("method", BOUND, ids=lambda method: method.request)
def test_an_operation_is_described(method):
    described = operation(method)
    assert described["description"].startswith(described["summary"])
    assert len(described["summary"]) <= SUMMARY_LENGTH_MAX
    assert {"200", "401", "403", "429", "default"} == set(described["responses"])
    roles = {role for way in described["security"] for needed in way.values() for role in needed}
    assert roles == set(method.roles) != set()
    assert {scheme for way in described["security"] for scheme in way} == {"bearer", "session"}
    assert described["x-read-only"] is not method.is_mutating
    assert described["x-streaming"] is method.streams


def test_an_operation_says_whether_it_changes_nothing():
    def is_read_only(path, verb):
        return DOCUMENT["paths"][path][verb]["x-read-only"]

    assert is_read_only("/v1/history/{venue}/gaps", "get")
    assert is_read_only("/v1/advisor:decide", "post")
    assert not is_read_only("/v1/inspector/orders", "post")


@pytest.mark.parametrize("method", BOUND, ids=lambda method: method.request)
def test_examples_are_messages(method):
    described = operation(method)
    ((media, content),) = described["responses"]["200"]["content"].items()
    assert media == ("application/x-ndjson" if method.streams else "application/json")
    answer = parse(method.response, content["example"])
    assert answer.ByteSize() or not answer.DESCRIPTOR.fields
    if method.binding.has_body:
        body = described["requestBody"]["content"]["application/json"]
        assert set(body["example"]) <= set(body["schema"]["properties"])
        path = dict.fromkeys(method.binding.fields, "x")
        parse(method.request, body["example"] | path)
    for parameter in described["parameters"]:
        assert parameter["in"] == "query" or parameter["example"]


def test_limits_and_defaults_are_those_of_the_contracts():
    described = DOCUMENT["paths"]["/v1/venues/{venue}/instruments"]["get"]
    parameters = {parameter["name"]: parameter["schema"] for parameter in described["parameters"]}
    size = {"type": "integer", "minimum": 0, "maximum": 1000, "default": 200}
    assert parameters["page_size"] == size
    assert parameters["venue"] == {"type": "string", "maxLength": 64}
    symbols = DOCUMENT["components"]["schemas"]["venuemesh.live.v1.Selector"]["properties"]
    assert symbols["symbols"]["maxItems"] == 10_000


def test_every_page_size_has_its_limits():
    for path, verbs in DOCUMENT["paths"].items():
        for described in verbs.values():
            for parameter in described["parameters"]:
                if parameter["name"] == "page_size":
                    assert {"maximum", "default"} <= set(parameter["schema"]), path


def test_required_fields_are_fields():
    messages = {
        message.name: {field.name for field in message.field}
        for file in CONTRACTS.descriptors.file
        for message in file.message_type
    }
    for name, fields in openapi.REQUIRED.items():
        assert set(fields) <= messages[name]


def test_a_required_field_is_said_to_be_required():
    described = DOCUMENT["paths"]["/v1/repairs"]["post"]["requestBody"]["content"]
    assert described["application/json"]["schema"]["required"] == ["venue", "symbol"]
    described = DOCUMENT["paths"]["/v1/venues/{venue}/balances"]["get"]["parameters"]
    assert {one["name"] for one in described if one["required"]} == {"venue", "account"}
