"""Each method of the contracts names the roles that may call it."""

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from kit.base.access import roles
from kit.base.access.roles import Role
from ops.grpc_stubs import GENERATED

METHODS = {
    f"{file.package}.{service.name}.{method.name}": method
    for file in FileDescriptorSet.FromString((GENERATED / "venuemesh.binpb").read_bytes()).file
    for service in file.service
    for method in service.method
}
READS = (
    *("Decide", "Explain", "Export", "Get", "List", "Prove", "Read", "Repeat"),
    *("Stream", "Subscribe", "Summarize", "Verify", "Watch", "Why"),
)
# Log records hold what only operators should see.
NOT_FOR_VIEWERS = ({Role.ADMIN}, {Role.PROCESS}, {Role.OPERATOR, Role.PROCESS})


@pytest.mark.parametrize("name", METHODS)
def test_each_method_names_its_roles(name):
    assert roles.of_method(METHODS[name].options)


@pytest.mark.parametrize("name", METHODS)
def test_what_only_reads_is_for_viewers_and_nothing_else_is(name):
    method = METHODS[name]
    needed = roles.of_method(method.options)
    reads = method.name.startswith(READS)
    assert roles.is_mutating(method.options) == (not reads)
    if method.name == "RenewToken":
        return
    for_viewers = reads and needed not in NOT_FOR_VIEWERS
    assert (Role.VIEWER in needed) == for_viewers
