"""Results of commands as JSON."""

from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def print_json(value: Any) -> None:
    """Print one JSON object in one line: a struct, a mapping, or a message of a contract with the
    names that REST has."""
    if isinstance(value, Message):
        value = MessageToDict(
            value, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
        )
    print(msgspec.json.encode(value).decode(), flush=True)
