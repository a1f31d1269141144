"""Live bars of one instrument, from the bar aggregator."""

from collections.abc import AsyncGenerator, Sequence

from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc

from gateway.push.channels import TopicKey
from gateway.push.feeds.market_rows import message_row
from gateway.push.feeds.rpc_stream import rpc_stream
from gateway.push.updates import Position, Row, Update
from kit.base.service_channels import ServiceChannels

BARS = "bars"


class BarFeed:
    """The bars of one interval, or of all time intervals."""

    def __init__(self, key: TopicKey, channels: ServiceChannels) -> None:
        self._key = key
        self._channels = channels

    async def updates(self, after: Position | None) -> AsyncGenerator[Sequence[Update], None]:
        key = self._key
        request = bars_pb2.SubscribeRequest(
            venue=key.venue,
            symbol=key.symbol,
            intervals=[key.interval] if key.interval else [],
            update_interval_ms=key.interval_ms,
        )
        async with rpc_stream(
            self._channels, BARS, lambda channel: bars_pb2_grpc.BarsStub(channel).Subscribe(request)
        ) as responses:
            async for response in responses:
                yield _updates(response)

    async def snapshot(self) -> Update | None:
        """None: the stream begins with the present bars."""
        return None


def _updates(response: bars_pb2.SubscribeResponse) -> list[Update]:
    """The bars of an interval that ended are one state, the open one another: the bar that follows
    does not replace the one that has ended."""
    states: dict[str, list[Row]] = {}
    for bar in response.bars:
        states.setdefault(f"{bar.interval} {bar.final}", []).append(message_row(bar))
    return [Update(rows, key) for key, rows in states.items()]
