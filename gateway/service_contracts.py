"""The contracts as data: services, methods, and their REST bindings.

Read from the descriptor set that is generated from proto/, so that a new contract, or a new method
of one, is routed and documented without a line here.
"""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from google.api import annotations_pb2, httpbody_pb2
from google.protobuf.descriptor_pb2 import (
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)
from google.rpc import error_details_pb2, status_pb2

from kit.base import rest_body
from kit.base.access import roles
from kit.base.access.roles import Role

ROOT = Path(__file__).resolve().parent.parent
DESCRIPTOR_FILE = ROOT / "gen" / "venuemesh.binpb"
OWN_FILES = "venuemesh/"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
JSON_BODY = "json_body"


@dataclass(frozen=True, slots=True)
class ProcessAddressing:
    """How a caller names one of many processes."""

    header: str
    """The gRPC header."""
    field: str
    """The request field, which is part of the REST path."""
    instance_field: str
    """The field of ServiceInstance that holds the same value."""


# Every other contract is one service to its callers, however many processes serve it.
ADDRESSES = {
    "venuemesh.marketdata.v1.MarketData": ProcessAddressing("venuemesh-venue", "venue", "name"),
    "venuemesh.tradeflow.v1.TradeFlow": ProcessAddressing("venuemesh-venue", "venue", "name"),
    "venuemesh.admin.v1.Admin": ProcessAddressing("venuemesh-service", "service_id", "service_id"),
}


@dataclass(frozen=True, slots=True)
class RestBinding:
    """REST binding of a method."""

    verb: str
    """GET or POST."""
    path: str
    """For example "/v1/venues/{venue}/instruments"."""
    has_body: bool

    @property
    def fields(self) -> tuple[str, ...]:
        """Request fields that are part of the path."""
        return tuple(PLACEHOLDER.findall(self.path))

    def pattern(self, field: str = "", value: str = "") -> str:
        """A regular expression for the path; one field may be fixed to one value."""
        parts = PLACEHOLDER.split(self.path)
        # split() returns text at even indexes and field names at odd ones.
        for place, part in enumerate(parts):
            if place % 2 == 0:
                parts[place] = re.escape(part)
            else:
                parts[place] = re.escape(value) if value and part == field else "[^/]+"
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class RpcMethod:
    """One method of a contract."""

    name: str
    request: str
    """Full name of the request message."""
    response: str
    """Full name of the response message."""
    streams: bool
    """Whether the response is a stream."""
    binding: RestBinding | None
    """None if the method has no REST binding."""
    roles: frozenset[Role]
    """The roles: a caller needs one of them."""
    is_mutating: bool
    """Whether it may change something."""
    models_may_call: bool
    """Whether models may call it although it is mutating."""
    file: str
    place: tuple[int, ...]
    """Path of its comment in the file's source info."""


@dataclass(frozen=True, slots=True)
class ServiceContract:
    """One gRPC service."""

    name: str
    """Full name, for example "venuemesh.history.v1.History"."""
    methods: tuple[RpcMethod, ...]
    address: ProcessAddressing | None

    @property
    def is_of_one_process(self) -> bool:
        """Whether its callers mean a process, not a venue or a service of the mesh."""
        return self.address is not None and self.address.instance_field == "service_id"


@dataclass(frozen=True)
class ContractSet:
    """All contracts, with their descriptors."""

    descriptors: FileDescriptorSet
    services: tuple[ServiceContract, ...]

    @cached_property
    def transcoder_descriptors(self) -> bytes:
        """A descriptor set for Envoy: without comments, with the messages of error details, and
        with a field for the JSON body in each request that has one (kit/base/rest_body.py)."""
        wanted = FileDescriptorSet()
        known: set[str] = set()
        # First, because Envoy wants a file after those that it depends on.
        for module in (status_pb2, error_details_pb2, httpbody_pb2):
            for descriptor in (*module.DESCRIPTOR.dependencies, module.DESCRIPTOR):
                if descriptor.name not in known:
                    known.add(descriptor.name)
                    descriptor.CopyToProto(wanted.file.add())
        for file in self.descriptors.file:
            if file.name not in known:
                copy = wanted.file.add()
                copy.CopyFrom(file)
                copy.ClearField("source_code_info")
        _add_json_bodies(wanted)
        return wanted.SerializeToString(deterministic=True)


def load(file: Path = DESCRIPTOR_FILE) -> ContractSet:
    """Read the descriptor set and load the messages that reflection and errors need."""
    descriptors = FileDescriptorSet.FromString(file.read_bytes())
    own = [found for found in descriptors.file if found.name.startswith(OWN_FILES)]
    for found in own:
        importlib.import_module(found.name.removesuffix(".proto").replace("/", ".") + "_pb2")
    services = tuple(contract for found in own for contract in _contracts_of(found))
    return ContractSet(descriptors, services)


def _add_json_bodies(descriptors: FileDescriptorSet) -> None:
    """Let Envoy pass bodies on unread: it would drop their unknown fields."""
    messages = {
        f".{file.package}.{message.name}": (file, message)
        for file in descriptors.file
        for message in file.message_type
    }
    rules = [
        (method.input_type, method.options.Extensions[annotations_pb2.http])
        for file in descriptors.file
        for service in file.service
        for method in service.method
        if method.options.Extensions[annotations_pb2.http].body
    ]
    for _, rule in rules:
        rule.body = JSON_BODY
    for request in {request for request, _ in rules}:
        file, message = messages[request]
        message.field.add(
            name=JSON_BODY,
            number=rest_body.FIELD_NUMBER,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            type=FieldDescriptorProto.TYPE_MESSAGE,
            type_name=f".{httpbody_pb2.HttpBody.DESCRIPTOR.full_name}",
        )
        if httpbody_pb2.DESCRIPTOR.name not in file.dependency:
            file.dependency.append(httpbody_pb2.DESCRIPTOR.name)


def _contracts_of(file: FileDescriptorProto) -> Sequence[ServiceContract]:
    return [
        ServiceContract(
            name=(name := f"{file.package}.{service.name}"),
            methods=tuple(
                _method(file.name, method, (6, place, 2, method_place))
                for method_place, method in enumerate(service.method)
            ),
            address=ADDRESSES.get(name),
        )
        for place, service in enumerate(file.service)
    ]


def _method(file: str, method: MethodDescriptorProto, place: tuple[int, ...]) -> RpcMethod:
    return RpcMethod(
        name=method.name,
        request=method.input_type.removeprefix("."),
        response=method.output_type.removeprefix("."),
        streams=method.server_streaming,
        binding=_binding(method),
        roles=roles.of_method(method.options),
        is_mutating=roles.is_mutating(method.options),
        models_may_call=roles.models_may_call(method.options),
        file=file,
        place=place,
    )


def _binding(method: MethodDescriptorProto) -> RestBinding | None:
    rule = method.options.Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    if verb is None:
        return None
    return RestBinding(verb=verb.upper(), path=getattr(rule, verb), has_body=rule.body == "*")
