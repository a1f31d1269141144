"""The limits that a contract states for the fields of requests, checked before a call is served.

They are protovalidate's annotations. Of these the contracts use max_len, max_items and lte, and no
others: a test holds that.
"""

from collections.abc import Callable, Iterator
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from kit.base.errors import BadRequest

Check = Callable[[Any], None]
"""Raises BadRequest."""


def checked(behaviour: Callable[[Any, Any], Any], request: Descriptor) -> Callable[[Any, Any], Any]:
    """The behaviour of a method, which is called with requests within their limits only."""
    check = check_of(request)
    if check is None:
        return behaviour

    def call(request: Any, context: Any) -> Any:
        check(request)
        return behaviour(request, context)

    return call


def check_of(message: Descriptor, prefix: str = "") -> Check | None:
    """A check of a message and the messages in it, or None if nothing is limited."""
    checks = list(_checks(message, prefix))
    if not checks:
        return None

    def check(request: Any) -> None:
        for one in checks:
            one(request)

    return check


def _checks(message: Descriptor, prefix: str) -> Iterator[Check]:
    for field in message.fields:
        if field.message_type is not None:
            inner = check_of(field.message_type, f"{prefix}{field.name}.")
            if inner is not None:
                yield _check_inner(field, inner)
        rules = field.GetOptions().Extensions[validate_pb2.field]
        path = prefix + field.name
        if rules.string.HasField("max_len"):
            yield _check_length(field.name, path, rules.string.max_len, "characters")
        if rules.repeated.HasField("max_items"):
            yield _check_length(field.name, path, rules.repeated.max_items, "items")
        if rules.uint32.HasField("lte"):
            yield _check_number(field.name, path, rules.uint32.lte)


def _check_inner(field: FieldDescriptor, inner: Check) -> Check:
    def check(message: Any) -> None:
        if field.is_repeated:
            for one in getattr(message, field.name):
                inner(one)
        elif message.HasField(field.name):
            inner(getattr(message, field.name))

    return check


def _check_length(name: str, path: str, most: int, unit: str) -> Check:
    def check(message: Any) -> None:
        value = getattr(message, name)
        if len(value) > most:
            text = f"{path} has {len(value)} {unit}, more than {most}"
            raise BadRequest(text, field=path, value=value, allowed=f"at most {most} {unit}")

    return check


def _check_number(name: str, path: str, most: int) -> Check:
    def check(message: Any) -> None:
        value = getattr(message, name)
        if value > most:
            text = f"{path} {value} is above {most}"
            raise BadRequest(text, field=path, value=value, allowed=f"0 to {most}")

    return check
