"""The REST API as an OpenAPI 3.1 document, from the contracts and their comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from buf.validate import validate_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from gateway import openapi_examples
from gateway.service_contracts import ContractSet, RestBinding, RpcMethod, ServiceContract
from kit.base.version import VERSION

Json = dict[str, Any]
Place = tuple[int, ...]

# Field numbers of FileDescriptorProto and DescriptorProto; the paths of comments consist of them.
MESSAGES, ENUMS, SERVICES, MEMBERS = 4, 5, 6, 2

_Kind = FieldDescriptorProto
# As in the JSON mapping of protobuf: 64 bits do not fit into a JavaScript number.
SCALARS: dict[int, Json] = {
    _Kind.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _Kind.TYPE_FLOAT: {"type": "number", "format": "float"},
    _Kind.TYPE_INT64: {"type": "string", "format": "int64"},
    _Kind.TYPE_UINT64: {"type": "string", "format": "uint64"},
    _Kind.TYPE_SINT64: {"type": "string", "format": "int64"},
    _Kind.TYPE_FIXED64: {"type": "string", "format": "uint64"},
    _Kind.TYPE_SFIXED64: {"type": "string", "format": "int64"},
    _Kind.TYPE_INT32: {"type": "integer", "format": "int32"},
    _Kind.TYPE_SINT32: {"type": "integer", "format": "int32"},
    _Kind.TYPE_SFIXED32: {"type": "integer", "format": "int32"},
    _Kind.TYPE_UINT32: {"type": "integer", "minimum": 0},
    _Kind.TYPE_FIXED32: {"type": "integer", "minimum": 0},
    _Kind.TYPE_BOOL: {"type": "boolean"},
    _Kind.TYPE_STRING: {"type": "string"},
    _Kind.TYPE_BYTES: {"type": "string", "format": "byte"},
}

DESCRIPTION = (
    "Everything that the mesh serves over gRPC, as REST. Amounts are decimal text, exact. Integers "
    "of 64 bits are text. A streaming method returns one JSON object per line until the caller "
    "disconnects. A list has more pages until next_page_token is empty; send it as page_token."
)

JSON, LINES = "application/json", "application/x-ndjson"
ERROR_SCHEMA: Json = {"schema": {"$ref": "#/components/schemas/Error"}}
FAILURES = {
    "401": ("Unauthenticated", "No token, or one that is not valid: see the reasons TOKEN_…."),
    "403": ("PermissionDenied", "The caller may not do this: see ROLE_MISSING, FOREIGN_PAGE."),
    "429": ("ResourceExhausted", "A limit is reached: see CALLER_LIMITED, RATE_LIMITED."),
    "default": ("Error", "A google.rpc.Status. The reason in its details tells what to do."),
}
BEARER, SESSION = "bearer", "session"
SECURITY_SCHEMES: Json = {
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token of the mesh, or of the platform's issuer.",
    },
    SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "description": "The session of a browser. Such calls carry the header "
        "`x-venuemesh-request: 1`.",
    },
}
READ_ONLY, STREAMING, FOR_MODELS = "x-read-only", "x-streaming", "x-for-models"
"""Of an operation: whether it changes nothing, whether its answer is a stream of lines, and whether
models may call it although it may change something."""
SENTENCE_END = re.compile(r"[.:;](?: |$)")
DEFAULT = re.compile(r"\b0 means (\d+)")
REQUIRED: dict[str, tuple[str, ...]] = {
    "AmendOrderRequest": ("account", "approved"),
    "ApprovedOrder": ("content", "request_id", "expires_time_ns", "key_id", "signature"),
    "CancelAllOrdersRequest": ("account",),
    "CancelOrderRequest": ("account",),
    "CancelOrdersRequest": ("account", "orders"),
    "FenceEntriesRequest": ("approved",),
    "FlattenRequest": ("approved",),
    "GetOrderRequest": ("account",),
    "HeartbeatRequest": ("fencing_epoch", "key_id", "time_ns", "signature"),
    "IssueTokenRequest": ("caller", "roles"),
    "ListBalancesRequest": ("account",),
    "ListBarsRequest": ("interval",),
    "ListCandlesRequest": ("interval",),
    "ListCashFlowsRequest": ("account",),
    "ListFillsRequest": ("account",),
    "ListOpenOrdersRequest": ("account",),
    "ListPositionsRequest": ("account",),
    "OrderCancel": ("client_order_id",),
    "OrderContent": ("venue", "account"),
    "PlaceOrderGroupRequest": ("approved",),
    "PlaceOrderRequest": ("approved",),
    "PlaceOrdersRequest": ("account", "approved"),
    "ReadBarsRequest": ("interval",),
    "ReadRequest": ("channel",),
    "Selector": ("venue", "channels"),
    "SetLogLevelRequest": ("level",),
    "StartRepairRequest": ("venue", "symbol"),
    "StreamExecutionsRequest": ("account",),
    "SubmitManualOrdersRequest": ("requests",),
    "SubmitManualRequest": ("request_id", "operation", "content"),
}
"""Fields that a request has to have, besides those in its path."""
REASONS = "venuemesh.common.v1.ErrorReason"
REASON_PREFIX = "ERROR_REASON_"


@dataclass(frozen=True, slots=True)
class _Message:
    descriptor: DescriptorProto
    file: str
    place: Place


@dataclass(frozen=True, slots=True)
class _Enum:
    descriptor: EnumDescriptorProto
    file: str
    place: Place


def document(contracts: ContractSet, session_cookie: str) -> Json:
    """The OpenAPI document as a JSON object."""
    return _Writer(contracts, session_cookie).document()


class _Writer:
    """Turns descriptors into schemas and collects those that are needed."""

    def __init__(self, contracts: ContractSet, session_cookie: str) -> None:
        self._contracts = contracts
        self._session_cookie = session_cookie
        self._comments: dict[tuple[str, Place], str] = {}
        self._messages: dict[str, _Message] = {}
        self._enums: dict[str, _Enum] = {}
        self._schemas: Json = {}
        for file in contracts.descriptors.file:
            self._read(file)

    def document(self) -> Json:
        paths: Json = {}
        for contract in self._contracts.services:
            for method in contract.methods:
                if method.binding is not None:
                    operation = self._operation(contract, method, method.binding)
                    path = paths.setdefault(method.binding.path, {})
                    path[method.binding.verb.lower()] = operation
        schemas = {"Error": self._error(), **dict(sorted(self._schemas.items()))}
        return {
            "openapi": "3.1.0",
            "info": {"title": "Venuemesh", "version": VERSION, "description": DESCRIPTION},
            "servers": [{"url": "/"}],
            "tags": [self._tag(contract) for contract in self._contracts.services],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": {
                    name: {"description": text, "content": {JSON: ERROR_SCHEMA}}
                    for name, text in FAILURES.values()
                },
                "securitySchemes": SECURITY_SCHEMES
                | {SESSION: SECURITY_SCHEMES[SESSION] | {"name": self._session_cookie}},
            },
        }

    def _operation(
        self, contract: ServiceContract, method: RpcMethod, binding: RestBinding
    ) -> Json:
        request = self._messages[method.request]
        text = self._comments[method.file, method.place]
        operation: Json = {
            "operationId": f"{_short(contract.name)}.{method.name}",
            "tags": [_short(contract.name)],
            "summary": SENTENCE_END.split(text)[0],
            "description": f"{text}\n\nRoles: {', '.join(sorted(method.roles))}.",
            # One of them suffices.
            "security": [
                {scheme: [role]} for role in sorted(method.roles) for scheme in SECURITY_SCHEMES
            ],
            READ_ONLY: not method.is_mutating,
            STREAMING: method.streams,
            FOR_MODELS: method.models_may_call,
            "parameters": list(self._parameters(request, binding)),
            "responses": {"200": self._answer(method)}
            | {
                status: {"$ref": f"#/components/responses/{name}"}
                for status, (name, _) in FAILURES.items()
            },
        }
        if binding.has_body:
            schema = self._object(request, leave_out=binding.fields)
            example = openapi_examples.of_message(_descriptor(method.request))
            for name in binding.fields:
                example.pop(name, None)
            body = {JSON: {"schema": schema, "example": example}}
            operation["requestBody"] = {"required": True, "content": body}
        return operation

    def _answer(self, method: RpcMethod) -> Json:
        schema = self._reference(method.response)
        example = openapi_examples.of_message(_descriptor(method.response))
        if method.streams:
            text = "One object per line, as it happens. The schema is that of a line."
            return {"description": text, "content": {LINES: {"schema": schema, "example": example}}}
        content = {JSON: {"schema": schema, "example": example}}
        return {"description": "The answer.", "content": content}

    def _parameters(self, request: _Message, binding: RestBinding) -> Iterator[Json]:
        for name, field, comment in self._flat_fields(request):
            in_path = name in binding.fields
            if in_path or not binding.has_body:
                parameter = {
                    "name": name,
                    "in": "path" if in_path else "query",
                    "required": in_path or name in REQUIRED.get(request.descriptor.name, ()),
                    "description": comment,
                    "schema": self._field(field, comment),
                }
                if in_path:
                    parameter["example"] = openapi_examples.TEXT[field.name]
                yield parameter

    def _flat_fields(
        self, message: _Message, prefix: str = ""
    ) -> Iterator[tuple[str, FieldDescriptorProto, str]]:
        """The query parameters: fields of nested messages are named "range.start_time_ns"."""
        for place, field in enumerate(message.descriptor.field):
            name = f"{prefix}{field.name}"
            if field.type != _Kind.TYPE_MESSAGE:
                yield name, field, self._comment(message, MEMBERS, place)
            elif field.label != _Kind.LABEL_REPEATED:
                inner = self._messages[field.type_name.removeprefix(".")]
                yield from self._flat_fields(inner, f"{name}.")

    def _reference(self, full_name: str) -> Json:
        if full_name not in self._schemas:
            # Reserve the name first, because messages may refer to each other.
            self._schemas[full_name] = {}
            self._schemas[full_name] = self._named(full_name)
        return {"$ref": f"#/components/schemas/{full_name}"}

    def _named(self, full_name: str) -> Json:
        if full_name in self._messages:
            return self._object(self._messages[full_name])
        return self._enumeration(self._enums[full_name])

    def _object(self, message: _Message, leave_out: tuple[str, ...] = ()) -> Json:
        properties = {
            field.name: self._field(field, comment) | {"description": comment}
            for place, field in enumerate(message.descriptor.field)
            for comment in [self._comment(message, MEMBERS, place)]
            if field.name not in leave_out
        }
        schema: Json = {
            "type": "object",
            "description": self._comment(message),
            "properties": properties,
        }
        required = [
            name for name in REQUIRED.get(message.descriptor.name, ()) if name in properties
        ]
        return schema | ({"required": required} if required else {})

    def _enumeration(self, enum: _Enum) -> Json:
        values = [value.name for value in enum.descriptor.value]
        meanings = [
            f"- {value}: {self._comment(enum, MEMBERS, place)}"
            for place, value in enumerate(values)
        ]
        description = "\n".join([self._comment(enum), "", *meanings])
        return {"type": "string", "enum": values, "description": description}

    def _field(self, field: FieldDescriptorProto, comment: str = "") -> Json:
        name = field.type_name.removeprefix(".")
        entry = self._messages.get(name)
        if entry is not None and entry.descriptor.options.map_entry:
            return {
                "type": "object",
                "additionalProperties": self._field(entry.descriptor.field[1]),
            }
        schema = SCALARS.get(field.type) or self._reference(name)
        if field.label == _Kind.LABEL_REPEATED:
            schema = {"type": "array", "items": schema}
        return schema | _limits(field) | _default(field, comment)

    def _error(self) -> Json:
        reasons = self._enumeration(self._enums[REASONS])
        info = {
            "@type": {"type": "string", "const": "type.googleapis.com/google.rpc.ErrorInfo"},
            "reason": {
                "type": "string",
                "enum": [value.removeprefix(REASON_PREFIX) for value in reasons["enum"][1:]],
                "description": reasons["description"].replace(REASON_PREFIX, ""),
            },
            "domain": {"type": "string", "const": "venuemesh"},
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        }
        details = {"type": "array", "items": {"type": "object", "properties": info}}
        code = {"type": "integer", "description": "A google.rpc.Code."}
        message = {"type": "string", "description": "For a person."}
        properties = {"code": code, "message": message, "details": details}
        return {"type": "object", "properties": properties, "required": ["code", "message"]}

    def _tag(self, contract: ServiceContract) -> Json:
        file, (_, place, *_rest) = contract.methods[0].file, contract.methods[0].place
        comment = self._comments[file, (SERVICES, place)]
        return {"name": _short(contract.name), "description": comment}

    def _comment(self, item: _Message | _Enum, *below: int) -> str:
        return self._comments.get((item.file, (*item.place, *below)), "")

    def _read(self, file: FileDescriptorProto) -> None:
        for location in file.source_code_info.location:
            if location.leading_comments:
                # Line breaks of a comment are those of the source file, not of the text.
                text = " ".join(location.leading_comments.split())
                self._comments[file.name, tuple(location.path)] = text
        for place, message in enumerate(file.message_type):
            name = f"{file.package}.{message.name}"
            self._messages[name] = _Message(message, file.name, (MESSAGES, place))
            for inner in message.nested_type:
                self._messages[f"{name}.{inner.name}"] = _Message(inner, file.name, ())
        for place, enum in enumerate(file.enum_type):
            name = f"{file.package}.{enum.name}"
            self._enums[name] = _Enum(enum, file.name, (ENUMS, place))


def _short(full_name: str) -> str:
    return full_name.rpartition(".")[2]


def _descriptor(full_name: str) -> Descriptor:
    return descriptor_pool.Default().FindMessageTypeByName(full_name)


def _limits(field: FieldDescriptorProto) -> Json:
    """The limits that the contract states; see kit/base/request_rules."""
    rules = field.options.Extensions[validate_pb2.field]
    if rules.repeated.HasField("max_items"):
        return {"maxItems": rules.repeated.max_items}
    if rules.string.HasField("max_len"):
        return {"maxLength": rules.string.max_len}
    return {"maximum": rules.uint32.lte} if rules.uint32.HasField("lte") else {}


def _default(field: FieldDescriptorProto, comment: str) -> Json:
    """The number that 0 stands for."""
    found = DEFAULT.search(comment) if field.type == _Kind.TYPE_UINT32 else None
    return {"default": int(found[1])} if found else {}
