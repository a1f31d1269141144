"""Calls between the members of a service that divide its work by leases (``shared_leases``)."""

from typing import Any

import grpc

from kit.base import rpc

FORWARDED = ("venuemesh-forwarded", "1")
"""Metadata of a forwarded call, which is not forwarded again."""


def member_name(service_id: str, host: str, port: int) -> str:
    """The name of a member, by which the others reach it: the same after a restart."""
    return f"{service_id}@{host}:{port}"


def channel(member: str) -> grpc.aio.Channel:
    """A channel to a member. The caller closes it."""
    service_id, _, address = member.rpartition("@")
    return rpc.channel(address, service_id=service_id)


def is_forwarded(context: grpc.aio.ServicerContext[Any, Any]) -> bool:
    """Whether another member forwarded this call."""
    return FORWARDED in [tuple(item) for item in context.invocation_metadata() or ()]
