"""JSON bodies as Envoy passes them on: in a field that no contract has."""

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from venuemesh.admin.v1 import admin_pb2
from venuemesh.inspector.v1 import inspector_pb2

from kit.base import rest_body
from kit.base.errors import BadRequest

Manual = inspector_pb2.SubmitManualRequest
LogLevel = admin_pb2.SetLogLevelRequest


def _envelope() -> type:
    """A message with nothing but the field of the body."""
    file = FileDescriptorProto(name="envelope.proto", package="t")
    message = file.message_type.add(name="Envelope")
    message.field.add(
        name="body",
        number=rest_body.FIELD_NUMBER,
        label=FieldDescriptorProto.LABEL_OPTIONAL,
        type=FieldDescriptorProto.TYPE_BYTES,
    )
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("t.Envelope"))


Envelope = _envelope()


def received(request, body: bytes):
    """The request of a process: the fields of the path, and the body."""
    data = HttpBody(content_type="application/json", data=body).SerializeToString()
    sent = request.SerializeToString() + Envelope(body=data).SerializeToString()
    return type(request).FromString(sent)


def read(request, body: bytes):
    got = received(request, body)
    rest_body.read_into(got)
    return got


def test_the_body_is_read_into_the_request() -> None:
    body = b'{"request_id": "r", "content": {"venue": "binance", "reduceOnly": true}}'
    content = {"venue": "binance", "reduce_only": True}
    assert read(Manual(), body) == Manual(request_id="r", content=content)


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_body_may_say_nothing(body: bytes) -> None:
    assert read(LogLevel(service_id="bars"), body) == LogLevel(service_id="bars")


def test_a_request_without_a_body_is_unchanged() -> None:
    request = LogLevel(service_id="bars", level="debug")
    rest_body.read_into(request)
    assert request == LogLevel(service_id="bars", level="debug")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"reqest_id": "r"}', '"reqest_id" at "SubmitManualRequest"'),
        (b'{"content": {"reduceonly": true}}', '"reduceonly" at "SubmitManualRequest.content"'),
        (b'{"others": [{}, {"sise": "1"}]}', '"sise" at "SubmitManualRequest.others[1]"'),
    ],
)
def test_an_unknown_field_is_refused_and_named(body: bytes, where: str) -> None:
    with pytest.raises(BadRequest) as raised:
        read(Manual(), body)
    assert where in raised.value.message


@pytest.mark.parametrize(
    "body",
    [
        b'{"request_id": 1}',
        b'{"request_id": "a", "request_id": "b"}',
        b'{"operation": "OPERATION_PLAC"}',
        b'{"operation": Infinity}',
        b'{"request_id": "a"} {}',
        b'{"request_id"',
        b"null",
        b"5",
        b"[]x",
        b"\xff",
        b"[" * 100_000,
        b'{"content":' * 10_000,
    ],
)
def test_a_body_that_is_no_json_of_the_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="the JSON body is refused"):
        read(Manual(), body)


def test_a_body_may_not_differ_from_the_path() -> None:
    request = LogLevel(service_id="bars")
    assert read(request, b'{"serviceId": "bars", "level": "info"}').level == "info"
    with pytest.raises(BadRequest, match="service_id is 'bars' in the path or the query, but 'x'"):
        read(request, b'{"serviceId": "x", "level": "info"}')


def test_the_path_stays_where_the_body_is_empty() -> None:
    assert read(LogLevel(service_id="bars"), b'{"service_id": ""}').service_id == "bars"


def test_a_large_body_is_refused() -> None:
    padding = b" " * (rest_body.BYTES_MAX - 2)
    assert read(Manual(), b"{}" + padding) == Manual()
    with pytest.raises(BadRequest, match="more than 262144"):
        read(Manual(), b"{} " + padding)
