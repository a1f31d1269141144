"""Connections to other processes are kept, and follow what the registry says."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from venuemesh.registry.v1 import registry_pb2

from kit.base.errors import UnknownService
from kit.base.service_channels import ServiceChannels
from tests.support.waiting import until


class Directory:
    """Says of each kind what was put into its queue."""

    def __init__(self, *kinds: str) -> None:
        self._told = {kind: asyncio.Queue() for kind in kinds}

    def say(self, kind: str, *instances: tuple[str, int, int]) -> None:
        """Names, ports and epochs. Of two of a name, the epoch is in the service id."""
        self._told[kind].put_nowait(instances)

    async def watch(self, kind: str):
        while True:
            yield [
                registry_pb2.Service(
                    instance=registry_pb2.ServiceInstance(
                        service_id=f"{name}-{epoch}",
                        kind=kind,
                        name=name,
                        address=f"127.0.0.1:{port}",
                        epoch=epoch,
                    )
                )
                for name, port, epoch in await self._told[kind].get()
            ]


@asynccontextmanager
async def following(directory: Directory, *kinds: str):
    channels = ServiceChannels(directory, *kinds)
    running = asyncio.create_task(channels.run())
    try:
        yield channels
    finally:
        running.cancel()
        await asyncio.wait([running])
        await channels.close()


def addresses(channels: ServiceChannels, name: str) -> list[str]:
    return [one.address.rpartition(":")[2] for one in channels.instances(name)]


async def test_a_channel_is_kept_until_its_process_moves():
    directory = Directory("venue")
    async with following(directory, "venue") as channels:
        directory.say("venue", ("binance", 1, 5), ("okx", 1, 5))
        first = await channels.channel("binance", wait_seconds=30)
        assert await channels.channel("binance") is first
        other = await channels.channel("okx")
        directory.say("venue", ("binance", 2, 5), ("okx", 1, 5))
        await until(lambda: addresses(channels, "binance") == ["2"])
        moved = await channels.channel("binance")
        assert len({id(first), id(other), id(moved)}) == 3
        assert await channels.channel("binance") is moved
        assert first.get_state() is grpc.ChannelConnectivity.SHUTDOWN
        assert other.get_state() is not grpc.ChannelConnectivity.SHUTDOWN


async def test_names_of_several_kinds_are_found_and_forgotten():
    directory = Directory("bars", "history")
    async with following(directory, "bars", "history") as channels:
        directory.say("bars", ("bars", 1, 0))
        directory.say("history", ("history", 2, 0))
        await until(lambda: channels.instances("bars") and channels.instances("history"))
        directory.say("bars")
        await until(lambda: not channels.instances("bars"))
        assert addresses(channels, "history") == ["2"]
        with pytest.raises(UnknownService, match="no bars or history 'bars' is registered"):
            await channels.channel("bars")


async def test_a_process_that_is_not_registered_is_waited_for_only_so_long():
    directory = Directory("venue")
    async with following(directory, "venue") as channels:
        with pytest.raises(UnknownService):
            await channels.channel("binance", wait_seconds=0.01)
        waiting = asyncio.create_task(channels.channel("binance", wait_seconds=30))
        # Another one comes first.
        directory.say("venue", ("okx", 1, 5))
        await until(lambda: channels.instances("okx"))
        assert not waiting.done()
        directory.say("venue", ("binance", 1, 5))
        assert await waiting is await channels.channel("binance")


async def test_of_two_processes_the_one_that_is_read_is_called_unless_another_one_is_named(
    monkeypatch,
):
    opened: list[str] = []

    class Channel:
        async def close(self) -> None:
            return

    def channel(address: str, service_id: str) -> Channel:
        opened.append(address.rpartition(":")[2])
        return Channel()

    monkeypatch.setattr("kit.base.service_channels.rpc.channel", channel)
    directory = Directory("venue")
    async with following(directory, "venue") as channels:
        directory.say("venue", ("binance", 1, 9), ("binance", 2, 5))
        await until(lambda: addresses(channels, "binance") == ["2", "1"])
        read, named, again = [await channels.channel("binance", epoch=epoch) for epoch in (0, 9, 7)]
    assert opened == ["2", "1"]
    assert read is again
    assert read is not named
