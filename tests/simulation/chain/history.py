"""What the chain promises, whatever happens to its processes, its database and its venue."""

from enum import Enum


class Promise(Enum):
    """What holds in every run."""

    ONE_ENTRY = "a signal gives at most one entry, and a strategy has at most one position"
    CLOSED = "no more is closed than was opened"
    ONE_DECISION = "each signal has one decision"
    ONE_VERDICT = "each intent has one verdict"
    ONE_OUTCOME = "what was approved is taken, refused or expired, and the venue agrees"
    IN_TIME = "no order is made after its intent has expired"
    REDUCED = "no reduction is refused, whatever the mode is"
    HALTED = "no entry is approved or taken in a mode that allows none"
    FENCED = "only the process that has the lease approves orders"
    PROTECTED = "what is held and not being closed has a stop of its size that works"
    TRAILED = "a stop that trails is where the price has come to, and never moves back"
    DONE = "a reduction makes its position smaller, a close ends it, a flip opens the other side"
    AGREED = "strategy, inspector, ledger and venue know the same position and fills"
    ENDED = "each position ends, and all processes agree on it"
    REPLAYED = "the record gives the same signals, decisions and verdicts again, byte for byte"
    PUBLISHED = "Redis has the events of the record"
    NO_ERROR = "no task fails, and no transaction waits for ever"
