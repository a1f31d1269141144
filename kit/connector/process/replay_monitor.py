"""The simulator's state of the capture that it plays to this venue, in the world replay."""

import msgspec

from kit.base.clock import Clock
from kit.base.errors import VenuemeshError
from kit.connector.rest.rest_client import RestClient

INTERVAL_S = 2.0


class _Capture(msgspec.Struct, frozen=True):
    venue: str
    failure: str = ""
    problem: str = ""


class _Answer(msgspec.Struct, frozen=True):
    venues: list[_Capture]


class ReplayMonitor:
    """Asks every few seconds. What is wrong with the capture makes the venue DEGRADED."""

    def __init__(self, venue_id: str, simulator_url: str, clock: Clock) -> None:
        self.problem = ""
        """Why the capture cannot be read on, or does not fit; empty when all is well."""
        self._venue_id = venue_id
        self._client = RestClient(venue_id, simulator_url)
        self._clock = clock

    async def run(self) -> None:
        """Endless. While the simulator does not answer, the last answer counts."""
        try:
            while True:
                try:
                    answer = await self._client.get("/replay/status", _Answer, {})
                except VenuemeshError:
                    # The lost connection is reported already.
                    pass
                else:
                    mine = [
                        capture_file
                        for capture_file in answer.venues
                        if capture_file.venue == self._venue_id
                    ]
                    self.problem = "; ".join(one.failure or one.problem for one in mine)
                await self._clock.sleep(INTERVAL_S)
        finally:
            await self._client.close()
