"""How far a REST call through ccxt has come, as ccxt's own hooks see it."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from kit.base.clock import SystemClock
from kit.base.request_budget import RequestBudget

_clock = SystemClock()
RETRYING = "_retry_connection"
"""An attribute of aiohttp's session: whether it repeats a GET, PUT or DELETE when the connection
breaks. There is no public name for it; Deribit takes orders by GET."""


@dataclass(slots=True)
class Attempt:
    """How far one call has come."""

    sent: bool = False
    status: int = 0
    """HTTP status of the answer; 0: there was no answer."""
    body: str = ""
    sent_time_ns: int = 0
    """When it was sent, ns since the Unix epoch by our clock."""
    received_time_ns: int = 0
    """When its answer had come."""


ATTEMPT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""ccxt's raw methods take no argument of ours, so its hooks find the attempt here."""


class RequestDuringBan(Exception):
    """ccxt has made a call by itself while the venue has banned us."""


class AttemptObserver:
    """A base class put before an exchange of ccxt. It records how far a call has come, and keeps
    ccxt from making other calls, all of them during a ban."""

    request_budget: RequestBudget | None = None

    def open(self, *arguments: Any, **named: Any) -> None:
        super().open(*arguments, **named)  # type: ignore[misc]  # of the exchange
        session = getattr(self, "session", None)
        if session is not None:
            setattr(session, RETRYING, False)

    async def fetch(self, *arguments: Any, **named: Any) -> Any:
        attempt = ATTEMPT.get()
        if attempt is not None:
            attempt.sent, attempt.sent_time_ns = True, _clock.time_ns()
        elif self.request_budget is not None and (banned_s := self.request_budget.banned_s):
            # A call of ccxt's own has waited for no turn.
            raise RequestDuringBan(f"not sent: banned for another {banned_s:.0f} s")
        return await super().fetch(*arguments, **named)  # type: ignore[misc]  # of the exchange

    def on_rest_response(
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any
    ) -> str:
        attempt = ATTEMPT.get()
        if attempt is not None:
            attempt.status, attempt.body = code, body
            attempt.received_time_ns = _clock.time_ns()
        answer: str = super().on_rest_response(  # type: ignore[misc]  # of the exchange
            code, reason, url, method, headers, body, *rest
        )
        return answer

    async def load_markets(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Raw calls need no markets, and loading them would take calls and seconds."""
        await asyncio.sleep(0)
        return {}
