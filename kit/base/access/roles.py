"""The roles of callers, and the roles that each method needs.

Both are in the contracts: ``option (venuemesh.access.v1.roles)`` stands beside each method.
"""

from collections.abc import Iterable
from enum import StrEnum

from google.protobuf.descriptor_pb2 import MethodOptions
from venuemesh.access.v1 import access_pb2

PREFIX = "ROLE_"


class Role(StrEnum):
    """What a caller may do. See access.proto."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    TRADER = "trader"
    ADMIN = "admin"
    PROCESS = "process"


CALLER_ROLES = (Role.VIEWER, Role.OPERATOR, Role.TRADER, Role.ADMIN)
"""The roles of people and programs outside the mesh."""

IMPLIED = {
    Role.VIEWER: {Role.VIEWER},
    Role.OPERATOR: {Role.OPERATOR, Role.VIEWER},
    Role.TRADER: {Role.TRADER, Role.VIEWER},
    Role.ADMIN: set(CALLER_ROLES),
    # A process reads from others. What else it may do is asked where it does it.
    Role.PROCESS: {Role.PROCESS, Role.VIEWER},
}


def with_implied(roles: Iterable[Role]) -> frozenset[Role]:
    """These roles and the ones they include."""
    return frozenset(implied for role in roles for implied in IMPLIED[role])


def from_wire(number: "access_pb2.Role.ValueType") -> Role:
    """The role of a number of the contract. Raises ValueError for an unknown one."""
    return Role(access_pb2.Role.Name(number).removeprefix(PREFIX).lower())


def to_wire(role: Role) -> "access_pb2.Role.ValueType":
    return access_pb2.Role.Value(PREFIX + role.upper())


def of_method(options: MethodOptions) -> frozenset[Role]:
    """The roles: a caller needs one of them. Empty if the contract names none."""
    return frozenset(map(from_wire, options.Extensions[access_pb2.roles]))


def models_may_call(options: MethodOptions) -> bool:
    """Whether the contract lets models call the method although it is mutating."""
    return bool(options.Extensions[access_pb2.models_may_call])


def is_mutating(options: MethodOptions) -> bool:
    """Whether the contract does not say that the method has no side effects."""
    return options.idempotency_level != MethodOptions.NO_SIDE_EFFECTS
