"""What the simulator says of the tape that it plays to this venue, in the world replay."""

import msgspec

from kit.base.clock import Clock
from kit.base.errors import VenuemeshError
from kit.connector.rest.client import RestClient

INTERVAL_S = 2.0


class _Tape(msgspec.Struct, frozen=True):
    venue: str
    failure: str = ""
    problem: str = ""


class _Answer(msgspec.Struct, frozen=True):
    venues: list[_Tape]


class ReplayStatus:
    """Asks every few seconds. What is wrong with the tape makes the venue DEGRADED."""

    def __init__(self, venue_id: str, simulator_url: str, clock: Clock) -> None:
        self.problem = ""
        """Why the tape cannot be read on, or does not fit; empty when all is well."""
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
                    # The connection says so, too.
                    pass
                else:
                    mine = [tape for tape in answer.venues if tape.venue == self._venue_id]
                    self.problem = "; ".join(one.failure or one.problem for one in mine)
                await self._clock.sleep(INTERVAL_S)
        finally:
            await self._client.close()
