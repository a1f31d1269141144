"""Admin operations on a play: pause and resume. All others would change the past."""

from collections.abc import Iterable

from venuemesh.admin.v1 import admin_pb2

from core.playback.player import Player
from core.playback.tape import Play
from kit.base.errors import NotSupported


class PlaybackController:
    """Implements VenueControl for a play."""

    def __init__(self, play: Play, symbols: Iterable[str], player: Player) -> None:
        self._play = play
        self._symbols = sorted(symbols)
        self._player = player

    def subscriptions(self) -> list[admin_pb2.Subscription]:
        """Return one subscription per instrument and channel."""
        live = admin_pb2.SUBSCRIPTION_STATE_LIVE
        waits = admin_pb2.SUBSCRIPTION_STATE_PENDING
        return [
            admin_pb2.Subscription(
                symbol=symbol,
                channel=channel,
                state=live if self._player.started else waits,
                received_time_ns=self._player.played_until_ns,
                detail="played from the record",
            )
            for symbol in self._symbols
            for channel in self._play.channels
        ]

    def conformance(self) -> None:
        """Return None: no connector takes part in a play."""

    async def update(self, add: Iterable[str], remove: Iterable[str]) -> list[str]:
        """Raises NotSupported."""
        raise self._refusal("changes of subscriptions")

    async def reconnect(self) -> None:
        """Raises NotSupported."""
        raise self._refusal("connections")

    async def pause(self) -> None:
        self._player.pause()

    async def resume(self) -> None:
        self._player.resume()

    def _refusal(self, wanted: str) -> NotSupported:
        return NotSupported("a record is played as it is", service=self._play.venue, wanted=wanted)
