"""The simulated exchanges of a running mesh: their faults, and what their accounts have."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import msgspec

from kit.base.access.credentials import CredentialSource
from kit.simulator.account_states import AccountState
from kit.simulator.fault_commands import FaultCommand, FaultKind, MarketActionKind

CHANNELS = ("", "book", "trades", "other")
"""Of frames; an account's frames are among the last ones."""
PATHS = ("", "", "order", "private", "/")
"""Of calls. The operations of the exchanges that change orders have one of the first two names."""
FRAMES_MAX, CALLS_MAX = 20, 3


class Answer(msgspec.Struct):
    """Of the simulator, to a question for accounts."""

    accounts: list[AccountState]


class RandomFault(NamedTuple):
    """A fault, and how long and how often it may act."""

    seconds_max: float = 0.0
    count_max: int = 1
    fields: Mapping[str, Sequence[str]] = {}
    """The values from which some are chosen."""
    weight: int = 1


ON_FRAMES = RandomFault(0.0, FRAMES_MAX, {"channel": CHANNELS}, weight=2)
CUT = RandomFault(0.0, 1, {"channel": CHANNELS}, weight=3)
ON_CALLS = RandomFault(2.0, CALLS_MAX, {"path": PATHS}, weight=3)
ON_ORDERS = RandomFault(3.0, CALLS_MAX, {"path": PATHS}, weight=6)
FAULTS: Mapping[str, RandomFault] = {
    FaultKind.DROP: ON_FRAMES,
    FaultKind.SEQUENCE_GAP: ON_FRAMES,
    FaultKind.DUPLICATE: ON_FRAMES,
    FaultKind.REORDER: ON_FRAMES,
    FaultKind.MALFORMED: ON_FRAMES,
    FaultKind.UNKNOWN_EVENT: ON_FRAMES,
    FaultKind.HUGE: RandomFault(),
    FaultKind.SILENCE: RandomFault(8.0, 1, {"channel": CHANNELS}),
    FaultKind.DISCONNECT: CUT,
    FaultKind.RESET: CUT,
    FaultKind.STALL: CUT,
    FaultKind.ACK_THEN_SILENCE: RandomFault(0.0, 1, {"channel": CHANNELS}),
    FaultKind.RESEND: RandomFault(0.0, 1, {"channel": CHANNELS}),
    FaultKind.NO_PONG: RandomFault(8.0),
    FaultKind.REST_DELAY: ON_CALLS,
    FaultKind.REST_418: RandomFault(2.0, 1, {"path": PATHS}),
    FaultKind.REST_429: ON_CALLS,
    FaultKind.REST_500: ON_CALLS,
    FaultKind.REST_503: ON_CALLS,
    FaultKind.REST_HTML: ON_CALLS,
    FaultKind.ANSWER_LOST: ON_ORDERS,
    FaultKind.ANSWER_500: ON_ORDERS,
    FaultKind.ANSWER_DELAY: ON_ORDERS,
    FaultKind.FILL_BEFORE_ACK: RandomFault(0.0, CALLS_MAX, weight=6),
    FaultKind.EMPTY_MARKET_LIST: RandomFault(),
    FaultKind.SYMBOL_TWICE: RandomFault(),
    FaultKind.BOOK_DELAY: RandomFault(2.0),
    FaultKind.CASH_FLOWS_LATE: RandomFault(60.0, CALLS_MAX, weight=3),
    FaultKind.CASH_FLOWS_TWICE: RandomFault(0.0, CALLS_MAX, weight=3),
    MarketActionKind.SERVER_SHUTDOWN: RandomFault(2.0),
    MarketActionKind.CALM: RandomFault(5.0),
}
"""Those after which an exchange and its prices are as before. A ban for 403 takes ten minutes at
some, and a clock that is set back makes the order of fills unknown."""


class SimulatedExchanges:
    """The simulator of a mesh. Raises aiohttp.ClientError while it does not answer."""

    def __init__(self, url: str, credentials: CredentialSource) -> None:
        self._url = url
        self._credentials = credentials

    async def command(self, command: FaultCommand) -> None:
        """Let a fault happen, from now on."""
        await self._call("POST", "/faults", msgspec.json.encode(command))

    async def clear(self) -> None:
        await self._call("DELETE", "/faults")

    async def accounts(self) -> list[AccountState]:
        """The accounts that were used."""
        return msgspec.json.decode(await self._call("GET", "/accounts"), type=Answer).accounts

    async def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = dict(self._credentials.metadata)
        async with (
            aiohttp.ClientSession(self._url, raise_for_status=True) as session,
            session.request(method, path, data=body, headers=headers) as response,
        ):
            return await response.read()


class RandomFaults:
    """Chooses what goes wrong."""

    def __init__(self, venues: Sequence[str], seed: object) -> None:
        self.counts: Counter[str] = Counter()
        self._venues = venues
        self._chance = random.Random(f"{seed} faults")

    def next(self) -> FaultCommand:
        chance = self._chance
        (name,) = chance.choices(list(FAULTS), [one.weight for one in FAULTS.values()])
        fault = FAULTS[name]
        self.counts[name] += 1
        fields: dict[str, Any] = {
            field: chance.choice(values) for field, values in fault.fields.items()
        }
        return FaultCommand(
            venue=chance.choice(self._venues),
            fault=name,
            count=chance.randint(1, fault.count_max),
            seconds=chance.uniform(0, fault.seconds_max),
            probability=chance.choice((0.1, 0.5, 1.0)),
            **fields,
        )
