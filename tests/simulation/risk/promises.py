"""What limits and modes promise, whatever happens."""

from enum import Enum


class Promise(Enum):
    """What holds in every run."""

    CAPPED = "no entry is approved that brings what is held and may be filled beyond a limit"
    REDUCED = "no reduction is refused, whatever the policy and the mode are"
    CLOSED = "no more is closed than is left of the position"
    ONE_EXIT = "no position is closed by a second order before the first one has ended"
    PROTECTED = "each position has a stop of its size within 2 s, or an alarm"
    TRAILED = "a stop that trails is never further from the market than the one that was approved"
    ANNOUNCED = "what no strategy has opened is announced"
    ADOPTED = "what no strategy has opened is not touched before a person adopts it"
    ENTRIES = "no entry is approved in a mode that allows none"
    EXPLAINED = "each mode follows from the one before, with a reason, and a rule or a caller"
    LATCHED = "no rule ends the mode HALTED, and none ends a mode that a person has set"
    ENDED = "each position ends once nothing fails any more"
    NO_ERROR = "no task fails, and no transaction waits for ever"
