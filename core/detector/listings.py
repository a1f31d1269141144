"""Says which instruments venues list: a strategy on another one would wait for ever."""

from collections.abc import Collection, Sequence
from typing import Protocol


class Listings(Protocol):
    """The instruments of venues, as ``ListedInstruments`` keeps them."""

    async def unlisted(self, venue: str, symbols: Collection[str]) -> Sequence[str]:
        """Those that the venue does not list; none while its list is not known."""


class AllListed:
    """Every instrument is listed."""

    async def unlisted(self, venue: str, symbols: Collection[str]) -> Sequence[str]:
        return []
