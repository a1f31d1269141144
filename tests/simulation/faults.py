"""How unreliable the venue is in one run."""

from dataclasses import dataclass
from typing import Self

HTML = "<html>Bad gateway</html>"


@dataclass(slots=True)
class Faults:
    """Shares of calls and news with a fault, from 0 to 1."""

    calls: float = 0
    news: float = 0
    """Of news that is late, doubled or out of order."""
    lost_news: float = 0
    """Of news that never comes."""
    lies: float = 0
    """Of new entries that are rejected in the answer and live."""
    nameless_news: float = 0
    """Of updates of orders that lack our id."""
    is_key_rejected: bool = False
    """Whether the venue rejects the key of the account."""
    lag_s: float = 0
    """Answers may be this old."""

    @classmethod
    def drawn(cls, chance) -> Self:
        """Draw the faults of a run."""
        return cls(
            calls=chance.choice((0, 0.05, 0.2, 0.4)),
            news=chance.choice((0, 0.2, 0.6)),
            lost_news=chance.choice((0, 0, 0.1, 0.3)),
            lies=chance.choice((0, 0, 0.1)),
            nameless_news=chance.choice((0, 0.2)),
            lag_s=chance.choice((0, 2)),
        )

    def heal(self) -> None:
        """End all faults."""
        self.calls = self.news = self.lost_news = self.lies = self.lag_s = 0
        self.nameless_news = 0
        self.is_key_rejected = False


@dataclass(frozen=True, slots=True)
class CallFault:
    """A fault of one call."""

    name: str
    executes: bool | None = None
    """Whether the venue executes the call; None: sometimes."""
    status: int = 0
    """HTTP status; 0: there is no answer."""
    codes: tuple[str, ...] = ()
    """One of them is in the answer; empty: ``text``."""
    text: str = HTML
    is_late: bool = False
    """Whether the call is executed only after some seconds."""
    is_half: bool = False
    """Whether the answer is cut off."""
    retry_after_s: int = 0


PASSING_CODES = ("-2019", "-2025", "-1121", "-1016")
"""Insufficient margin, too many orders, invalid symbol, maintenance."""
OTHER_CODES = ("-2010", "-2015", "-4016", "-1021")
"""Rejected without a known reason, invalid key, price, clock."""
CHANGE_FAULTS = (
    CallFault("request lost", executes=False),
    CallFault("answer lost", executes=True),
    CallFault("executed late", executes=True, is_late=True),
    CallFault("executed late", executes=True, is_late=True),
    CallFault("half an answer", executes=True, status=200, is_half=True),
    CallFault("status 503", status=503),
    CallFault("status 500", status=500, codes=("-1000", "-2010")),
    CallFault("unknown code", status=400, codes=("-2099", "-1006", "-1007")),
    CallFault("answer without a form", status=200),
    CallFault("rejected", executes=False, status=400, codes=PASSING_CODES),
    CallFault("rejected", executes=False, status=400, codes=PASSING_CODES + OTHER_CODES),
    CallFault("status 429", executes=False, status=429, text=""),
    CallFault("status 429", executes=False, status=429, text="", retry_after_s=3),
)
RARE_FAULTS = (CallFault("banned", executes=False, status=418, text="", retry_after_s=8),)
PLACE_FAULTS = (
    *CHANGE_FAULTS,
    CallFault("id known", executes=True, status=400, codes=("-4116",)),
)
KEY_REJECTED = CallFault("key rejected", executes=False, status=401, codes=("-2015",))
ROW_FAULTS = ("rejected", "row lost", "row without a form")
"""Of one order in a call for several."""
NOT_DONE = CallFault("acknowledged, not done", executes=False, status=200)
QUERY_FAULTS = (
    CallFault("answer lost"),
    CallFault("status 503", status=503),
    CallFault("half an answer", status=200, is_half=True),
    CallFault("unknown code", status=400, codes=("-2099",)),
    CallFault("status 429", status=429, text="", retry_after_s=2),
)
LIE = CallFault("rejected, but live", executes=True, status=400, codes=PASSING_CODES)
FAULTS = {
    "place": PLACE_FAULTS,
    "amend": (*CHANGE_FAULTS, NOT_DONE, NOT_DONE),
    "cancel": (*CHANGE_FAULTS, NOT_DONE, NOT_DONE),
    "cancel_all": (*CHANGE_FAULTS, NOT_DONE),
    "place_many": CHANGE_FAULTS,
    "cancel_many": CHANGE_FAULTS,
}
"""By operation; those without an entry have QUERY_FAULTS."""
