"""A dialect, put together from the parts of a venue's simulator."""

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kit.simulator.dialect import (
    CaptureFormat,
    ConnectionRules,
    Frame,
    MarketView,
    RestRequest,
    RestResponse,
    Session,
    Stream,
)
from kit.simulator.events import Instrument
from kit.simulator.listing import Listing
from kit.simulator.market import Step
from kit.simulator.matching.contract import MatchingRules

FrameFault = Callable[[Frame], Sequence[Frame]]
"""Returns what is sent in place of a frame."""
Answer = Callable[[RestRequest, MarketView], Coroutine[Any, Any, RestResponse]]
Open = Callable[[str, Mapping[str, str]], Session | None]
Receive = Callable[[Session, str, MarketView], Coroutine[Any, Any, list[bytes]]]
Tick = Callable[[Session, MarketView], list[bytes]]
Encode = Callable[[Step, Collection[Stream], MarketView], Sequence[Frame]]


def silent(session: Session, market_view: MarketView) -> list[bytes]:
    """The tick of an exchange that sends nothing by the clock."""
    return []


def no_order(text: str) -> str:
    """The operation of a message to an exchange whose websocket takes no orders."""
    return ""


def no_failure(text: str) -> bytes:
    """Never called: no message of the exchange is an operation on orders."""
    return b""


@dataclass(slots=True, kw_only=True)
class ExchangeDialect:
    """``Dialect`` of one exchange: each method of the protocol is a part of the venue."""

    hosts: Collection[str]
    rules: ConnectionRules
    instruments: Sequence[Instrument]
    failures: Mapping[int, bytes]
    capture: CaptureFormat
    list: Callable[[Instrument], Listing]
    encode: Encode
    answer: Answer
    open: Open
    receive: Receive
    tick: Tick = silent
    path_of: Callable[[str], str] = no_order
    failure_of: Callable[[str], bytes] = no_failure
    matching_rules: MatchingRules = field(default_factory=MatchingRules)
    faults: Mapping[str, FrameFault] = field(default_factory=dict)
