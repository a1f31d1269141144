"""Fault commands: what goes wrong, or changes, on purpose. Sent over HTTP or from a script.

A command waits for a frame or call that it concerns and fires with its ``probability``, ``count``
times. Of several faults for one frame or call the oldest acts. An extra frame is sent before the
frame that it was made of. The exchange counts frames that are lost, doubled or late: its numbering
of a connection's messages continues.

Frames of a ``symbol`` or a ``channel``:
    drop, duplicate, reorder            one is missing, comes twice, comes after its next
    sequence_gap                        one change of a book is missing
    malformed, unknown_event, huge      an extra one: cut in half, of no known kind, of 20 MB
    silence                             none comes for ``seconds``; answers, pings, heartbeats do
    disconnect, reset, stall            all subscribers: closed, TCP RST, silent and deaf for ever
Subscriptions to them:
    ack_then_silence                    is acknowledged, and then nothing ever comes
    resend                              begins with the last ``value`` (5) frames, newest first
Messages of a client:
    no_pong                             are ignored for ``seconds``: no pong, no answer
REST calls, and with a ``path`` also the opening of websockets, whose path contains it:
    rest_delay                          the answer takes ``seconds`` longer
    rest_403, _418, _429, _500, _503    rejected with the exchange's error, with Retry-After
    rest_html                           502 with a page instead of JSON
Calls that take effect nevertheless: REST calls, and with a ``path`` also messages over a
websocket that the exchange takes orders on, whose path contains it:
    answer_lost                         the TCP connection is cut without an answer
    answer_500                          the answer is an error inside the exchange
    answer_delay                        the answer takes ``seconds`` longer
Events of an account on the websocket whose message caused them:
    fill_before_ack                     are sent before the answer, not after it
REST calls that show what there is, whose path contains ``path``:
    empty_market_list, symbol_twice     no instrument is listed, ``symbol`` is listed twice
    stale_snapshot                      the book of ``symbol`` at the time of the command
    cash_flows_late, cash_flows_twice   changes of balances of the last ``seconds`` are missing in
                                        a list, or each is listed twice
    book_delay                          the answer is made ``seconds`` after its book was read
At once, once:
    server_shutdown                     all connections are closed after ``seconds``, announced
                                        where the exchange announces it
    clock_skew                          the exchange's time is off by ``seconds``, until it is
                                        commanded with 0
    calm                                nobody trades or quotes anything for ``seconds``
    burst                               ``value`` (2000) trades of ``symbol`` in one moment
    halt, resume                        ``symbol`` does not trade any more, trades again
    delist, list                        ``symbol`` is gone, there again; with a ``value`` as
                                        "PEPE" a new one with that base, otherwise like ``symbol``
    tick_size                           prices of ``symbol`` are multiples of ``value`` from now on

Those from ``clock_skew`` to the end are of the world simulate. A count of 0, or 0 ``seconds`` of
silence, mean: until it is switched off.
"""

from enum import StrEnum
from pathlib import Path

import msgspec

from kit.base.errors import SettingError


class FaultKind(StrEnum):
    """The name of a fault."""

    DROP = "drop"
    SEQUENCE_GAP = "sequence_gap"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    MALFORMED = "malformed"
    UNKNOWN_EVENT = "unknown_event"
    HUGE = "huge"
    SILENCE = "silence"
    DISCONNECT = "disconnect"
    RESET = "reset"
    STALL = "stall"
    ACK_THEN_SILENCE = "ack_then_silence"
    RESEND = "resend"
    NO_PONG = "no_pong"
    REST_DELAY = "rest_delay"
    REST_403 = "rest_403"
    REST_418 = "rest_418"
    REST_429 = "rest_429"
    REST_500 = "rest_500"
    REST_503 = "rest_503"
    REST_HTML = "rest_html"
    ANSWER_LOST = "answer_lost"
    ANSWER_500 = "answer_500"
    ANSWER_DELAY = "answer_delay"
    FILL_BEFORE_ACK = "fill_before_ack"
    EMPTY_MARKET_LIST = "empty_market_list"
    SYMBOL_TWICE = "symbol_twice"
    STALE_SNAPSHOT = "stale_snapshot"
    BOOK_DELAY = "book_delay"
    CASH_FLOWS_LATE = "cash_flows_late"
    CASH_FLOWS_TWICE = "cash_flows_twice"


class MarketActionKind(StrEnum):
    """The name of a market action, which happens at once."""

    SERVER_SHUTDOWN = "server_shutdown"
    CLOCK_SKEW = "clock_skew"
    CALM = "calm"
    BURST = "burst"
    HALT = "halt"
    RESUME = "resume"
    DELIST = "delist"
    LIST = "list"
    TICK_SIZE = "tick_size"


CUTS = frozenset({FaultKind.DISCONNECT, FaultKind.RESET, FaultKind.STALL})
ON_SUBSCRIPTIONS = frozenset({FaultKind.ACK_THEN_SILENCE, FaultKind.RESEND})
ON_MESSAGES = frozenset({FaultKind.NO_PONG})
ON_CALLS = frozenset(kind for kind in FaultKind if kind.startswith("rest_"))
ON_COMPLETED_CALLS = frozenset(
    {FaultKind.ANSWER_LOST, FaultKind.ANSWER_500, FaultKind.ANSWER_DELAY}
)
ON_ACCOUNT_EVENTS = frozenset({FaultKind.FILL_BEFORE_ACK})
ON_ANSWERS = frozenset(
    {
        FaultKind.EMPTY_MARKET_LIST,
        FaultKind.SYMBOL_TWICE,
        FaultKind.STALE_SNAPSHOT,
        FaultKind.BOOK_DELAY,
        FaultKind.CASH_FLOWS_LATE,
        FaultKind.CASH_FLOWS_TWICE,
    }
)
LASTING = frozenset({FaultKind.SILENCE, FaultKind.NO_PONG})
"""They last for their ``seconds`` once they have fired."""


class FaultCommand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault or market action, and when it acts."""

    venue: str
    fault: str
    """A FaultKind, a MarketActionKind, or a fault of the venue's own."""
    symbol: str = ""
    """Only this native symbol. Empty: all, where that has a meaning."""
    channel: str = ""
    """Only frames of this channel, for example "trades". Empty: of all."""
    path: str = ""
    """Only REST calls whose path contains this."""
    value: str = ""
    """A further parameter, see above."""
    probability: float = 1.0
    """The probability that it fires, each time that it could."""
    count: int = 1
    """How often it fires; 0: until it is switched off."""
    seconds: float = 1.0
    """How long it lasts, and what Retry-After says."""
    at_s: float = 0.0
    """Seconds of the venue's time after its beginning before it may fire."""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError("probability must be from 0 to 1")
        if self.count < 0 or self.at_s < 0:
            raise ValueError("count and at_s must not be negative")
        if self.seconds < 0 and self.fault != MarketActionKind.CLOCK_SKEW:
            raise ValueError("seconds must not be negative")
        if self.fault == FaultKind.RESEND and not (self.value or "1").isdigit():
            raise ValueError("value must be a number of frames")


def read_script(file: Path) -> list[FaultCommand]:
    """The commands of a script, one JSON object per line. Raises SettingError."""
    orders: list[FaultCommand] = []
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise SettingError("simulator.faults", str(file), str(error.strerror)) from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                orders.append(msgspec.json.decode(line, type=FaultCommand))
            except msgspec.DecodeError as error:
                raise SettingError("simulator.faults", f"{file}:{number}", str(error)) from None
    return orders
