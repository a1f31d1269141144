"""Connections to other processes are kept, and follow a process that moves."""

import grpc
import pytest
from venuemesh.registry.v1 import registry_pb2

from kit.base.service_channels import ServiceChannels


def instance(address):
    return registry_pb2.ServiceInstance(service_id="binance", address=address)


@pytest.fixture
async def channels():
    channels = ServiceChannels()
    yield channels
    await channels.close()


async def test_a_channel_is_kept_until_its_process_moves(channels):
    first = await channels.to("binance", instance("127.0.0.1:1"))
    assert await channels.to("binance", instance("127.0.0.1:1")) is first
    other = await channels.to("okx", instance("127.0.0.1:1"))
    moved = await channels.to("binance", instance("127.0.0.1:2"))
    assert len({id(first), id(other), id(moved)}) == 3
    assert await channels.to("binance", instance("127.0.0.1:2")) is moved
    assert first.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    assert other.get_state() is not grpc.ChannelConnectivity.SHUTDOWN
