"""The JSON body of a call over REST, which the gateway passes on as it came.

Envoy's transcoder drops the fields of a body that a request does not have: an order with a misspelt
``reduce_only`` would open a position. So the transcoder reads the path and the query only. It puts
the body into a field that only its copy of the contracts has, and the process reads it strictly.
"""

from collections.abc import Callable, Iterable
from typing import Any

from google.api import annotations_pb2
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from kit.base.errors import BadRequest

FIELD_NUMBER = 2**29 - 1
"""The highest number that protobuf allows; no contract uses it."""
BYTES_MAX = 256 * 1024
"""Reading takes about 1 s per MB, in which the process does nothing else."""

Behaviour = Callable[[Any, Any], Any]


def read_first(behaviour: Behaviour, method: MethodDescriptor) -> Behaviour:
    """The behaviour of a method, which is called after the body has been read."""
    if not method.GetOptions().Extensions[annotations_pb2.http].body:
        return behaviour

    def call(request: Any, context: Any) -> Any:
        read_into(request)
        return behaviour(request, context)

    return call


def read_into(request: Message) -> None:
    """Add what the body says, if there is one. Raises BadRequest for a body that is no JSON of this
    message, has unknown fields, or differs from the path or the query."""
    # Its stubs do not say that it can be iterated.
    unknown: Iterable[Any] = UnknownFieldSet(request)  # type: ignore[assignment]
    bodies = [field.data for field in unknown if field.field_number == FIELD_NUMBER]
    if not bodies:
        return
    said = type(request)()
    for body in bodies:
        _parse(HttpBody.FromString(body).data, said)
    named = dict(said.ListFields())
    request.DiscardUnknownFields()
    for field, value in request.ListFields():
        other = named.get(field, value)
        if other != value:
            text = f"{field.name} is {value!r} in the path or the query, but {other!r} in the body"
            raise BadRequest(text, field=field.name, value=str(other), allowed=str(value))
        said.ClearField(field.name)
    request.MergeFrom(said)


def _parse(data: bytes, message: Message) -> None:
    if len(data) > BYTES_MAX:
        text = f"the body has {len(data)} bytes, more than {BYTES_MAX}"
        raise BadRequest(text, field="body", value=len(data), allowed=f"at most {BYTES_MAX} bytes")
    if not data:
        return
    try:
        json_format.Parse(data, message)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        # The second line lists fields by names that the documentation does not use.
        what, *_ = str(error).splitlines()
        text = f"the JSON body is refused: {what} /openapi.json has the fields and their types"
        raise BadRequest(text, field="body", allowed="see /openapi.json") from error
