"""Positions in channels, and the names of channels and of gap reasons."""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from venuemesh.common.v1 import types_pb2

if TYPE_CHECKING:
    Channel: TypeAlias = types_pb2.Channel.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    Channel = int


CHANNELS: tuple[Channel, ...] = (
    types_pb2.CHANNEL_TRADES,
    types_pb2.CHANNEL_QUOTES,
    types_pb2.CHANNEL_BOOK,
    types_pb2.CHANNEL_TICKERS,
    types_pb2.CHANNEL_MARKS,
    types_pb2.CHANNEL_CANDLES,
    types_pb2.CHANNEL_STATUS,
    types_pb2.CHANNEL_FRAMES,
)
"""The channels that a venue process publishes."""

CHANNEL_REPAIRS: Channel = types_pb2.CHANNEL_REPAIRS
"""One more stream per venue, which only core/repair writes."""


class Cursor(NamedTuple):
    """Position in a channel; ordered. Text form "<epoch>-<sequence>"."""

    epoch: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.sequence}"

    def follows(self, before: "Cursor") -> bool:
        """Whether no batch is missing between two cursors.

        The first batch of an epoch follows any cursor: it carries a gap of the venue with the
        reason RESTART.
        """
        if self.epoch == before.epoch:
            return self.sequence == before.sequence + 1
        return self.epoch > before.epoch and self.sequence == 1

    @classmethod
    def parse(cls, text: str | bytes) -> "Cursor":
        """Parse the text form. Raises ValueError."""
        epoch, _, sequence = (text.decode() if isinstance(text, bytes) else text).partition("-")
        return cls(int(epoch), int(sequence))

    @classmethod
    def of(cls, message: types_pb2.Cursor) -> "Cursor":
        return cls(message.epoch, message.sequence)

    def message(self) -> types_pb2.Cursor:
        return types_pb2.Cursor(epoch=self.epoch, sequence=self.sequence)


START = Cursor(0, 0)


@dataclass(frozen=True, slots=True)
class StreamKey:
    """A venue and a channel. The text form is the key of their Redis Stream."""

    venue: str
    channel: Channel

    def __str__(self) -> str:
        return _stream_name(self.venue, self.channel)

    @classmethod
    def parse(cls, text: str | bytes) -> "StreamKey":
        """Parse the key of a Redis Stream. Raises ValueError."""
        name = text.decode() if isinstance(text, bytes) else text
        venue, _, channel = name.removeprefix("md:{").partition("}:")
        return cls(venue, types_pb2.Channel.Value(f"CHANNEL_{channel.upper()}"))


@lru_cache(maxsize=4096)
def _stream_name(venue: str, channel: Channel) -> str:
    return f"md:{{{venue}}}:{channel_name(channel)}"


@cache
def channel_name(channel: Channel) -> str:
    """Name of a channel in lower case without prefix, for example "trades"."""
    return types_pb2.Channel.Name(channel).removeprefix("CHANNEL_").lower()


@cache
def gap_reason_name(reason: "types_pb2.GapReason.ValueType") -> str:
    """Name of a gap reason in lower case without prefix, for example "sequence"; "other" for a
    reason of a later version."""
    if reason not in types_pb2.GapReason.values():
        return "other"
    return types_pb2.GapReason.Name(reason).removeprefix("GAP_REASON_").lower()
