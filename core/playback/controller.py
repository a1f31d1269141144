"""Admin operations on a playback: pause and resume. All others would change the past."""

from collections.abc import Iterable

from venuemesh.admin.v1 import admin_pb2

from core.playback.publisher import PlaybackPublisher
from core.playback.record_windows import PlaybackSelection
from kit.base.errors import NotSupported


class PlaybackController:
    """Implements VenueAdmin for a playback."""

    def __init__(
        self, selection: PlaybackSelection, symbols: Iterable[str], player: PlaybackPublisher
    ) -> None:
        self._selection = selection
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
            for channel in self._selection.channels
        ]

    def conformance(self) -> None:
        """Return None: no connector takes part in a playback."""

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
        return NotSupported(
            "a record is played as it is", service=self._selection.venue, wanted=wanted
        )
